"""Every interleaving of one mode, breadth first: the first counterexample that is found is a shortest one."""

import gc
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from docs.model import observer
from docs.model.programs import Setup, World, client_steps, reset_steps, sweeper_steps
from docs.model.recovery import recovery_steps, restart_steps
from docs.model.scripts import Scripts
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

STEPS = (
    client_steps, kafka_steps, worker_steps, time_steps, held_steps, sweeper_steps, reset_steps, house_steps,
    relay_steps, restart_steps, recovery_steps,
)  # fmt: skip
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
        self._world = World(rules, setup, Scripts(rules, setup.bounds))
        self._faults = {name: place for place, (name, _) in enumerate(setup.faults)}
        self._limit = limit
        self._ids: dict[State, int] = {}
        self._states: list[State] = []
        self._parents: list[tuple[int, str]] = []
        self._backwards: list[list[int]] = []  # to each state: those from which a step without a fault leads to it

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
        queue = deque([self._number(first(self._setup), NOWHERE, "")])
        while queue:
            here = queue.popleft()
            if not here % 512 and time.perf_counter() - began > self._limit:
                return Finding("", [], len(self._states), time.perf_counter() - began, False)
            found = self._expand(here, queue)
            if found:
                label, violation = found
                trace = [*self._trace(here), label]
                return Finding(violation, trace, len(self._states), time.perf_counter() - began, True)
        stuck = self._stuck()
        trace = [] if stuck is None else self._trace(stuck)
        violation = "" if stuck is None else STUCK
        return Finding(violation, trace, len(self._states), time.perf_counter() - began, True)

    def _number(self, state: State, parent: int, label: str) -> int:
        number = self._ids[state] = len(self._states)
        self._states.append(state)
        self._parents.append((parent, label))
        self._backwards.append([])
        return number

    def _expand(self, here: int, queue: "deque[int]") -> tuple[str, str] | None:
        """All steps from a state. Returns the label and the violation of one that breaks the promise."""
        for label, fault, after in self._steps(self._states[here]):
            if isinstance(after, str):
                return label, after
            number = self._ids.get(after)
            if number is None:
                number = self._number(after, here, label)
                queue.append(number)
            if not fault:
                self._backwards[number].append(here)
        return None

    def _steps(self, state: State) -> Iterator[tuple[str, str, State | str]]:
        for source in STEPS:
            for label, fault, act in source(self._world, state):
                place = self._faults.get(fault, NOWHERE)
                if fault and (place == NOWHERE or not state.budget[place]):
                    continue
                try:
                    after = act()
                    if fault:
                        after = after._replace(budget=put(state.budget, place, state.budget[place] - 1))
                    observer.check(after, self._setup.clients)
                except Violation as violation:
                    yield label, fault, str(violation)
                    return
                yield label, fault, after

    def _trace(self, number: int) -> list[str]:
        labels: list[str] = []
        while number > 0:
            number, label = self._parents[number]
            labels.append(label)
        return labels[::-1]

    def _stuck(self) -> int | None:
        """The first state from which no continuation without a fault keeps the promise."""
        clients = self._setup.clients
        good = [state.redis.mode == OPEN and observer.promised(state, clients) for state in self._states]
        queue = deque(number for number, is_good in enumerate(good) if is_good)
        while queue:
            for number in self._backwards[queue.popleft()]:
                if not good[number]:
                    good[number] = True
                    queue.append(number)
        return None if all(good) else good.index(False)


def first(setup: Setup) -> State:
    """An empty queue and two workers; their joins are in the event log."""
    joins = tuple(Event(1, name - 1, "join", actor=name) for name in (0, 1)) if setup.bounds.events else ()
    return State(
        clients=(Client(),) * len(setup.clients),
        redis=Redis((None,) * setup.tasks, (Seat(0, "live"), Seat(1, "live"))),
        workers=(Worker(0, at=0, first=True), Worker(1)),
        ghosts=(Ghost(),) * setup.tasks,
        budget=tuple(most for _, most in setup.faults),
        events=joins,
        recoverers=(Recoverer(),) * setup.recoverers if setup.bounds.events else (),
    )
