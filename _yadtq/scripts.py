"""Redis: connections, and the scripts as they are called.

Every call may be repeated: one whose reply was lost is, here and nowhere else. Each connection learns which run of the
server it speaks to, and each script is told: a server that was restarted acts only after it has been led back.
"""

import hashlib
import time
from functools import cache
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    MovedError,
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

from _yadtq.bell import Bell
from _yadtq.errors import (
    InQuarantine,
    LeaseLapsed,
    OutboxFull,
    Outdated,
    ProtocolTooNew,
    QueueMissing,
    RedisRestarted,
    ServerUnreachable,
    StaleTake,
    YadtqError,
)
from _yadtq.keys import PROTOCOL, Keys
from _yadtq.log import visible
from _yadtq.settings import Settings
from _yadtq.tls import redis_misconfiguration

LUA = Path(__file__).parent / "lua"
CONNECT_SECONDS, REPLY_SECONDS, RECONNECT_SECONDS = 2.0, 4.0, 0.05

Reply = list[Any]


# The first word of a script's answer, when it is not 'ok' → what is raised.
REFUSALS: dict[str, tuple[type[YadtqError], str]] = {
    "missing": (
        QueueMissing,
        "Redis has lost this queue: give it its data back, or restore what Kafka knows: `python server.py --rebuild`",
    ),
    "newer": (ProtocolTooNew, f"a newer YADTQ wrote this queue (this one speaks protocol {PROTOCOL}): update this one"),
    "full": (OutboxFull, "too many events wait in Redis for Kafka: start a worker, which sends them, or look at Kafka"),
    "stale": (StaleTake, "a later take has run already"),
    "lapsed": (LeaseLapsed, "the lease is over"),
    "restarted": (RedisRestarted, "Redis was restarted: the queue goes on when the event log in Kafka was compared"),
    "quarantine": (InQuarantine, "Redis was restarted: the queue goes on when all workers have said what they run"),
    "outdated": (Outdated, "another program leads Redis back, or has done so"),
}
TRIES = 3  # of a call whose connection breaks; of one that Redis does not answer, two

# Which files a script consists of, before its own.
READS = ("prelude", "opened")
CHANGES = (*READS, "transitions")
PARTS = {
    "begin": (),
    "apply": ("prelude", "leading", "transitions"),
    "open": ("prelude", "leading", "quarantine"),
    "take": (*CHANGES, "sweep"),
    **dict.fromkeys(("beat", "coordinate", "bury"), (*CHANGES, "sweep", "quarantine")),
    "confirm": (*CHANGES, "quarantine"),
    "leave": (*READS, "quarantine"),
    **dict.fromkeys(("list", "match"), (*READS, "places")),
    **dict.fromkeys(("register", "settle", "withdraw", "retry", "reset", "reposition", "tidy", "unfinished"), CHANGES),
}


@cache
def script(name: str) -> tuple[str, str]:
    """A script's text, with what it shares with others before it, and its SHA-1."""
    text = "\n".join((LUA / f"{part}.lua").read_text(encoding="utf-8") for part in (*PARTS.get(name, READS), name))
    return text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Scripts:
    """A Redis server, and the scripts of one queue on it. Thread-safe; connects when it is first used."""

    def __init__(self, settings: Settings) -> None:
        self.address = f"{settings.redis_host}:{settings.redis_port}"
        self._meta, self._settings = Keys(settings.namespace).meta, settings
        self.redis = redis.Redis(
            host=settings.redis_host,
            port=settings.redis_port,
            db=settings.redis_db,
            username=settings.redis_username or None,
            password=settings.redis_password or None,
            ssl=settings.redis_tls,
            ssl_ca_certs=settings.redis_ca_file or None,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=REPLY_SECONDS,
            retry=Retry(NoBackoff(), 0),  # `call` repeats: it must know whether a call may have run before
            redis_connect_func=_learn_run,  # type: ignore[arg-type]  # redis calls it with the connection
            health_check_interval=15,
            decode_responses=True,
            encoding_errors="backslashreplace",
        )

    def call(self, name: str, *arguments: str | int) -> Reply:
        """Runs a script. Raises ServerUnreachable, or what the word of its answer stands for."""
        return self.tried(name, *arguments)[0]

    def tried(self, name: str, *arguments: str | int) -> tuple[Reply, bool]:
        """The reply, and whether an earlier try may have run too: then only its reply was lost."""
        repeated = False
        with self.guarded():
            for tries_left in reversed(range(TRIES)):
                connection = self._connected(tries_left)
                try:
                    reply = self._run(connection, name, arguments)
                    break
                except (RedisConnectionError, RedisTimeoutError) as error:
                    connection.disconnect()
                    if tries_left == 0 or (repeated and isinstance(error, RedisTimeoutError)):
                        raise
                    repeated = True
                except ResponseError as error:
                    unreachable = ServerUnreachable("redis", _line(error, self._settings))
                    unreachable.nothing_changed = not repeated and _takes_no_writes(error)
                    raise unreachable from error
                finally:
                    self.redis.connection_pool.release(connection)
        if reply[0] != "ok":
            kind, message = REFUSALS[reply[0]]
            refusal = kind(message)
            refusal.nothing_changed = not repeated
            raise refusal
        return reply, repeated

    def _connected(self, tries_left: int) -> Any:
        """A connection of the pool. A server that was just restarted may need a moment."""
        while True:
            try:
                return self.redis.connection_pool.get_connection()
            except RedisConnectionError:
                if tries_left == 0:
                    raise
                tries_left -= 1
                time.sleep(RECONNECT_SECONDS)

    def _run(self, connection: Any, name: str, arguments: tuple[str | int, ...]) -> Reply:
        text, sha = script(name)
        tail = (1, self._meta, *arguments, connection.yadtq_run)
        connection.send_command("EVALSHA", sha, *tail)
        try:
            reply: Reply = connection.read_response()
        except NoScriptError:
            connection.send_command("EVAL", text, *tail)
            reply = connection.read_response()
        return reply

    def waited(self, bell: Bell, seconds: float, *command: str | int) -> Any:
        """The answer to a command for which Redis takes so many seconds; None when the bell has ended the wait."""
        connection: Any = self.redis.connection_pool.get_connection()
        try:
            connection.send_command(*command)
            late_at = time.monotonic() + seconds + REPLY_SECONDS
            if bell.hears(connection._sock.fileno(), seconds + REPLY_SECONDS):
                return self.redis.parse_response(connection, str(command[0]))  # type: ignore[no-untyped-call]  # no types
            connection.disconnect()  # its late answer would be taken for that of another command
        except BaseException:
            connection.disconnect()
            raise
        finally:
            self.redis.connection_pool.release(connection)
        if time.monotonic() >= late_at:
            raise RedisTimeoutError("Timeout reading from socket")
        return None

    def guarded(self) -> "_Guarded":
        return _Guarded(self._settings)


def _learn_run(connection: Any) -> None:
    """Opens a connection, and learns which run of the server it speaks to."""
    connection.on_connect()
    connection.send_command("INFO", "server")
    told = dict(line.split(":", 1) for line in connection.read_response().splitlines() if ":" in line)
    connection.yadtq_run = told["run_id"]


class _Guarded:
    """Turns what redis-py raises into ServerUnreachable with one line for a person."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (RedisError, OSError)) and not isinstance(error, YadtqError):
            raise ServerUnreachable("redis", _line(error, self._settings)) from error


def _takes_no_writes(error: Exception) -> bool:
    """Redis has refused the first write of a script: none was made."""
    return isinstance(error, (OutOfMemoryError, ReadOnlyError)) or str(error).startswith(("MISCONF", "OOM"))


def _line(error: Exception, settings: Settings) -> str:
    """One line: what happened, to what, what to do."""
    address, told = f"{settings.redis_host}:{settings.redis_port}", visible(str(error)[:200])
    where, away = f"Redis at {address}", f"Redis does not answer at {address}"
    if isinstance(error, NoPermissionError) or "ACL failure" in told:
        lacks = f"{where} lacks rights for the user {settings.redis_username!r} ({told})"
        return f"{lacks}: give it those of docs/security.md, or set REDIS_USERNAME and REDIS_PASSWORD"
    if isinstance(error, (AuthenticationError, AuthorizationError)) or "NOAUTH" in told:
        return f"{where} refuses this user or password: set REDIS_USERNAME and REDIS_PASSWORD"
    if isinstance(error, MovedError):
        node = told.split()[-1]
        return f"{where} is not the node of its cluster that has this queue, {node} is: set REDIS_HOST and REDIS_PORT"
    if isinstance(error, BusyLoadingError):
        return f"{where} is loading its data: wait until it is ready"
    if _takes_no_writes(error):
        return f"{where} refuses writes, nothing was changed: {told.partition(' script: ')[0]}"
    if isinstance(error, (RedisConnectionError, RedisTimeoutError, OSError)):
        problem = redis_misconfiguration(error, settings)
        return f"{where} {problem}" if problem else f"{away} ({told}): start it, or set REDIS_HOST and REDIS_PORT"
    if isinstance(error, ResponseError):
        return f"{where} answers with an error: {told}"
    return f"{where}: {told}"
