"""Every interleaving of one mode, breadth first: the first counterexample that is found is a shortest one.

Of a state that was seen only the hash is kept (64 bits): among ten million states the chance that any two share one is
one in three hundred thousand. Before it is compared, a state is brought to its plainest form (plain.py).
"""

import gc
import time
from array import array
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from docs.model import observer
from docs.model.plain import plain
from docs.model.programs import Setup, World, client_steps, reset_steps, sweeper_steps
from docs.model.recovery import nothing, recovery_steps, restart_steps
from docs.model.servers import held_steps, house_steps, kafka_steps, relay_steps, time_steps
from docs.model.state import (
    NOWHERE,
    OPEN,
    Client,
    Event,
    Ghost,
    Recoverer,
    Redis,
    Seat,
    State,
    Violation,
    Worker,
    put,
)  # fmt: skip
from docs.model.workers import worker_steps

STEPS = (client_steps, kafka_steps, worker_steps, time_steps, held_steps, relay_steps, recovery_steps)
FAULTS = {  # steps that begin with one of these faults
    sweeper_steps: ("sweep",),
    reset_steps: ("reset",),
    house_steps: ("expire", "requeue"),
    restart_steps: ("restart", "durable", "rollback", "lose", "again"),
}
STUCK = "stuck: without a further fault, nothing ends an acknowledged task or opens the queue any more"


class Finding(NamedTuple):
    """What an exploration found. violation: '' when the mode holds. trace: the steps to it. complete: all was seen."""

    violation: str
    trace: list[str]
    states: int
    seconds: float
    complete: bool


class Explorer:
    """Explores one mode. limit: seconds after which it gives up."""

    def __init__(self, setup: Setup, rules: frozenset[str], limit: float = 600.0) -> None:
        self._setup = setup
        self._faults = {name: place for place, (name, _) in enumerate(setup.faults)}
        self._world = World(rules, setup)
        self._sources = (*STEPS, *(steps for steps, needed in FAULTS.items() if set(needed) & set(self._faults)))
        self._limit = limit
        self._numbers: dict[int, int] = {}  # hash of a state → its number
        self._parents = array("i")
        self._good = bytearray()  # whether a state keeps the promise and is open
        self._ends = array("q")  # of each state: where its steps end in _targets
        self._targets = array("i")  # where steps without a fault lead, state after state

    def run(self) -> Finding:
        """The whole exploration."""
        was_enabled = gc.isenabled()
        gc.disable()  # there are no cycles: twice as fast
        try:
            return self._run(time.perf_counter())
        finally:
            if was_enabled:
                gc.enable()

    def _run(self, began: float) -> Finding:
        start = plain(self._world, first(self._setup))
        self._number(start, NOWHERE)
        queue = deque([start])
        while queue:
            here = len(self._ends)
            if not here % 512 and time.perf_counter() - began > self._limit:
                return Finding("", [], len(self._parents), time.perf_counter() - began, False)
            found = self._expand(here, queue.popleft(), queue)
            if found:
                label, violation = found
                trace = [*self._trace(here), label]
                return Finding(violation, trace, len(self._parents), time.perf_counter() - began, True)
        stuck = self._stuck()
        trace = [] if stuck is None else self._trace(stuck)
        violation = "" if stuck is None else STUCK
        return Finding(violation, trace, len(self._parents), time.perf_counter() - began, True)

    def _number(self, state: State, parent: int) -> int:
        number = self._numbers[hash(state)] = len(self._parents)
        self._parents.append(parent)
        self._good.append(state.redis.mode == OPEN and observer.promised(state, self._setup.clients))
        return number

    def _expand(self, here: int, state: State, queue: "deque[State]") -> tuple[str, str] | None:
        """All steps from a state. Returns the label and the violation of one that breaks the promise."""
        for label, fault, after in self._steps(state):
            if isinstance(after, str):
                return label, after
            number = self._numbers.get(hash(after))
            if number is None:
                number = self._number(after, here)
                queue.append(after)
            if not fault and number != here:
                self._targets.append(number)
        self._ends.append(len(self._targets))
        return None

    def _steps(self, state: State) -> Iterator[tuple[str, str, State | str]]:
        world, left = self._world, self._world.left(state.budget)
        for source in self._sources:
            for label, fault, act in source(world, state):
                if fault not in left:
                    continue
                try:
                    after = act()
                    if fault:
                        place = self._faults[fault]
                        after = after._replace(budget=put(state.budget, place, state.budget[place] - 1))
                    elif after == state:
                        continue
                    observer.check(after, self._setup.clients)
                    after = plain(world, after)
                except Violation as violation:
                    yield label, fault, str(violation)
                    return
                yield label, fault, after

    def _trace(self, number: int) -> list[str]:
        """The way is gone once more, for its labels."""
        way = [number]
        while way[-1] > 0:
            way.append(self._parents[way[-1]])
        state, labels = plain(self._world, first(self._setup)), []
        for goal in way[-2::-1]:
            for label, _, after in self._steps(state):
                if not isinstance(after, str) and self._numbers[hash(after)] == goal:
                    labels.append(label)
                    state = after
                    break
        return labels

    def _stuck(self) -> int | None:
        """The first state from which no continuation without a fault keeps the promise."""
        good, again = self._good, True
        while again:
            again = False
            for number in range(len(good) - 1, -1, -1):
                steps = range(self._ends[number - 1] if number else 0, self._ends[number])
                if not good[number] and any(good[self._targets[step]] for step in steps):
                    good[number] = again = True
        return None if all(good) else good.index(0)


def first(setup: Setup) -> State:
    """An empty queue and two workers, whose joins are in the event log; or nothing yet."""
    logged = setup.bounds.events and not setup.empty
    joins = tuple(Event(1, name + 1, "join", actor=name, stamp=1) for name in (0, 1)) if logged else ()
    redis = Redis((None,) * setup.tasks, (Seat(0, "live"), Seat(1, "live")), seq=len(joins), trimmed=len(joins))
    workers = (Worker(0, at=0, first=True), Worker(1))
    if setup.empty:
        redis, workers = nothing(setup.tasks), (Worker(0, "dead", fired=True), Worker(1, "dead", fired=True))
    return State(
        clients=(Client(),) * len(setup.clients),
        redis=redis,
        workers=workers,
        ghosts=(Ghost(),) * setup.tasks,
        budget=tuple(most for _, most in setup.faults),
        events=joins,
        logged=len(joins),
        recoverers=(Recoverer(),) * setup.recoverers if setup.bounds.events else (),
    )
