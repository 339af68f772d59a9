"""Redis: the scripts, called. The only file that imports the redis package.

Every call may be repeated: one whose reply was lost is, here or in redis-py.
"""

import hashlib
import secrets
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from _yadtq.claims import Answer, Claim, Outcome, Read, Taken
from _yadtq.errors import (
    LeaseLapsed,
    OutboxFull,
    ProtocolTooNew,
    QueueMissing,
    ServerUnreachable,
    StaleTake,
    YadtqError,
)
from _yadtq.keys import PROTOCOL, Keys
from _yadtq.messages import Submission
from _yadtq.settings import Settings

LUA = Path(__file__).parent / "lua"
CONNECT_SECONDS, REPLY_SECONDS = 2.0, 4.0
REJECTED_KEPT = 10_000
TIDY_STEP = 200

Reply = list[Any]


# The first word of a script's answer, when it is not 'ok' → what is raised.
REFUSALS: dict[str, tuple[type[YadtqError], str]] = {
    "missing": (QueueMissing, "Redis has no such queue"),
    "newer": (ProtocolTooNew, f"a newer YADTQ wrote this queue (this one speaks protocol {PROTOCOL}): update this one"),
    "full": (OutboxFull, "too many events wait in Redis for Kafka: start a worker, which sends them, or look at Kafka"),
    "stale": (StaleTake, "a later take has run already"),
    "lapsed": (LeaseLapsed, "the lease is over"),
}


@cache
def script(name: str) -> tuple[str, str]:
    """A script's text, with what it shares with others before it, and its SHA-1."""
    parts = [] if name == "found" else ["prelude"]
    if name in ("take", "beat", "settle"):
        parts.append("putback")
    text = "\n".join((LUA / f"{part}.lua").read_text(encoding="utf-8") for part in (*parts, name))
    return text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Store:
    """The queue in Redis. Thread-safe; connects when it is first used."""

    def __init__(self, settings: Settings) -> None:
        self.keys = Keys(settings.namespace)
        self.settings = settings
        self._redis = redis.Redis(
            host=settings.redis_host,
            port=settings.redis_port,
            db=settings.redis_db,
            username=settings.redis_username or None,
            password=settings.redis_password or None,
            ssl=settings.redis_tls,
            ssl_ca_certs=settings.redis_ca_file or None,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=REPLY_SECONDS,
            # Not where Redis is silent: its retries multiply, and a person would wait for half a minute.
            retry=Retry(ExponentialWithJitterBackoff(cap=0.3, base=0.05), 2, (RedisConnectionError,)),
            health_check_interval=15,
            decode_responses=True,
            encoding_errors="backslashreplace",
        )

    def close(self) -> None:
        self._redis.close()

    # -- transitions -----------------------------------------------------------------------------------------------

    def found(self, generation: int) -> None:
        """Begins the queue, unless it exists."""
        self.call("found", generation)

    def register(self, tasks: Sequence[Submission]) -> tuple[str, str, str, list[str]]:
        """Records of new tasks. Returns generation, epoch, seq, and for each publish · known · conflict · full."""
        flat = [part for t in tasks for part in (t.id, t.task, t.args, t.kwargs, t.max_retries, t.time_limit, t.name)]
        reply = self.call("register", self.settings.outbox_entries, len(tasks), *flat)
        return reply[1], reply[2], reply[3], reply[4:]

    def withdraw(self, task: Submission, epoch: str, generation: str) -> str:
        """Takes a submission back. Returns refused · acknowledged · unknown."""
        return str(self.call("withdraw", task.id, task.name, epoch, generation)[1])

    def join(self, incarnation: str, about: str, slots: int) -> str:
        """A worker's first heartbeat. Returns the epoch."""
        s = self.settings
        lease = _ms(s.worker_timeout)
        return str(
            self.call("beat", incarnation, "join", lease, s.task_max_crashes, "online", 0, slots, "", about, "")[1]
        )

    def beat(
        self, incarnation: str, state: str, executed: int, running: str, about: str, relay: str
    ) -> tuple[bool, bool]:
        """A heartbeat. relay: lease of the relay in ms, '' when it is not wanted. Raises LeaseLapsed.

        Returns whether this worker is the relay, and whether `about` is wanted again.
        """
        s = self.settings
        reply = self.call(
            "beat", incarnation, "", _ms(s.worker_timeout), s.task_max_crashes, state, executed, s.concurrency, running,
            about, relay,
        )  # fmt: skip
        return reply[2] == "relay", reply[3] == "about"

    def take(self, incarnation: str, number: int, seen: int, free: int, running: str, reads: Sequence[Read]) -> Taken:
        """Admits reads and claims up to `free` tasks. Raises LeaseLapsed, OutboxFull, StaleTake."""
        s = self.settings
        reply = self.call(
            "take", incarnation, number, seen, free, _ms(s.worker_timeout), s.task_max_crashes, s.outbox_entries,
            s.ready_tasks, s.ready_bytes, running, len(reads), *(part for read in reads for part in read.arguments()),
        )  # fmt: skip
        _, epoch, _, due, left, answers, tasks = reply
        return Taken(
            epoch=epoch,
            due_seconds=int(due) / 1000 if due else None,
            left=int(left),
            answers=tuple(
                Answer(int(answers[i]), answers[i + 1], int(answers[i + 2]) if answers[i + 2] != "" else None)
                for i in range(0, len(answers), 3)
            ),
            claims=tuple(_claim(row, epoch) for row in tasks),
        )

    def settle(self, incarnation: str, outcomes: Sequence[Outcome], now: float) -> list[str]:
        """Records outcomes. now: monotonic seconds. Returns a word for each: settled · already · refused."""
        flat = [part for outcome in outcomes for part in outcome.arguments(now)]
        return self.call("settle", incarnation, self.settings.task_max_crashes, len(outcomes), *flat)[2:]

    def leave(self, incarnation: str) -> None:
        self.call("leave", incarnation)

    def retry(self, task_id: str, request: str) -> str:
        """Returns queued · absent · the status that forbids it."""
        return str(self.call("retry", task_id, request, self.settings.outbox_entries)[1])

    def reset(self, request: str, ends: dict[int, int]) -> int:
        """Raises the epoch. ends: end offset of each partition, read before. Returns how many tasks are gone."""
        return int(self.call("reset", request, *(part for pair in ends.items() for part in pair))[2])

    def tidy(self) -> bool:
        """One bounded step of ending old results and old epochs. Returns whether there is more."""
        return bool(self.call("tidy", _ms(self.settings.result_ttl), TIDY_STEP, REJECTED_KEPT)[1])

    def unpublished(self, instant: int | None, before: int, most: int) -> tuple[int, str, list[tuple[Submission, str]]]:
        """Tasks only registered, since `before` ms ahead of an instant (ms; None: now), the oldest first.

        Returns now in ms, the epoch, and each task with the mark of its registration.
        """
        reply = self.call("unpublished", "" if instant is None else instant, before, most)
        return int(reply[1]), reply[2], [(Submission(*[*row[:6], ""]), row[6]) for row in reply[3:]]

    # -- the outbox ------------------------------------------------------------------------------------------------

    def events(self, after: str, block_seconds: float, most: int) -> list[tuple[str, str]]:
        """Entries of the outbox behind one, waiting for the first if there is none: (id, JSON)."""
        with self.guarded():
            reply: Any = self._redis.xread({self.keys.events: after}, count=most, block=max(1, _ms(block_seconds)))
        return [(entry, fields["event"]) for _, rows in reply or [] for entry, fields in rows]

    def trim(self, entry: str) -> int:
        """Removes the acknowledged entries up to one. Returns how many are left."""
        return int(self.call("trim", entry)[1])

    # -- reading ---------------------------------------------------------------------------------------------------

    def watch(self, channel: str, ids: Sequence[str]) -> list[str]:
        """A word for each id: ended · waiting (the channel will be told) · absent."""
        return self.call("watch", channel, *ids)[1:]

    def ids(self, status: str, first: int, count: int) -> list[str]:
        return self.call("list", status, first, count)[2:]

    def records(self, ids: Sequence[str]) -> list[dict[str, str]]:
        """The record of each id, {} where there is none."""
        rows: Reply = []
        for start in range(0, len(ids), 500):
            rows += self.call("view", *ids[start : start + 500])[1:]
        return [dict(zip(row[::2], row[1::2], strict=True)) for row in rows]

    def matching(self, prefix: str, most: int) -> list[str]:
        """Ids that begin with a prefix, at most so many, sorted; found in bounded steps."""
        epoch = self.call("stats")[1]
        pattern = "".join(f"\\{c}" if c in "*?[]\\" else c for c in prefix) + "*"
        cursor, found = 0, set[str]()
        while True:
            with self.guarded():
                cursor, rows = self._redis.zscan(self.keys.ids(epoch), cursor, match=pattern, count=5000)
            found.update(str(row[0]) for row in rows)
            if int(cursor) == 0 or len(found) >= most:
                return sorted(found)[:most]

    def stats(self) -> Reply:
        return self.call("stats")

    def positions(self) -> dict[int, int]:
        """Partition → next offset to read."""
        flat = self.call("stats")[11]
        return {int(p): int(o) for p, o in zip(flat[::2], flat[1::2], strict=True)}

    def workers(self) -> list[tuple[str, bool, dict[str, str]]]:
        """(incarnation, whether its lease lives, its fields), the newest heartbeat first."""
        rows = self.call("workers")[1:]
        return [(row[0], row[1] == "live", dict(zip(row[2::2], row[3::2], strict=True))) for row in rows]

    def ping(self) -> None:
        """Raises ServerUnreachable when Redis does not answer."""
        with self.guarded():
            self._redis.ping()

    def problem(self) -> str:
        """'' when Redis answers, else one line."""
        try:
            self.ping()
        except ServerUnreachable as error:
            return str(error)
        return ""

    def check(self) -> None:
        """Refuses a Redis that would forget tasks. Raises ServerUnreachable."""
        with self.guarded():
            policy = self._redis.info("memory").get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            raise ServerUnreachable(
                "redis",
                f"Redis at {self.address} evicts keys when memory is short (maxmemory-policy {policy}), and tasks "
                "would be lost: set maxmemory-policy noeviction",
            )

    def subscription(self, channel: str = "") -> "Subscription":
        """A channel to listen to; one of its own when none is given."""
        pubsub = self._redis.pubsub(ignore_subscribe_messages=False)  # type: ignore[no-untyped-call]  # redis has no type
        return Subscription(self, pubsub, channel or self.keys.ended(secrets.token_hex(8)))

    # -- calling ---------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        return f"{self.settings.redis_host}:{self.settings.redis_port}"

    def call(self, name: str, *arguments: str | int) -> Reply:
        """Runs a script. Raises ServerUnreachable, or what the word of its answer stands for."""
        with self.guarded():
            try:
                reply = self._run(name, arguments)
            except RedisTimeoutError:  # once more: perhaps only the reply was lost
                reply = self._run(name, arguments)
        if reply[0] != "ok":
            kind, message = REFUSALS[reply[0]]
            raise kind(message)
        return reply

    def _run(self, name: str, arguments: tuple[str | int, ...]) -> Reply:
        text, sha = script(name)
        try:
            reply: Reply = self._redis.evalsha(sha, 1, self.keys.meta, *arguments)
        except NoScriptError:
            reply = self._redis.eval(text, 1, self.keys.meta, *arguments)
        return reply

    def guarded(self) -> "_Guarded":
        return _Guarded(self.address)


class _Guarded:
    """Turns what redis-py raises into ServerUnreachable with one line for a person."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (RedisError, OSError)):
            raise ServerUnreachable("redis", _line(error, self._address)) from error


def _line(error: Exception, address: str) -> str:
    """One line: what happened, to what, what to do."""
    if isinstance(error, (AuthenticationError, AuthorizationError, NoPermissionError)) or "NOAUTH" in str(error):
        return f"Redis at {address} refuses this user or password: set REDIS_USERNAME and REDIS_PASSWORD"
    if isinstance(error, BusyLoadingError):
        return f"Redis at {address} is loading its data: wait until it is ready"
    if isinstance(error, (OutOfMemoryError, ReadOnlyError)) or str(error).startswith(("MISCONF", "OOM")):
        return f"Redis at {address} refuses writes, nothing was changed: {error}"
    if isinstance(error, (RedisConnectionError, RedisTimeoutError, OSError)):
        return f"Redis does not answer at {address} ({error}): start it, or set REDIS_HOST and REDIS_PORT"
    if isinstance(error, ResponseError):
        return f"Redis at {address} answers with an error: {error}"
    return f"Redis at {address}: {error}"


class Subscription:
    """One channel, listened to. Made by Store.subscription; used by one thread at a time."""

    def __init__(self, store: Store, pubsub: Any, channel: str) -> None:
        self.channel = channel
        self._store, self._pubsub = store, pubsub

    def open(self) -> None:
        """Subscribes, unless it is so already, and waits until Redis has said so: no message is missed from here on."""
        if not self._pubsub.subscribed:
            with self._store.guarded():
                self._pubsub.subscribe(self.channel)
                self._pubsub.get_message(timeout=REPLY_SECONDS)

    def get(self, seconds: float) -> str | None:
        """The next message, or None after so many seconds. Raises ServerUnreachable; the next call tries again."""
        self.open()
        deadline = time.monotonic() + seconds
        while True:
            with self._store.guarded():
                message = self._pubsub.get_message(timeout=max(0.0, deadline - time.monotonic()))
            if message is not None and message["type"] == "message":
                return str(message["data"])
            if time.monotonic() >= deadline:
                return None

    def close(self) -> None:
        self._pubsub.close()


def _claim(row: list[Any], epoch: str) -> Claim:
    return Claim(
        id=row[0],
        task=row[1],
        args=row[2],
        kwargs=row[3],
        attempt=int(row[4]),
        failures=int(row[5]),
        crashes=int(row[6]),
        max_retries=int(row[7]) if row[7] else None,
        time_limit=float(row[8]) if row[8] else None,
        epoch=epoch,
        token=row[9],
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
