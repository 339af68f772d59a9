"""What a benchmark measures: a figure beside its goal."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound that a figure should keep. sense: 'at least' or 'at most'. bound: in the unit of the figure."""

    sense: Literal["at least", "at most"]
    bound: float

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.sense == "at least" else value <= self.bound


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity.

    row: of the table of goals, 1 to 8. name: unique within a run. samples: one value a round, or a single one.
    goal: None for what stands there to compare with. note: a measured fact that explains it, in one sentence.
    """

    row: int
    name: str
    unit: str
    samples: tuple[float, ...]
    goal: Goal | None = None
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def is_met(self) -> bool:
        """Whether the median keeps the goal; what has none is never missed."""
        return self.goal is None or self.goal.is_met(self.median)


def at_least(bound: float) -> Goal:
    return Goal("at least", bound)


def at_most(bound: float) -> Goal:
    return Goal("at most", bound)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie: one that was measured, none in between."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
