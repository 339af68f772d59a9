"""The ledger of a chaos run: what clients, handlers and watchers wrote down, outside Redis and Kafka.

Every writer has a file of its own and appends one synced line for each thing that happened, before it goes on: what
stands there survives the death of anybody. All instants are seconds of the machine's monotonic clock.
"""

import dataclasses
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.event_log import EventLog

ATTEMPTED, ACKNOWLEDGED, REFUSED, UNKNOWN = "attempted", "acknowledged", "refused", "unknown"
RETURNED, RAISED, EXITED = "returned", "raised", "exited"  # how a run says that it ends


@dataclass(frozen=True, slots=True)
class Submission:
    """One line of a client: it attempted to submit a task, or learned what became of that."""

    kind: str
    task: str
    at: float


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a handler.

    process: number and start time of its process, which nothing else ever has. ended: None, no end line. how: RETURNED,
    RAISED, EXITED or ''. alone: the lock of the task was free, so every earlier run of it was over.
    """

    task: str
    attempt: int
    worker: str
    process: str
    started: float
    ended: float | None = None
    how: str = ""
    alone: bool = True


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was done to the system, from `began` to `ended`.

    workers, processes: whom it hit so hard that what ran there may start again. mends: how the system gets to know of
    it: 'seen' at once, 'unseen' when a lease lapses, 'outage' when a server is back. forgets_since: Redis came back as
    it was at that instant (0: empty); None: it came back with all that it had.
    """

    kind: str
    began: float
    ended: float
    workers: frozenset[str] = frozenset()
    processes: frozenset[str] = frozenset()
    mends: str = "unseen"
    forgets_since: float | None = None

    def hit(self, run: Run) -> bool:
        return run.worker in self.workers or run.process in self.processes


@dataclass(frozen=True, slots=True)
class Reset:
    """A reset that was asked for. certain: it has answered."""

    began: float
    returned: float
    certain: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """A task as the public API showed it at an instant."""

    task: str
    status: str
    finished_at: float | None
    attempt: int
    at: float


@dataclass(frozen=True, slots=True)
class History:
    """All that is known of a run. Nothing in it can be asked of the system again.

    deaths: process → when it was seen dead. readings: what the API showed while the system ran, and changed. final:
    what it shows of every task in the end. log: the event log. last_event: the (generation, seq) that Redis has counted
    up to. messages: ids of the messages in `yadtq_tasks`; None: nobody has looked, what was acknowledged is there.
    """

    submissions: Sequence[Submission] = ()
    runs: Sequence[Run] = ()
    deaths: Mapping[str, float] = field(default_factory=dict)
    faults: Sequence[Fault] = ()
    resets: Sequence[Reset] = ()
    readings: Sequence[Reading] = ()
    final: Mapping[str, Reading] = field(default_factory=dict)
    log: EventLog = field(default_factory=EventLog)
    last_event: tuple[int, int] = (1, 0)
    messages: frozenset[str] | None = None

    def save(self, path: Path) -> None:
        """Writes it as JSON, for a person who looks for a cause."""
        path.write_text(json.dumps(dataclasses.asdict(self), default=sorted, indent=1), encoding="utf-8")


class Lines:
    """A file of one writer. Each line is on the disk when `write` returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_DSYNC | os.O_CLOEXEC
        self._handle = os.open(path, flags, 0o644)

    def write(self, *values: object) -> None:
        os.write(self._handle, f"{json.dumps(values)}\n".encode())

    def close(self) -> None:
        os.close(self._handle)


def read_lines(folder: Path) -> Iterator[list[Any]]:
    """All whole lines of all files of a folder."""
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)


def clients_folder(ledger: Path) -> Path:
    return ledger / "clients"


def runs_folder(ledger: Path) -> Path:
    return ledger / "runs"


def submissions(ledger: Path) -> list[Submission]:
    """What all clients wrote, in the order of time."""
    return sorted((Submission(*values) for values in read_lines(clients_folder(ledger))), key=lambda each: each.at)


def runs(ledger: Path) -> list[Run]:
    """What all handlers wrote, in the order of their starts."""
    found: dict[tuple[str, str], list[Run]] = {}
    for values in read_lines(runs_folder(ledger)):
        if values[0] == "start":
            _, task, attempt, worker, process, at, alone = values
            found.setdefault((process, task), []).append(Run(task, attempt, worker, process, at, alone=alone))
        else:
            how, task, process, at = values
            of_process = found[process, task]
            of_process[-1] = dataclasses.replace(of_process[-1], ended=at, how=how)
    return sorted((run for each in found.values() for run in each), key=lambda run: run.started)


def identity(process: int) -> str | None:
    """Number and start time (clock ticks since boot) of a process; None when there is none."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return f"{process}-{text.rpartition(')')[2].split()[19]}"


def now() -> float:
    return time.monotonic()
