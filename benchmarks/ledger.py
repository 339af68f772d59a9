"""What jobs have noted about themselves: which slot ran which, from when to when, and what free slots missed.

A slot is one child process of one worker. All instants are seconds of the machine's monotonic clock.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job, in one slot."""

    task: str
    slot: str
    began: float
    ended: float


def runs_in(folder: Path) -> list[Run]:
    """The runs that the files of a folder tell of, in the order in which they began."""
    found = [
        _run(file.name, line) for file in folder.iterdir() for line in file.read_text(encoding="ascii").splitlines()
    ]
    return sorted(found, key=lambda run: run.began)


def _run(slot: str, line: str) -> Run:
    task, began, ended = line.split()
    return Run(task, slot, float(began), float(ended))


def rate(runs: Sequence[Run]) -> float:
    """Jobs a second, from the first start to the last end."""
    return len(runs) / (max(run.ended for run in runs) - min(run.began for run in runs))


def steady_rate(runs: Sequence[Run]) -> float:
    """Jobs a second between the end of the first tenth and the end of the ninth."""
    ends = sorted(run.ended for run in runs)
    first, last = len(ends) // 10, len(ends) - 1 - len(ends) // 10
    return (last - first) / (ends[last] - ends[first])


def gaps(runs: Sequence[Run]) -> list[float]:
    """Seconds between the end of each run and the beginning of the next one in the same slot."""
    pairs = itertools.chain.from_iterable(map(itertools.pairwise, _by_slot(runs)))
    return [after.began - before.ended for before, after in pairs]


def _by_slot(runs: Sequence[Run]) -> Iterator[list[Run]]:
    in_order = sorted(runs, key=lambda run: (run.slot, run.began))
    return (list(of_slot) for _, of_slot in itertools.groupby(in_order, key=lambda run: run.slot))


def missed(runs: Sequence[Run], ready: Mapping[str, float], slots: int) -> list[float]:
    """For each start: seconds for which its slot had been free while some task was ready and had not begun.

    ready: task → when its submission was acknowledged. slots: how many there are; one that never ran anything missed
    all the time in which a task waited, and so did one that ran nothing more in the end.
    """
    waiting = merged((min(ready[run.task], run.began), run.began) for run in runs)
    found: list[float] = []
    used = 0
    for of_slot in _by_slot(runs):
        used, free_since = used + 1, 0.0
        for run in of_slot:
            found.append(overlap(waiting, (free_since, run.began)))
            free_since = run.ended
        unseen = overlap(waiting, (free_since, float("inf")))
        found += [unseen] if unseen > 0 else []
    return found + [overlap(waiting, (0.0, float("inf")))] * (slots - used)


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same stretches of time, in order, none of which touches another one."""
    found: list[Span] = []
    for began, ended in sorted(spans):
        if found and began <= found[-1][1]:
            found[-1] = (found[-1][0], max(ended, found[-1][1]))
        else:
            found.append((began, ended))
    return found


def overlap(spans: Iterable[Span], within: Span) -> float:
    """How much of the stretches lies within one."""
    return sum(_common(spans, within))


def _common(spans: Iterable[Span], within: Span) -> Iterator[float]:
    for began, ended in spans:
        yield max(0.0, min(ended, within[1]) - max(began, within[0]))
