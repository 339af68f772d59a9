"""When jobs ended, seen from outside: how many have, asked again and again, in the same way for every task queue."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 60.0  # without any job that ends

Look = tuple[float, int]


class Stalled(Exception):
    """No job has ended for a long while."""


@dataclass(frozen=True, slots=True)
class Completions:
    """began: when the process of the worker was started. looks: instants, each with how many jobs had ended by then."""

    began: float
    looks: Sequence[Look]

    @property
    def total(self) -> int:
        return self.looks[-1][1]

    @property
    def steady(self) -> float:
        """Jobs a second from the tenth to the ninetieth of a hundred."""
        first = self._reached(0.1)
        last = self._reached(0.9)
        return (last[1] - first[1]) / (last[0] - first[0])

    @property
    def from_start(self) -> float:
        """Jobs a second from the start of the worker's process until all have ended."""
        return self.total / (self.looks[-1][0] - self.began)

    def _reached(self, share: float) -> Look:
        return next(look for look in self.looks if look[1] >= share * self.total)


def watch(count: Callable[[], int], total: int, began: float) -> Completions:
    """Looks until all jobs have ended. count: how many have. began: on the clock of time.perf_counter.

    Raises Stalled.
    """
    looks: list[Look] = []
    changed = time.perf_counter()
    while True:
        now, ended = time.perf_counter(), count()
        if not looks or ended != looks[-1][1]:
            changed = now
        looks.append((now, ended))
        if ended >= total:
            return Completions(began, looks)
        if now - changed > PATIENCE_SECONDS:
            raise Stalled(f"{ended:,} of {total:,} jobs have ended, and no more in {PATIENCE_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)
