"""The process pool, simulated: its children begin and end jobs when the director says so, its guard keeps its word.

Not the pool's own code is at work here; tests/unit/test_pool*.py and the chaos tests hold that to the same rules.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from _yadtq.failure import Failure
from _yadtq.jobs import Crashed, Ended, Interrupted, Job, Lost, PoolMessage
from tests.simulation.observer import Run
from tests.simulation.stage import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

TICK_SECONDS = 1.0
FAILURE = Failure("ValueError", "simulated")


@dataclass(eq=False)
class Child:
    """jobs: handed over and not begun. run: of the job that it runs now."""

    jobs: deque[Job] = field(default_factory=deque)
    job: Job | None = None
    run: Run | None = None
    ends_at: float = math.inf
    fate: str = ""


class SimulatedPool:
    """The surface of Pool, for one incarnation. live_until: the deadline that was confirmed last."""

    guards = True  # the guard keeps the deadline
    final = True  # and after it has fired, nothing begins

    def __init__(self, world: "World", size: int, post: Callable[[PoolMessage], None]) -> None:
        self._world = world
        self.process: Process = world.stage.actor.process
        self._post = post
        self._children = [Child() for _ in range(size)]
        self._waiting: deque[Job] = deque()
        self.live_until = math.inf  # not confirmed yet: nothing runs
        self.ending, self.over = "", False
        self._closing = False

    # -- the surface of Pool

    def start(self) -> None:
        self._world.pools.append(self)

    def confirm(self, deadline: float) -> None:
        self.live_until = deadline

    def room(self) -> int:
        if self.ending:
            return 0
        free = sum(child.job is None for child in self._children)
        return max(0, free + self._world.plan.batch - self._queued())

    def submit(self, jobs: Sequence[Job]) -> None:
        if self.over:
            now = self._world.stage.now
            for job in jobs:
                self._post(Interrupted(job, now, now, begun=False))
        else:
            self._waiting.extend(jobs)
            self._hand_over()

    def running(self) -> list[str]:
        jobs = [child.job or (child.jobs[0] if child.jobs else None) for child in self._children]
        return [job.claim for job in jobs if job is not None]

    def held(self) -> int:
        return self._queued() + sum(child.job is not None for child in self._children)

    def tick(self) -> float:
        return TICK_SECONDS

    def recall(self) -> list[Job]:
        jobs = [job for child in self._children for job in child.jobs] + list(self._waiting)
        for child in self._children:
            child.jobs.clear()
        self._waiting.clear()
        return jobs

    def stuck(self) -> list[Job]:
        """What waits behind jobs that take long, now and then."""
        if not self._queued() or self._world.rng.random() > 0.3:
            return []
        return self.recall()

    def abort(self) -> None:
        self.ending = self.ending or "it was told to stop"

    def close(self) -> None:
        if not self.process.gone and not self._world.stage.over:
            self._closing = True
            self.fire("it was closed")

    # -- what the director does

    def steps(self, now: float) -> list[Callable[[], None]]:
        """What may happen here now."""
        found: list[Callable[[], None]] = []
        for child in self._children:
            if child.job is None and child.jobs:
                found.append(partial(self._begin, child))
            elif child.job is not None and child.ends_at <= now:
                found.append(partial(self._end, child))
        if self.ending or not self.process.lives:
            found.append(partial(self.fire, self.ending or "its parent is gone"))
        return found

    def due_at(self) -> float:
        """When something happens here of itself."""
        soonest = min((child.ends_at for child in self._children if child.job is not None), default=math.inf)
        return min(soonest, self.live_until if self.guards else math.inf)

    def is_due(self, now: float) -> bool:
        """Whether the guard must fire by then."""
        return self.guards and self.live_until <= now

    def _begin(self, child: Child) -> None:
        job = child.job = child.jobs.popleft()
        seconds, child.fate = self._world.faults.of_run(job)
        child.ends_at = self._world.stage.now + seconds
        child.run = self._world.observer.begin(self.process, job)

    def _end(self, child: Child) -> None:
        """The job ends by itself, or takes its child with it."""
        job, run, now = child.job, child.run, self._world.stage.now
        if job is None or run is None:
            return
        child.job, child.run = None, None
        self._world.observer.end(run, child.fate)
        if not self.process.lives:
            return
        if child.fate == "crash":
            self._post(Crashed(job, "its process died (simulated)", run.began_at, now))
        elif child.fate == "success":
            self._post(Ended(job, f'"{job.attempt}"', None, True, run.began_at, now))
        else:
            self._post(Ended(job, None, FAILURE, child.fate == "raise", run.began_at, now))
        self._hand_over()

    def fire(self, reason: str) -> None:
        """The guard kills all children; nothing begins here any more."""
        if self.over:
            return
        self._world.trace(f"{self.process.name}: the guard kills all children: {reason}")
        goes_on = not self.final and not self.ending and not self._closing and self.process.lives
        messages = self._killed()
        self.live_until = math.inf
        if not goes_on:
            now = self._world.stage.now
            messages += [Interrupted(job, now, now, begun=False) for job in self.recall()]
            self.over = True
        if not self._closing:
            messages.append(Lost(reason))
        for message in messages if self.process.lives else []:
            self._post(message)
        self.ending = "" if goes_on else self.ending or reason
        self._hand_over()

    def _killed(self) -> list[PoolMessage]:
        """What comes of the jobs that run."""
        messages: list[PoolMessage] = []
        for child in self._children:
            if child.job is not None and child.run is not None:
                self._world.observer.end(child.run, "killed")
                messages.append(Interrupted(child.job, child.run.began_at, self._world.stage.now, begun=True))
                child.job = child.run = None
        return messages

    def _queued(self) -> int:
        return len(self._waiting) + sum(len(child.jobs) for child in self._children)

    def _hand_over(self) -> None:
        """Free children first; behind what runs only where batches are handed over."""
        for child in self._children:
            if self._waiting and child.job is None and not child.jobs:
                child.jobs.append(self._waiting.popleft())
        if self._world.plan.batch:
            for child in self._children:
                if self._waiting and len(child.jobs) < self._world.plan.batch:
                    child.jobs.append(self._waiting.popleft())
