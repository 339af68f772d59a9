"""What the queue tells about itself: a task, its attempts, a worker, the counts. Plain values, read from Redis."""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from _yadtq.birth import birth_of
from _yadtq.failure import Failure
from _yadtq.messages import decode, encode
from _yadtq.states import FINAL, STATUSES

LATEST = 1e11  # seconds since 1970, the year 5138: what is later is no instant, and no calendar could show it


@dataclass(frozen=True, slots=True)
class Attempt:
    """One start of a task. Instants are seconds since 1970 by Redis' clock; 0.0: not yet.

    outcome: '' running · success · failed · retry (raised, tried again) · crash (its process died) ·
    reclaim (its worker's lease lapsed) · release (given back by a worker that stopped) · refused (came too late).
    reason: for a person; '' for success.
    """

    number: int
    worker_id: str
    started_at: float
    finished_at: float
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Task:
    """A task as Redis has it. `args`, `kwargs` and `result` are JSON values; numbers with a point are Decimal.

    status: queued · processing · success · failed · rejected. attempt: starts so far. failures: those that raised.
    crashes: those whose process or worker died. Instants are seconds since 1970 by Redis' clock; 0.0: not yet.
    history: earlier attempts, oldest first, at most 20; `attempts` adds the latest one.
    message: the bytes of a rejected message (at most 100,000 of them), else b''.
    """

    id: str
    status: str
    task: str
    args: list[Any]
    kwargs: dict[str, Any]
    result: Any = None
    error: Failure | None = None
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    worker_id: str = ""
    submitted_by: str = ""
    submitted_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    retry_at: float = 0.0
    history: tuple[Attempt, ...] = ()
    message: bytes = b""

    @property
    def ended(self) -> bool:
        return self.status in FINAL

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """All known attempts, oldest first, the latest one included."""
        if not self.attempt or any(a.number == self.attempt and a.outcome != "refused" for a in self.history):
            return self.history
        reason = str(self.error) if self.error else ""
        outcome = self.status if self.ended else ""
        latest = Attempt(self.attempt, self.worker_id, self.started_at, self.finished_at, outcome, reason)
        return (*self.history, latest)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a task. kind: positional · variadic · keyword. annotation: '' where there is none."""

    name: str
    kind: str
    required: bool
    annotation: str


@dataclass(frozen=True, slots=True)
class Signature:
    """What a worker says of a task that it runs: its name, parameters and the first line of its docstring."""

    name: str
    parameters: tuple[Parameter, ...]
    about: str


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker as it last reported. id: its incarnation, worker_id + '~' + 8 random characters.

    state: online · draining · offline. last_seen, started_at: seconds since 1970. slots: tasks it runs at once;
    busy: how many of them are running now. tasks_executed: tasks that it has ended since its start.
    birth: what tells its process from every other one, '' where a system does not tell.
    """

    id: str
    worker_id: str
    state: str
    last_seen: float
    started_at: float
    host: str
    process: int
    slots: int
    busy: int
    tasks_executed: int
    tasks: tuple[Signature, ...] = ()
    running: tuple[str, ...] = ()
    birth: str = ""


@dataclass(frozen=True, slots=True)
class Stats:
    """The queue at one instant. counts: stored status → tasks. unread: messages that Kafka holds and nobody has read
    (None: Kafka does not answer). outbox: events that wait for Kafka. epoch: resets so far."""

    counts: dict[str, int]
    workers: int
    slots: int
    busy: int
    ready: int
    delayed: int
    unread: int | None
    outbox: int
    epoch: int
    generation: int


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the servers answer: '' when they do, else one line that says what is wrong."""

    kafka: str = ""
    redis: str = ""


def task_of(task_id: str, record: dict[str, str]) -> Task:
    """A task from the fields of its record, as Redis has them."""
    return Task(
        id=task_id,
        status=record["status"],
        task=record.get("task", ""),
        args=_json(record.get("args"), []),
        kwargs=_json(record.get("kwargs"), {}),
        result=_json(record.get("result"), None),
        error=_failure(record.get("error")),
        attempt=_count(record.get("attempt")),
        failures=_count(record.get("failures")),
        crashes=_count(record.get("crashes")),
        worker_id=record.get("worker_id", ""),
        submitted_by=record.get("submitted_by", "").split("#")[0],
        submitted_at=_instant(record.get("submitted_at")),
        started_at=_instant(record.get("started_at")),
        finished_at=_instant(record.get("finished_at")),
        retry_at=_instant(record.get("retry_at")),
        history=tuple(_attempt(entry) for entry in _json(record.get("history"), []) if isinstance(entry, dict)),
        message=_bytes(record.get("message", "")),
    )


def worker_of(incarnation: str, live: bool, fields: dict[str, str]) -> Worker:
    """A worker from the fields of its record."""
    about = _json(fields.get("about"), {})
    running = fields.get("running", "").split("\n") if fields.get("running") else []
    return Worker(
        id=incarnation,
        worker_id=incarnation.rpartition("~")[0] or incarnation,
        state=fields.get("state", "online") if live else "offline",
        last_seen=_instant(fields.get("last_seen")),
        started_at=_instant(fields.get("started_at")),
        host=str(about.get("host", "")),
        process=_count(about.get("process")),
        slots=_count(fields.get("slots")),
        busy=len(running) if live else 0,
        tasks_executed=_count(fields.get("executed")),
        tasks=tuple(_signatures(about.get("tasks"))),
        running=tuple(line.rpartition("@")[0] for line in running) if live else (),
        birth=str(about.get("birth", "")),
    )


def stats_of(reply: list[Any], workers: list[Worker], ends: dict[int, int] | None) -> Stats:
    """The queue at one instant, from the answer of the script `stats` and the end offsets of the task topic."""
    epoch, generation = int(reply[1]), int(reply[2])
    registered, ready, delayed, processing, success, failed, rejected, outbox = (int(value) for value in reply[3:11])
    positions = {int(p): int(o) for p, o in zip(reply[11][::2], reply[11][1::2], strict=True)}
    live = [worker for worker in workers if worker.state != "offline"]
    counts = (registered + ready + delayed, processing, success, failed, rejected)
    return Stats(
        counts=dict(zip(STATUSES, counts, strict=True)),
        workers=len(live),
        slots=sum(worker.slots for worker in live),
        busy=sum(worker.busy for worker in live),
        ready=ready,
        delayed=delayed,
        unread=None if ends is None else sum(max(0, end - positions.get(p, 0)) for p, end in ends.items()),
        outbox=outbox,
        epoch=epoch,
        generation=generation,
    )


def about_worker(host: str, process: int, tasks: Iterable[Signature]) -> str:
    """What a worker says of itself once, as JSON."""
    rows = [
        {
            "name": t.name,
            "about": t.about,
            "parameters": [[p.name, p.kind, p.required, p.annotation] for p in t.parameters],
        }
        for t in tasks
    ]
    return encode({"host": host, "process": process, "birth": birth_of(process), "tasks": rows})


# What cannot be read, because somebody wrote it by hand or because it is nested too deeply for this stack, counts as
# absent, or stands there as text: it must not hide the rest of a record, nor the other records.


def _json(text: str | None, absent: Any) -> Any:
    """JSON of the kind of `absent` (None: of any kind)."""
    if not text:
        return absent
    try:
        value = decode(text)
    except ValueError:
        value = text
    if absent is None or type(value) is type(absent):
        return value
    return [value] if absent == [] else {"": value}


def _count(text: Any) -> int:
    try:
        return max(0, int(text))
    except (TypeError, ValueError, OverflowError):
        return 0


def _instant(text: Any) -> float:
    try:
        instant = float(text)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return instant if 0 <= instant < LATEST else 0.0


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except ValueError:
        return text.encode("utf-8", "backslashreplace")


def _failure(text: str | None) -> Failure | None:
    fields = _json(text, {})
    if "type" not in fields:
        return None
    return Failure(str(fields["type"]), str(fields.get("message", "")), str(fields.get("traceback", "")))


def _attempt(entry: dict[str, Any]) -> Attempt:
    return Attempt(
        number=_count(entry.get("n")),
        worker_id=str(entry.get("w", "")),
        started_at=_instant(entry.get("s")),
        finished_at=_instant(entry.get("f")),
        outcome=str(entry.get("o", "")),
        reason=str(entry.get("r", "")),
    )


def _signatures(rows: Any) -> Iterator[Signature]:
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and "name" in row:
            given = row.get("parameters")
            parameters = (p for p in given if isinstance(p, list) and len(p) == 4) if isinstance(given, list) else ()
            read = tuple(Parameter(str(p[0]), str(p[1]), bool(p[2]), str(p[3])) for p in parameters)
            yield Signature(str(row["name"]), read, str(row.get("about", "")))
