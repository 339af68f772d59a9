"""Which job goes to which child, and when: decisions only, no processes.

A pool holds jobs in two places. `Slots.waiting` belongs to nobody yet. A slot's `jobs` were handed to its child; the
child runs the first, and the others, which it has not begun, can be taken back. Small jobs are handed over ahead and
many at once, so that a child never waits for the next, and none is woken for what another does in a moment; a job that
may take long, or whose run time is unknown, goes to a free child alone, and nothing goes behind it.

All run times are seconds, all instants seconds of CLOCK_MONOTONIC.
"""

import heapq
import math
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from _yadtq.jobs import Job

# Expected work that a child may hold: what it runs and the batch behind it.
AHEAD_SECONDS = 0.003
# Expected work that the pool may hold for each child, so that a child is busy while the next jobs are fetched.
HORIZON_SECONDS = 0.006
# A job that takes so much longer than expected has no others waiting behind it any more.
OVERRUN_SECONDS = 0.005
# While a child is free, no other keeps more expected work than this.
UNEVEN_SECONDS = 0.001
# Expected work that one child gets before the next one gets any: less than that, or it would be taken back at once.
BATCH_SECONDS = 0.0009
# How long outcomes may gather while the children have enough to do.
GATHER_SECONDS = 0.0005
# Less is no gain: the processor's timer is no more exact.
_LEAST_GATHER_SECONDS = 0.0001
# A job that is expected to wait longer than this had better go to another worker. Not less: on a busy machine a child
# may get no processor for so long, and the other workers there are no better off.
PATIENCE_SECONDS = 0.05
# What handing over and reporting costs, beside the handler's own time.
OVERHEAD_SECONDS = 0.00002
# The most jobs to ask for at once.
MOST_JOBS = 500
# Weight of the newest measurement in the moving estimates.
WEIGHT = 0.2
IDLE_CHECK_SECONDS = 1.0


class Estimates:
    """Moving estimates of run times: one for each task's name, and one for the recent mix of all."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(names)
        self._by_name: dict[str, float] = {}
        self.mix: float | None = None

    def expected(self, name: str) -> float | None:
        """Seconds that a task of this name is expected to take; None while nobody knows."""
        if name not in self._names:
            return OVERHEAD_SECONDS  # no such task: it fails at once
        return self._by_name.get(name)

    def measured(self, name: str, seconds: float) -> None:
        """Notes that a task took so long."""
        if name not in self._names:
            return
        seconds += OVERHEAD_SECONDS
        before = self._by_name.get(name, seconds)
        self._by_name[name] = before + WEIGHT * (seconds - before)
        # One very long task says little about the next: it may not hide the many small ones for long.
        seconds = min(seconds, 10 * HORIZON_SECONDS)
        before = seconds if self.mix is None else self.mix
        self.mix = before + WEIGHT * (seconds - before)


@dataclass(slots=True)
class Placed:
    """A job inside the pool. number: its order of arrival. expected: seconds, None unknown; fixed when handed over."""

    number: int
    job: Job
    expected: float | None = None


@dataclass(slots=True, eq=False)
class Slot:
    """One child's place. Its child runs `jobs[0]`, or is about to, since `began_at`; the rest is not begun.

    full: its socket takes no more for now. doomed: its child is being killed.
    """

    serial: int
    jobs: deque[Placed] = field(default_factory=deque)
    began_at: float = 0.0
    behind: float = 0.0  # expected seconds of the jobs behind the first
    full: bool = False
    doomed: bool = False

    @property
    def is_blocked(self) -> bool:
        """Free, but its socket did not even take one job."""
        return self.full and not self.jobs

    def elapsed(self, now: float) -> float:
        return max(0.0, now - self.began_at)

    def remaining(self, now: float) -> float:
        """Seconds until its child is expected to be free; inf behind a job whose run time is unknown."""
        if not self.jobs:
            return 0.0
        expected, elapsed = self.jobs[0].expected, self.elapsed(now)
        if expected is None:
            return math.inf
        # What has overrun is expected to take as long again as it has taken so far.
        first = elapsed if elapsed > expected + OVERRUN_SECONDS else max(0.0, expected - elapsed)
        return first + self.behind

    def push(self, placed: Placed, now: float) -> None:
        if self.jobs:
            self.behind += placed.expected or 0.0
        else:
            self.began_at = now
        self.jobs.append(placed)

    def keep(self, jobs: deque[Placed], now: float) -> None:
        """Replaces the jobs. When another one is first now, it begins now."""
        if jobs and (not self.jobs or jobs[0] is not self.jobs[0]):
            self.began_at = now
        self.jobs = jobs
        self.behind = sum(placed.expected or 0.0 for placed in list(jobs)[1:])


class Slots:
    """The jobs of a pool and the places of its children. Not thread-safe: its owner holds a lock."""

    def __init__(self, names: Collection[str]) -> None:
        self.estimates = Estimates(names)
        self.waiting: deque[Placed] = deque()
        self._open: dict[int, Slot] = {}
        self._last_number = 0

    @property
    def open(self) -> Collection[Slot]:
        """The slots whose children are ready."""
        return self._open.values()

    def add(self, serial: int) -> Slot:
        """Opens the slot of a child that is ready."""
        slot = self._open[serial] = Slot(serial)
        return slot

    def remove(self, slot: Slot) -> None:
        """Closes the slot of a child that is dead."""
        self._open.pop(slot.serial, None)

    def submit(self, jobs: Collection[Job]) -> None:
        for job in jobs:
            self._last_number += 1
            self.waiting.append(Placed(self._last_number, job))

    def held(self) -> int:
        """Jobs inside, begun or not."""
        return len(self.waiting) + sum(len(slot.jobs) for slot in self._open.values())

    def running(self) -> list[str]:
        """Claims that have begun, or are about to, and have not ended."""
        return [slot.jobs[0].job.claim for slot in self._open.values() if slot.jobs]

    def room(self, now: float) -> int:
        """How many more jobs are welcome: what fills the free children, and small ones for a few milliseconds."""
        usable = [slot for slot in self._open.values() if not slot.doomed]
        free = sum(not slot.jobs for slot in usable)
        seconds = sum(max(0.0, HORIZON_SECONDS - slot.remaining(now)) for slot in usable)
        for placed in self.waiting:
            expected = self.estimates.expected(placed.job.task)
            seconds -= HORIZON_SECONDS if expected is None else expected
        small = int(seconds / self.estimates.mix) if self.estimates.mix and seconds > 0 else 0
        return min(MOST_JOBS, max(0, free - len(self.waiting), small))

    def hand_over(self, now: float) -> Iterator[tuple[Slot, Sequence[Placed]]]:
        """Moves jobs from `waiting` to slots, in order, some at once to whom is expected to be free first.

        Whoever iterates sends them to the child, and calls `refused` when its socket does not take all.
        """
        if not self.waiting:
            return
        free_in = [
            (slot.remaining(now), slot.serial) for slot in self._open.values() if not slot.doomed and not slot.full
        ]
        heapq.heapify(free_in)
        while self.waiting and free_in:
            remaining, serial = free_in[0]
            slot = self._open[serial]
            batch, after = self._batch(slot, remaining, now)
            if not batch:
                return
            yield slot, batch
            if slot.full:
                heapq.heappop(free_in)
            else:
                heapq.heapreplace(free_in, (after, serial))

    def _batch(self, slot: Slot, remaining: float, now: float) -> tuple[Sequence[Placed], float]:
        """Moves to a slot what it gets at once; returns that, and when the slot is then expected to be free."""
        batch: list[Placed] = []
        limit, after = AHEAD_SECONDS, remaining
        while self.waiting:
            placed = self.waiting[0]
            expected = placed.expected = self.estimates.expected(placed.job.task)
            if slot.jobs and (expected is None or after + expected > limit):
                break
            slot.push(self.waiting.popleft(), now)
            batch.append(placed)
            after += math.inf if expected is None else expected
            limit = min(AHEAD_SECONDS, remaining + BATCH_SECONDS)
        return batch, after

    def refused(self, slot: Slot, count: int, now: float) -> None:
        """Undoes the last part of a hand-over: the child's socket did not take so many."""
        jobs = list(slot.jobs)
        slot.keep(deque(jobs[:-count]), now)
        slot.full = True
        self.waiting.extendleft(reversed(jobs[-count:]))

    def ended(self, slot: Slot, number: int, ended_at: float, seconds: float) -> Placed | None:
        """Removes the job that a child has ended; None when the child runs another one."""
        if not slot.jobs or slot.jobs[0].number != number:
            return None
        placed = slot.jobs.popleft()
        slot.full = False
        slot.began_at = ended_at
        slot.behind -= (slot.jobs[0].expected or 0.0) if slot.jobs else slot.behind
        self.estimates.measured(placed.job.task, seconds)
        return placed

    def taken_back(self, slot: Slot, numbers: Collection[int], now: float) -> None:
        """Returns jobs that were read back from a child's socket to the head of `waiting`, in their order."""
        back = [placed for placed in slot.jobs if placed.number in numbers]
        if not back:
            return
        slot.keep(deque(placed for placed in slot.jobs if placed.number not in numbers), now)
        slot.full = False
        self.waiting = deque(sorted((*back, *self.waiting), key=lambda placed: placed.number))

    def unblock(self) -> None:
        """Lets blocked slots be tried again: no outcome will tell that there is room now."""
        for slot in self._open.values():
            slot.full = slot.full and not slot.is_blocked

    def overloaded(self, now: float) -> list[Slot]:
        """Slots whose jobs that have not begun had better be taken back: they would wait too long."""
        behind = [slot for slot in self._open.values() if len(slot.jobs) > 1 and not slot.doomed]
        if not behind:
            return []
        free = any(not slot.jobs and not slot.doomed for slot in self._open.values())
        return [slot for slot in behind if self._overrun(slot, now) or (free and slot.remaining(now) > UNEVEN_SECONDS)]

    @staticmethod
    def _overrun(slot: Slot, now: float) -> bool:
        return slot.elapsed(now) > (slot.jobs[0].expected or 0.0) + OVERRUN_SECONDS

    def gather_seconds(self) -> float:
        """How long outcomes may gather unheard: no child runs out of work meanwhile, none is awaited that is alone.

        While more waits, whoever is free first counts; else only the outcomes are late, for whom is free last.
        """
        behind = [slot.behind for slot in self._open.values() if len(slot.jobs) > 1 and not slot.doomed]
        if not behind:
            return 0.0
        seconds = min(GATHER_SECONDS, min(behind) if self.waiting else max(behind))
        return seconds if seconds > _LEAST_GATHER_SECONDS else 0.0

    def expired(self, now: float) -> list[Slot]:
        """Slots whose running job is over its time limit."""
        return [slot for slot in self._open.values() if not slot.doomed and _seconds_left(slot, now) <= 0]

    def stuck(self, now: float) -> list[Job]:
        """Removes and returns the jobs that no child is expected to be free for soon."""
        if not self.waiting:
            return []
        free_in = [self._outlook(slot, now) for slot in self._open.values() if not slot.doomed and not slot.is_blocked]
        heapq.heapify(free_in)
        kept = 0
        for placed in self.waiting:
            if not free_in or free_in[0] > PATIENCE_SECONDS:
                break
            heapq.heapreplace(free_in, free_in[0] + self._at_least(placed.job.task, now))
            kept += 1
        jobs = [placed.job for placed in list(self.waiting)[kept:]]
        self.waiting = deque(list(self.waiting)[:kept])
        return jobs

    def _outlook(self, slot: Slot, now: float) -> float:
        """Like `remaining`, but hopeful for a moment about a job whose run time is unknown."""
        if not slot.jobs or slot.jobs[0].expected is not None:
            return slot.remaining(now)
        elapsed = slot.elapsed(now)
        return OVERRUN_SECONDS if elapsed <= OVERRUN_SECONDS else max(elapsed, PATIENCE_SECONDS + elapsed)

    def _at_least(self, name: str, now: float) -> float:
        """What a task of this name takes at least, by the estimate and by those that run now."""
        expected = self.estimates.expected(name)
        known = OVERRUN_SECONDS if expected is None else expected
        running = [slot.elapsed(now) for slot in self._open.values() if slot.jobs and slot.jobs[0].job.task == name]
        return max([known, *(seconds for seconds in running if seconds > known + OVERRUN_SECONDS)])

    def recall(self) -> list[Job]:
        """Removes and returns all that belongs to no child."""
        jobs = [placed.job for placed in self.waiting]
        self.waiting.clear()
        return jobs

    def seconds_to_check(self, now: float) -> float:
        """When to look again: a job overruns with others behind it, some wait, or a time limit ends."""
        due = [IDLE_CHECK_SECONDS]
        if self.waiting:
            due.append(OVERRUN_SECONDS)
        for slot in self._open.values():
            if len(slot.jobs) > 1:
                due.append((slot.jobs[0].expected or 0.0) + OVERRUN_SECONDS - slot.elapsed(now))
            due.append(_seconds_left(slot, now))
        return max(0.001, min(due))


def _seconds_left(slot: Slot, now: float) -> float:
    if not slot.jobs or not slot.jobs[0].job.time_limit:
        return math.inf
    return slot.jobs[0].job.time_limit - slot.elapsed(now)
