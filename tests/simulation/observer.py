"""What is seen from outside while a schedule is played: who was told what, and what has run where and when."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from _yadtq.jobs import Job
from tests.simulation.server import Part
from tests.simulation.stage import Process, Stage

# What a client knows of a submission. unwritten: it was told that a server does not answer, and of no task.
ATTEMPTED, ACKNOWLEDGED, REFUSED, UNKNOWN, UNWRITTEN = "attempted", "acknowledged", "refused", "unknown", "unwritten"


class Violation(AssertionError):
    """The promise is broken."""


@dataclass(eq=False)
class Run:
    """One start of a handler. how: it ended, '' while it runs. token: of its claim."""

    task_id: str
    attempt: int
    token: str
    worker: str
    epoch: str
    began_at: float
    how: str = ""


@dataclass(eq=False)
class Submitted:
    """One submission of one task: what its client knows of it. name: as Redis knows this submission."""

    name: str
    task_id: str
    word: str = ATTEMPTED


@dataclass
class Observer:
    """epochs: token of a take → its epoch. registered, marks: submission, and mark → at which call it was registered.

    resets: token of a reset → at which call it ran; began_by: → the epoch that it began. promised: requests of resets
    that were answered. forgotten: numbers of events that Redis came back without while Kafka did not have them; None:
    it never did.
    """

    stage: Stage
    calls: int = 0
    runs: list[Run] = field(default_factory=list)
    open: dict[tuple[str, str], Run] = field(default_factory=dict)
    submissions: list[Submitted] = field(default_factory=list)
    foreign: set[str] = field(default_factory=set)
    epochs: dict[str, str] = field(default_factory=dict)
    registered: dict[str, int] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    resets: dict[str, int] = field(default_factory=dict)
    began_by: dict[str, int] = field(default_factory=dict)
    promised: set[str] = field(default_factory=set)
    forgotten: set[int] | None = None
    _requests: dict[str, str] = field(default_factory=dict)  # process → its last reset

    def begin(self, process: Process, job: Job) -> Run:
        """A child begins a job. Raises Violation when the task runs elsewhere."""
        _, _, token = job.claim.rpartition("@")
        run = Run(job.task_id, job.attempt, token, process.name, self.epochs[token], self.stage.now)
        other = self.open.get((run.epoch, run.task_id))
        if other is not None:
            raise Violation(
                f"overlap: attempt {run.attempt} of task {run.task_id} begins in {run.worker}, "
                f"and attempt {other.attempt} still runs in {other.worker}"
            )
        self.open[(run.epoch, run.task_id)] = run
        self.runs.append(run)
        return run

    def end(self, run: Run, how: str) -> None:
        run.how = how
        del self.open[(run.epoch, run.task_id)]

    def submitted(self, name: str, task_id: str) -> Submitted:
        """A client is about to submit."""
        row = Submitted(name, task_id)
        self.submissions.append(row)
        return row

    def ran(self, process: Process, script: str, arguments: Sequence[Part], reply: Sequence[Any]) -> None:
        """A script has run and was not refused."""
        self.calls += 1
        if script == "take":
            self.epochs[reply[2]] = reply[1]
        elif script == "register":
            self.marks.setdefault(f"{reply[1]}-{reply[3]}", self.calls)
            for number, word in enumerate(reply[4:]):
                if word.startswith(("publish", "known")):
                    self.registered.setdefault(str(arguments[9 + 7 * number]), self.calls)
        elif script == "reset":
            self.resets.setdefault(reply[3], self.calls)
            self.began_by[reply[3]] = int(reply[1])
            self._requests[process.name] = str(arguments[0])

    def reset_done(self, client: str) -> None:
        """A client was told that its reset is done."""
        self.promised.add(self._requests[client])

    def forgets(self, outbox: Sequence[Any]) -> None:
        """Redis goes back. outbox: what only it knew."""
        self.forgotten = (self.forgotten or set()) | {int(entry.rpartition("-")[2]) for entry, _ in outbox}
