"""What the programs that look after a queue see of it: one picture, its parts, and pages of tasks. Plain values."""

from dataclasses import dataclass, field

from _yadtq.records import Health, Stats, Task, Worker


@dataclass(frozen=True, slots=True)
class Span:
    """What ended between two instants, seconds since 1970 by Redis' clock; `start` belongs to it, `end` does not."""

    start: float
    end: float
    success: int
    failed: int


@dataclass(frozen=True, slots=True)
class Casualty:
    """A task that a failed worker held. begun: its handler had been started. status: what it is now; '' gone."""

    id: str
    begun: bool
    status: str = ""


@dataclass(frozen=True, slots=True)
class WorkerFailure:
    """A worker that was lost. worker: its incarnation. last_seen: its last heartbeat; at: when its tasks were put back.

    reason: for a person. tasks: what it held, at most 20 of them; count: of all of them.
    """

    worker: str
    worker_id: str
    host: str
    last_seen: float
    at: float
    reason: str
    count: int
    tasks: tuple[Casualty, ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """A coordinator (server.py) as it last reported. state: leading · standby · offline."""

    id: str
    state: str
    last_seen: float
    started_at: float
    host: str
    process: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The queue at one instant, `at`, by Redis' clock.

    waiting_seconds: age of the task that waits longest for its first start; 0.0 when none does.
    quarantine: Redis was restarted, and tasks are handed out when all workers have said what they hold.
    spans: what ended in the last hour, oldest first. lag: partition → messages that nobody has read; None: Kafka does
    not answer. failures: the newest first. relay: who sends the events, '' nobody. health: of both servers.
    """

    at: float
    stats: Stats
    workers: tuple[Worker, ...]
    servers: tuple[Server, ...]
    failures: tuple[WorkerFailure, ...]
    spans: tuple[Span, ...]
    waiting_seconds: float
    quarantine: bool
    relay: str
    lag: dict[int, int] | None
    health: Health = field(default_factory=Health)


@dataclass(frozen=True, slots=True)
class Page:
    """Tasks that match, newest first. next: place to go on at, None at the end. looked_at: tasks compared so far.

    complete: the page is full, or the end was reached; else time was over, and more may match from `next` on.
    """

    tasks: tuple[Task, ...]
    next: int | None
    looked_at: int
    complete: bool
