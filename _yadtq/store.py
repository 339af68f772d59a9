"""The queue in Redis: each script as a method, with its arguments and its reply as values."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from _yadtq.bell import Bell
from _yadtq.claims import Answer, Claim, Outcome, Read, Taken, settlement
from _yadtq.errors import AmbiguousId, ServerUnreachable, TaskNotFound, YadtqError
from _yadtq.keys import PROTOCOL, Keys
from _yadtq.messages import Header, Submission
from _yadtq.oversight import Oversight
from _yadtq.scripts import Reply, Scripts
from _yadtq.settings import Settings
from _yadtq.subscription import Subscription
from _yadtq.topic import Repositioning, Standing

LEADER_MS = 5000  # a step of leading Redis back takes less
REJECTED_KEPT = 10_000
TIDY_STEP = 100


@dataclass(frozen=True, slots=True)
class Registration:
    """What register says of a task. word: publish · known · conflict · full · doubtful. header: for its message."""

    word: str
    header: Header


@dataclass(frozen=True, slots=True)
class Leading:
    """One attempt to lead Redis back: its number, the server's run, the new generation and the one before.

    kept: seq up to which Redis itself had kept all. offset: what it may have forgotten stands there in the event log.
    """

    number: str
    run: str
    generation: int
    before: int
    kept: int
    offset: int


class Store(Oversight):
    """The queue in Redis. Thread-safe; connects when it is first used. What only operators call: oversight.py."""

    def __init__(self, settings: Settings) -> None:
        self.keys = Keys(settings.namespace)
        self.settings = settings
        self._scripts = Scripts(settings)
        self._epoch = ""  # as the last registration was told; '' before the first: a call in which nothing happens
        self.address, self.guarded, self.call = self._scripts.address, self._scripts.guarded, self._scripts.call
        self._redis = self._scripts.redis

    def close(self) -> None:
        self._redis.close()

    # -- transitions -----------------------------------------------------------------------------------------------

    def register(self, tasks: Sequence[Submission], doubts: list[str] | None = None) -> list[Registration]:
        """Records of new tasks. The answer for each is a word of the script, or doubtful.

        doubtful: the call was repeated, and what is refused now may have been registered by an earlier one.
        doubts: takes the epoch of a call that failed and may have run; one in it stands for an earlier one.
        """
        flat = [part for t in tasks for part in (t.id, t.task, t.args, t.kwargs, t.max_retries, t.time_limit, t.name)]
        doubts = [] if doubts is None else doubts
        while True:
            epoch = doubts[0] if doubts else self._epoch
            try:
                reply, repeated = self._scripts.tried(
                    "register", self.settings.outbox_entries, epoch, len(tasks), *flat
                )
            except YadtqError as error:
                error.nothing_changed = error.nothing_changed or not epoch
                if not error.nothing_changed:
                    doubts.append(epoch)
                raise
            repeated = bool(epoch) and (repeated or bool(doubts))
            _, generation, self._epoch, seq, *words = reply
            if words or not tasks:
                break
            if repeated:  # an earlier call may have run before the reset
                return [Registration("doubtful", Header.of(epoch, f"{generation}-{seq}"))] * len(tasks)
        answers = []
        for each in words:
            word, _, mark = each.partition(" ")
            doubtful = repeated and word in ("full", "conflict")
            header = Header.of(epoch, mark or f"{generation}-{seq}")
            answers.append(Registration("doubtful" if doubtful else word, header))
        return answers

    def withdraw(self, task: Submission, header: Header | None) -> str:
        """Takes a submission back. header: of its registration, when that is known.

        Returns refused · acknowledged · unknown.
        """
        known = (header.epoch, header.generation) if header else ("", "")
        return str(self.call("withdraw", task.id, task.name, *known)[1])

    def join(self, incarnation: str, about: str, slots: int, relay: str) -> bool:
        """A worker's first heartbeat. relay: as for `beat`. Returns whether this worker is the relay."""
        s = self.settings
        lease = _ms(s.worker_timeout)
        reply = self.call("beat", incarnation, "join", lease, s.task_max_crashes, "online", 0, slots, "", about, relay)
        return bool(reply[2] == "relay")

    def beat(
        self, incarnation: str, state: str, executed: int, running: str, about: str, relay: str
    ) -> tuple[bool, bool, bool]:
        """A heartbeat. relay: lease of the relay in ms, '' when it is not wanted. Raises LeaseLapsed.

        Returns whether this worker is the relay, whether `about` is wanted again, and whether it is to `confirm`.
        """
        s = self.settings
        reply = self.call(
            "beat", incarnation, "", _ms(s.worker_timeout), s.task_max_crashes, state, executed, s.concurrency, running,
            about, relay,
        )  # fmt: skip
        return reply[2] == "relay", reply[3] == "about", reply[4] == "confirm"

    def confirm(self, incarnation: str, seen: int, claims: Sequence[Claim]) -> list[Claim]:
        """After a restart of Redis: what this worker holds. seen: number of the last take whose reply was read.

        Returns those that Redis has forgotten; with any, nothing is confirmed.
        """
        flat = [part for c in claims for part in (c.id, c.epoch, c.token, c.attempt)]
        return [claims[int(place) - 1] for place in self.call("confirm", incarnation, seen, len(claims), *flat)[1:]]

    def take(
        self,
        incarnation: str,
        number: int,
        seen: int,
        free: int,
        running: str,
        reads: Sequence[Read],
        edition: str = "",
    ) -> Taken:
        """Admits reads and claims up to `free` tasks. Raises LeaseLapsed, OutboxFull, StaleTake."""
        s = self.settings
        reply = self.call(
            "take", incarnation, number, seen, free, _ms(s.worker_timeout), s.task_max_crashes, s.outbox_entries,
            s.ready_tasks, s.ready_bytes, running, edition, len(reads),
            *(part for read in reads for part in read.arguments()),
        )  # fmt: skip
        _, epoch, token, due, left, answers, tasks = reply
        return Taken(
            epoch=epoch,
            due_seconds=int(due) / 1000 if due else None,
            left=int(left),
            answers=tuple(
                Answer(int(answers[i]), answers[i + 1], int(answers[i + 2]) if answers[i + 2] != "" else None)
                for i in range(0, len(answers), 3)
            ),
            claims=tuple(_claim(row, epoch, token) for row in tasks),
        )

    def settle(self, incarnation: str, outcomes: Sequence[Outcome], now: float) -> list[str]:
        """Records outcomes. now: monotonic seconds. Returns a word for each: settled · already · refused."""
        reply = self.call("settle", incarnation, self.settings.task_max_crashes, *settlement(outcomes, now))
        words = ["settled"] * len(outcomes)
        for place, word in zip(reply[2::2], reply[3::2], strict=True):
            words[int(place) - 1] = word
        return words

    def leave(self, incarnation: str) -> None:
        self.call("leave", incarnation)

    def retry(self, task_id: str, request: str) -> str:
        """Returns requeued · absent · the status that forbids it."""
        return str(self.call("retry", task_id, request, self.settings.outbox_entries)[1])

    def reset(self, request: str, ends: dict[int, int]) -> tuple[int, str]:
        """Raises the epoch. ends: end offset of each partition, read before.

        Returns how many tasks are gone, and the token of the event: the reset holds when that is in Kafka.
        """
        reply = self.call("reset", request, *(part for pair in ends.items() for part in pair))
        return int(reply[2]), reply[3]

    def reposition(self, change: Repositioning) -> tuple[bool, str]:
        """Has the queue read the topic from where it should. Returns whether that was changed here, and the edition."""
        seen, topic = change.standing, change.topic
        flat = [(c.kind, c.partition, "" if c.before is None else c.before, c.after) for c in change.changes]
        reply = self.call(
            "reposition", secrets.token_hex(8), seen.edition, seen.topic, topic.id, len(topic.starts), len(flat),
            *(part for each in flat for part in each),
        )  # fmt: skip
        return reply[1] == "moved", reply[2]

    def tidy(self) -> bool:
        """One bounded step of ending old results and old epochs. Returns whether there is more."""
        return bool(self.call("tidy", _ms(self.settings.result_ttl), TIDY_STEP, REJECTED_KEPT)[1])

    def unpublished(
        self, instant: int | None, before: int, most: int, passed: int = 0
    ) -> tuple[int, str, list[tuple[Submission, str]]]:
        """Tasks only registered, since `before` ms ahead of an instant (ms; None: now), the oldest first.

        passed: how many of the oldest to leave out. Returns now in ms, the epoch, and each task with its mark.
        """
        reply = self.call("unpublished", "" if instant is None else instant, before, most, passed)
        return int(reply[1]), reply[2], [(Submission(*[*row[:6], ""]), row[6]) for row in reply[3:]]

    # -- the outbox ------------------------------------------------------------------------------------------------

    def events(self, after: str, block_seconds: float, most: int, bell: Bell | None = None) -> list[tuple[str, str]]:
        """Entries of the outbox behind one, waiting for the first if there is none: (id, JSON). bell: ends the wait."""
        with self.guarded():
            reply: Any = (
                self._redis.xread({self.keys.events: after}, count=most, block=max(1, _ms(block_seconds)))
                if bell is None
                else self._scripts.waited(
                    bell, block_seconds, "XREAD", "COUNT", most, "BLOCK", _ms(block_seconds), "STREAMS",
                    self.keys.events, after,
                )
            )  # fmt: skip
        return [(entry, fields["event"]) for _, rows in reply or [] for entry, fields in rows]

    def trim(self, entry: str, generation: str, offset: int) -> int:
        """Removes the acknowledged entries up to one. Returns how many are left. Raises Outdated.

        generation: with which they were sent. offset: behind the last of them in the event log.
        """
        return int(self.call("trim", entry, generation, offset)[1])

    def generation(self) -> str:
        return str(self.call("stats")[2])

    # -- leading Redis back: recovery.py ---------------------------------------------------------------------------

    def begin(self, leader: str, new: bool, least: int) -> Leading | str:
        """Begins to lead Redis back, or, when `new`, in an empty Redis. Returns the attempt, or open · led.

        least: the new generation is at least this.
        """
        reply = self.call("begin", PROTOCOL, leader, LEADER_MS, "new" if new else "", least)
        if reply[1] != "begun":
            return str(reply[1])
        number, run, generation, before, kept = reply[2:7]
        return Leading(number, run, int(generation), int(before), int(kept), int(reply[7] or 0))

    def apply(self, leading: Leading, keep_positions: bool, events: Sequence[tuple[str, str]]) -> int:
        """Makes forgotten events happen again: token and JSON of each. Returns the seq of the last. Raises Outdated."""
        flat = [part for event in events for part in event]
        keep = "keep" if keep_positions else ""
        return int(self.call("apply", leading.number, leading.run, LEADER_MS, keep, len(events), *flat)[1])

    def open(self, leading: Leading, forgotten: dict[str, str]) -> str:
        """Opens the queue in its new generation. forgotten: see the script. Returns open · quarantine."""
        flat = [part for pair in forgotten.items() for part in pair]
        lease = _ms(self.settings.worker_timeout)
        return str(self.call("open", leading.number, leading.run, LEADER_MS, leading.generation, lease, *flat)[1])

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

    def find(self, prefix: str) -> str:
        """The one id that is `prefix` or begins with it. Raises TaskNotFound or AmbiguousId."""
        if self.records([prefix])[0]:
            return prefix
        matches = self.matching(prefix, 11)
        if not matches:
            raise TaskNotFound(f"no task has an id that begins with {prefix}")
        if len(matches) > 1:
            raise AmbiguousId(prefix, matches[:10])
        return matches[0]

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

    def standing(self) -> Standing:
        """How far the queue has read, and in which topic."""
        _, topic, edition, partitions, positions, floors = self.call("standing")
        return Standing(topic, edition, int(partitions), _offsets(positions), _offsets(floors))

    def positions(self) -> dict[int, int]:
        """Partition → next offset to read."""
        return _offsets(self.call("standing")[4])

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

    def subscription(self, channel: str = "") -> Subscription:
        """A channel to listen to; one of its own when none is given."""
        pubsub = self._redis.pubsub(ignore_subscribe_messages=False)  # type: ignore[no-untyped-call]  # redis has no type
        return Subscription(self.guarded, pubsub, channel or self.keys.ended(secrets.token_hex(8)))


def _claim(row: list[str], epoch: str, token: str) -> Claim:
    task_id, task, args, kwargs, attempt, *more = row
    if not more:
        return Claim(task_id, task, args, kwargs, int(attempt), 0, 0, None, None, epoch, token)
    failures, crashes, max_retries, time_limit, its_token = more
    return Claim(
        *(task_id, task, args, kwargs),
        attempt=int(attempt),
        failures=int(failures or 0),
        crashes=int(crashes or 0),
        max_retries=int(max_retries) if max_retries else None,
        time_limit=float(time_limit) if time_limit else None,
        epoch=epoch,
        token=its_token,
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _offsets(flat: list[str]) -> dict[int, int]:
    return {int(p): int(o) for p, o in zip(flat[::2], flat[1::2], strict=True)}
