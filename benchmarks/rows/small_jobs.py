"""Row 4: jobs that take their time, on ten slots. Jobs of 100 ms that all wait before the one worker starts: its
share of the ceiling of 100 jobs a second, from the first start to the last end, and between the first and the last
tenth. And whether free slots are used: jobs of 1 ms to 5 s (as many from 1 to 10 ms as from 0.5 to 5 s), which come in
waves that keep ten slots of two warm workers nearly busy; for each start, how long its slot had been free while any
acknowledged task had not begun. All instants are of the jobs' own ledger and of the client's clock, not of Redis."""

import math
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.bench import Bench
from benchmarks.figures import Figure, at_least, at_most, percentile
from benchmarks.ledger import Run, gaps, missed, rate, runs_in, steady_rate
from tests.support.measured_queue import MeasuredQueue
from yadtq import Call

ROW = 4
SLOTS = 10
JOB_SECONDS = 0.1
JOBS, JOBS_SMALL = 1000, 40
MIXED, MIXED_SMALL = 250, 30
SHORTEST, LONGEST, LONGEST_SMALL = 0.001, 5.0, 0.2
WAVE = 25
OF_CAPACITY = 0.9  # how much of what the slots can do comes with the waves
SEED = 4


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Percent of the ceiling, as a whole and steady; ms for which a slot is free between two jobs, in the middle; by
    how many percent the busiest slot ran more jobs than an equal share."""

    whole: float
    steady: float
    between: float
    busiest: float


def measure(bench: Bench) -> Iterator[Figure]:
    """Jobs of 100 ms, then mixed ones."""
    reached = [ceiling(bench) for _ in range(bench.rounds)]
    jobs = f"jobs of 100 ms, {SLOTS} slots"
    note = f"The busiest slot ran {statistics.median(each.busiest for each in reached):.0f} % more than an equal share."
    whole, steady = tuple(each.whole for each in reached), tuple(each.steady for each in reached)
    yield Figure(ROW, f"{jobs}: of the ceiling, first start to last end", "%", whole, at_least(97), note)
    yield Figure(ROW, f"{jobs}: of the ceiling, steady", "%", steady, at_least(97))
    yield Figure(ROW, f"{jobs}: a slot is free between two, p50", "ms", tuple(each.between for each in reached))
    idle = [[1000 * each for each in mixed_jobs(bench)] for _ in range(bench.rounds)]
    worst = tuple(percentile(each, 0.99) for each in idle)
    name = "mixed jobs of 1 ms to 5 s: a slot is free while a task waits"
    yield Figure(ROW, f"{name}, p50", "ms", tuple(percentile(each, 0.5) for each in idle))
    yield Figure(ROW, f"{name}, p99", "ms", worst, at_most(20))
    yield Figure(ROW, f"{name}, longest", "ms", tuple(map(max, idle)))


def ceiling(bench: Bench) -> Ceiling:
    """What one worker reaches."""
    count = JOBS_SMALL if bench.small else JOBS
    with bench.queue("small_jobs", concurrency=SLOTS) as queue:
        notes = queue.folder / "notes"
        notes.mkdir()
        queue.submit("noted", count, JOB_SECONDS, str(notes))
        queue.start_workers(1)
        queue.wait_until_done()
        runs = complete(runs_in(notes), count)
    percent = SLOTS / JOB_SECONDS / 100
    busiest = max(Counter(run.slot for run in runs).values()) / (count / SLOTS)
    between = 1000 * percentile(gaps(runs), 0.5)
    return Ceiling(rate(runs) / percent, steady_rate(runs) / percent, between, 100 * (busiest - 1))


def mixed_jobs(bench: Bench) -> list[float]:
    """Seconds for which each start found its slot free while a task waited."""
    longest = LONGEST_SMALL if bench.small else LONGEST
    lengths = durations(MIXED_SMALL if bench.small else MIXED, longest)
    with bench.queue("mixed_jobs", concurrency=SLOTS // 2) as queue:
        notes = queue.folder / "notes"
        notes.mkdir()
        queue.start_workers(2)
        queue.hold()  # a start is another figure: here every slot has run something
        queue.let_go()
        queue.wait_until_done()
        ready = submit_in_waves(queue, lengths, str(notes))
        queue.wait_until_done()
        runs = complete(runs_in(notes), len(lengths))
    return missed(runs, ready, SLOTS)


def submit_in_waves(queue: MeasuredQueue, lengths: list[float], notes: str) -> dict[str, float]:
    """Submits jobs, a wave whenever the slots should nearly be through with the one before. Returns when each was
    acknowledged."""
    ready: dict[str, float] = {}
    due = time.monotonic()
    for first in range(0, len(lengths), WAVE):
        wave = lengths[first : first + WAVE]
        time.sleep(max(0.0, due - time.monotonic()))
        ids = queue.client.submit_many(Call("noted", (length, notes)) for length in wave)
        ready |= dict.fromkeys(ids, time.monotonic())
        due += sum(wave) / SLOTS / OF_CAPACITY
    return ready


def durations(count: int, longest: float) -> list[float]:
    """Seconds that jobs take, the same in every run: evenly spread over the orders of magnitude."""
    step = math.log(longest / SHORTEST) / (count - 1)
    lengths = [SHORTEST * math.exp(step * place) for place in range(count)]
    random.Random(SEED).shuffle(lengths)  # noqa: S311 - an order that can be repeated, no secret
    return lengths


def complete(runs: list[Run], count: int) -> list[Run]:
    """The same runs. RuntimeError when some job did not run, or ran twice: then no figure would mean anything."""
    if len({run.task for run in runs}) != count or len(runs) != count:
        raise RuntimeError(f"{count} jobs were submitted, and {len(runs)} runs were noted")
    return runs
