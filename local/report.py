"""What a running manager tells about itself: a file that it replaces each second, beside the file of its process.

A file and no socket: nobody has to answer, so it can be read at any time and by `cat`, also when the manager is busy,
hangs, or was killed; there is no protocol, no second thread, and nothing that another user could send.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yadtq
from local import process
from local.crew import Row

STALE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Place:
    """The manager's own folder: its state, its process, its lock, and the pid files of its workers."""

    folder: Path

    @classmethod
    def in_logs(cls, log_folder: Path) -> "Place":
        return cls(log_folder / "manager")

    @property
    def state(self) -> Path:
        return self.folder / "state.json"

    @property
    def pid_file(self) -> Path:
        return self.folder / "manager.pid"


@dataclass(frozen=True, slots=True)
class Report:
    """A manager at one instant. at: seconds since 1970. state: running · draining. why: of its number of workers.

    problem: what is wrong with the queue's servers, '' nothing. unburied: dead workers that Redis was not told of yet.
    """

    at: float
    process: int
    state: str
    minimum: int
    maximum: int
    target: int
    why: str
    problem: str
    unburied: int
    workers: tuple[Row, ...]


def write(place: Place, report: Report) -> None:
    """Replaces the file; a reader sees the old one or the new one. Raises OSError."""
    new = place.state.with_name(place.state.name + ".new")
    new.write_text(json.dumps(asdict(report)), encoding="utf-8")
    os.replace(new, place.state)


def read(place: Place) -> Report | None:
    """What the running manager has told last; None: none runs, or it has told nothing yet."""
    if process.running(place.pid_file) is None:
        return None
    try:
        found: dict[str, Any] = json.loads(place.state.read_text(encoding="utf-8"))
        rows = tuple(Row(**row) for row in found.pop("workers"))
        report = Report(**found, workers=rows)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return report if report.process == process.running(place.pid_file) else None


def as_json(report: Report) -> str:
    return json.dumps(asdict(report))


def as_text(report: Report, now: float) -> list[str]:
    """The lines for a person. now: seconds since 1970."""
    online = sum(row.state == "online" for row in report.workers)
    lines = [
        f"manager: process {report.process}, {report.state}; {online} of {report.target} workers online "
        f"({report.minimum} to {report.maximum} may run): {report.why}"
    ]
    if report.problem:
        lines.append(f"queue: {report.problem}")
    if report.unburied:
        lines.append(f"dead workers whose tasks Redis must still be told to give back: {report.unburied}")
    if now > report.at + STALE_SECONDS:
        lines.append(f"this is {now - report.at:.0f} s old: the manager hangs, or its disk is full; read its log")
    head = ("worker", "state", "process", "since", "restarts", "running", "executed", "last end")
    lines += _table([head, *(_cells(row) for row in report.workers)])
    return [yadtq.visible(line) for line in lines]


def _cells(row: Row) -> tuple[str, ...]:
    since = f"in {row.since:.0f} s" if row.state == "waiting" else f"{row.since:.0f} s"
    pid, running = str(row.process or "-"), f"{row.busy}/{row.slots}"
    cells = (row.name, row.state, pid, since, str(row.restarts), running, str(row.executed), row.reason or "-")
    return tuple(map(yadtq.visible, cells))


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
