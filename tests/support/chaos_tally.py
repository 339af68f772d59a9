"""The same count for every task queue, from the ledger that its handlers have written. Pure."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tests.support.ledger import RETURNED, Run


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of tasks.

    succeeded: ended at least once. lost: never ended. restarts: starts but the first one. twice: tasks that ran to
    their end more than once. overlaps: starts while another run of that task lasted. seconds: from the submission of
    the first to the end of the last, nan when some never ended.
    """

    submitted: int
    succeeded: int
    restarts: int
    twice: int
    overlaps: int
    seconds: float

    @property
    def lost(self) -> int:
        return self.submitted - self.succeeded


def tally(tasks: Collection[str], runs: Sequence[Run], began: float) -> Tally:
    """Counts. began: when the first task was submitted, monotonic seconds."""
    ours = [run for run in runs if run.task in tasks]
    ends = Counter(run.task for run in ours if run.how == RETURNED)
    first_ends: dict[str, float] = {}
    for run in ours:
        if run.how == RETURNED and run.ended is not None:
            first_ends[run.task] = min(run.ended, first_ends.get(run.task, run.ended))
    return Tally(
        submitted=len(tasks),
        succeeded=len(ends),
        restarts=len(ours) - len({run.task for run in ours}),
        twice=sum(count > 1 for count in ends.values()),
        overlaps=sum(not run.alone for run in ours),
        seconds=max(first_ends.values()) - began if len(ends) == len(tasks) else float("nan"),
    )


COLUMNS = ("succeeded", "lost", "started again", "ran to the end twice", "two runs at once", "seconds")


def table(rows: Sequence[tuple[str, Tally]]) -> list[str]:
    """The counts of several task queues, in lines for a person."""
    width = max(len(name) for name, _ in rows)
    lines = [f"{'':{width}}  {'  '.join(COLUMNS)}"]
    for name, count in rows:
        values = [
            f"{count.succeeded}/{count.submitted}", str(count.lost), str(count.restarts), str(count.twice),
            str(count.overlaps), f"{count.seconds:.1f}",
        ]  # fmt: skip
        cells = [f"{value:>{len(column)}}" for value, column in zip(values, COLUMNS, strict=True)]
        lines.append(f"{name:{width}}  {'  '.join(cells)}")
    return lines
