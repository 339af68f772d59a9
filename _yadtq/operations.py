"""What the programs that look after a queue see and do: one picture of it, pages of tasks, lost workers."""

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from _yadtq.connections import recovery, servers
from _yadtq.errors import ServerUnreachable, UsageError
from _yadtq.messages import decode
from _yadtq.records import LATEST, Health, stats_of, task_of, worker_of
from _yadtq.settings import Settings
from _yadtq.snapshots import Casualty, Page, Server, Snapshot, Span, WorkerFailure
from _yadtq.states import STATUSES

if TYPE_CHECKING:  # they bring redis and kafka with them
    from _yadtq.broker import Broker
    from _yadtq.oversight import Overview

HOUR_MS = 3_600_000  # of what ended, in a snapshot
KAFKA_SECONDS, AWAY_SECONDS = 1.0, 0.1  # for which a snapshot waits for Kafka; when it did not answer last
PLACES = 1000  # of a list that one call compares: it holds Redis for about two milliseconds
MOST_TASKS = 1000  # of one page
REASON_LENGTH = 300

Answer = TypeVar("Answer")


class Operator:
    """Thread-safe. Connects when it is first used.

    All methods raise ServerUnreachable, in one line, when Redis does not answer; also RedisRestarted and QueueMissing.
    """

    def __init__(self, settings: Settings) -> None:
        self._broker, self._store = servers(settings)
        self._recovery = recovery(self._store, self._broker)
        self._ends = _Ends(self._broker, settings.kafka_broker)

    def close(self) -> None:
        """Closes the connections."""
        self._ends.close()
        self._broker.close()
        self._store.close()

    # -- looking

    def snapshot(self, spans: int = 60, failures: int = 20) -> Snapshot:
        """The queue now. spans: into how many the last hour is cut. failures: how many of the newest come with it.

        When Kafka does not answer, `lag` is None and `health` says why.
        """
        self._ends.ask()
        span_ms = HOUR_MS // max(1, spans)
        overview = self._read(partial(self._store.overview, span_ms, spans, failures))
        workers = [worker_of(*row) for row in self._read(self._store.workers)]
        reply = self._read(self._store.stats)
        lost = self._failures(overview.failures)
        ends, problem = self._ends.answer()
        stats = stats_of(reply, workers, ends)
        positions = {int(p): int(o) for p, o in zip(reply[11][::2], reply[11][1::2], strict=True)}
        return Snapshot(
            at=overview.now / 1000,
            stats=stats,
            workers=tuple(workers),
            servers=_servers(overview),
            failures=lost,
            spans=tuple(_spans(overview, span_ms / 1000)),
            waiting_seconds=max(0, overview.now - (overview.waiting_since or overview.now)) / 1000,
            quarantine=overview.quarantine,
            relay=overview.relay,
            lag=None if ends is None else {p: max(0, end - positions.get(p, 0)) for p, end in sorted(ends.items())},
            health=Health(kafka=problem),
        )

    def page(
        self,
        status: str = "",
        task: str = "",
        worker: str = "",
        prefix: str = "",
        first: int = 0,
        count: int = 50,
        seconds: float = 0.15,
    ) -> Page:
        """Tasks that match, newest first; the one whose whole id is `prefix` comes before all others.

        status: a stored one, '' for all; so are task (its exact name), worker (worker_id) and prefix (beginning of the
        id). first: place in the list, from 0, or `next` of the page before. count: at most 1,000. seconds: after so
        long it ends with what was found. Raises UsageError for a status that does not exist.
        """
        if status and status not in STATUSES:
            raise UsageError(f"{status!r} is no status: expected {', '.join(STATUSES)}")
        late_at, wanted = time.monotonic() + seconds, min(count, MOST_TASKS)
        found = [prefix] if prefix and first == 0 and self._is(prefix, status, task, worker) else []
        place, more = max(0, first), True
        while more and len(found) < wanted:
            call = partial(
                self._store.match, status, task, worker, prefix, place, PLACES, wanted - len(found) + bool(prefix)
            )
            ids, looked, more = self._read(call)
            found += [task_id for task_id in ids if task_id != prefix]
            place += looked
            if time.monotonic() > late_at or (found and found[0] == prefix):  # the one that was meant, most likely
                break
        return Page(
            tasks=tuple(task_of(i, record) for i, record in zip(found, self._records(found), strict=True) if record),
            next=place if more else None,
            looked_at=place - max(0, first),
            complete=not more or len(found) >= wanted,
        )

    def failures(self, count: int = 100) -> tuple[WorkerFailure, ...]:
        """The workers that were lost last, the newest first, with what became of the tasks that they held.

        count: at most 1,000.
        """
        overview: Overview = self._read(partial(self._store.overview, HOUR_MS, 0, count))
        return self._failures(overview.failures)

    def health(self) -> Health:
        """Whether each server answers; never raises. Takes at most about four seconds for each that does not."""
        return Health(kafka=self._broker.problem(), redis=self._store.problem())

    # -- changing

    def bury(self, worker: str, reason: str) -> bool:
        """Declares an incarnation dead: its tasks go back now, and not when its lease is over.

        Only for whoever has seen that no process of it is left, no guard and no child either: else a task would run
        twice. reason: how it ended, for a person. Returns False when it has no lease, or none any more.
        """
        call = partial(self._store.bury, worker, secrets.token_hex(8), reason[:REASON_LENGTH])
        words = [self._read(call)]
        while words[-1] == "more":
            words.append(self._read(call))
        return words != ["absent"]

    # -- within

    def _read(self, call: Callable[[], Answer]) -> Answer:
        answer: Answer = self._recovery.opened(call)
        return answer

    def _records(self, ids: list[str]) -> list[dict[str, str]]:
        return self._read(partial(self._store.records, ids))

    def _is(self, task_id: str, status: str, task: str, worker: str) -> bool:
        """Whether there is a task with this very id, and it matches."""
        (record,) = self._records([task_id])
        wanted = {"status": status, "task": task, "worker_id": worker}
        return bool(record) and all(record.get(field) == value for field, value in wanted.items() if value)

    def _failures(self, entries: Iterable[str]) -> tuple[WorkerFailure, ...]:
        rows = [(facts, _held(facts)) for facts in map(_facts, entries)]
        ids = sorted({task_id for _, held in rows for task_id, _ in held})
        statuses = dict(zip(ids, self._read(partial(self._store.statuses, ids)), strict=True))
        return tuple(
            WorkerFailure(
                worker=str(facts.get("worker", "")),
                worker_id=str(facts.get("worker", "")).rpartition("~")[0],
                host=str(facts.get("host", "")),
                last_seen=_instant(facts.get("last_seen")),
                at=_instant(facts.get("at")),
                reason=str(facts.get("reason", "")),
                count=int(_instant(facts.get("count"))),
                tasks=tuple(Casualty(task_id, begun, statuses[task_id]) for task_id, begun in held),
            )
            for facts, held in rows
        )


class _Ends:
    """Where the partitions of the task topic end. Nobody waits long for Kafka: a late answer is for who asks next."""

    def __init__(self, broker: "Broker", address: str) -> None:
        self._broker, self._address = broker, address
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None
        self._found: tuple[dict[int, int] | None, str] = None, ""

    def close(self) -> None:
        if self._asking is not None:
            self._asking.join(KAFKA_SECONDS)

    def ask(self) -> None:
        """Asks Kafka, unless an answer is still awaited. Does not wait."""
        with self._lock:
            if self._asking is None or not self._asking.is_alive():
                self._asking = threading.Thread(target=self._look, name="kafka-ends", daemon=True)
                self._asking.start()

    def answer(self) -> tuple[dict[int, int] | None, str]:
        """Partition → end offset, and ''; or None, and why not."""
        asking, (_, before) = self._asking, self._found
        if asking is not None:
            asking.join(AWAY_SECONDS if before else KAFKA_SECONDS)
            if asking.is_alive():
                return None, before or f"Kafka does not answer at {self._address}: start it or set KAFKA_BROKER"
        return self._found

    def _look(self) -> None:
        try:
            self._found = self._broker.ends(), ""
        except ServerUnreachable as error:
            self._found = None, str(error)


# -- what the script overview answers ----------------------------------------------------------------------------------


def _spans(overview: "Overview", seconds: float) -> Iterator[Span]:
    begins = overview.now / 1000 - seconds * len(overview.ended)
    for number, (success, failed) in enumerate(overview.ended):
        yield Span(begins + number * seconds, begins + (number + 1) * seconds, success, failed)


def _servers(overview: "Overview") -> tuple[Server, ...]:
    """The leading one first, then the one that was heard of last."""
    found = [_server(name, _facts(text), overview) for name, text in overview.servers.items()]
    return tuple(sorted(found, key=lambda server: (server.state != "leading", -server.last_seen, server.id)))


def _server(name: str, facts: dict[str, Any], overview: "Overview") -> Server:
    about, seen = _facts(facts.get("about")), _instant(facts.get("last_seen"))
    silent = overview.now / 1000 - seen > _instant(facts.get("lease")) / 1000
    away = silent or facts.get("state") == "offline"
    return Server(
        id=name,
        state="offline" if away else "leading" if name == overview.leader else "standby",
        last_seen=seen,
        started_at=_instant(facts.get("started_at")),
        host=str(about.get("host", "")),
        process=int(_instant(about.get("process"))),
    )


def _held(facts: dict[str, Any]) -> list[tuple[str, bool]]:
    rows = facts.get("tasks")
    pairs = (row for row in rows if isinstance(row, list) and len(row) == 2) if isinstance(rows, list) else ()
    return [(str(task_id), bool(begun)) for task_id, begun in pairs]


def _facts(text: Any) -> dict[str, Any]:
    """A JSON object; what somebody wrote by hand and is none counts as empty."""
    try:
        value = decode(text) if isinstance(text, str) else {}
    except ValueError:
        value = {}
    return value if isinstance(value, dict) else {}


def _instant(value: Any) -> float:
    """A number that is no less than 0, and no later instant than a calendar could show."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if 0 <= number < LATEST else 0.0
