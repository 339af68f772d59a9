"""Row 5: the same work beside more and more other tasks: 1 thousand, 100 thousand, 1 million and 3 million that wait,
then as many that have ended and are kept. Each size has a queue and a Redis of its own, filled with copies of a
real record, and two workers; the sizes take turns, batch by batch, while the other ones are idle. A batch is no-op
tasks (the rate between the first and the last tenth); after three of them come single tasks, submit to result.
Flat is how near the medians of all sizes are to each other; the CPU that Redis needs for a task, which no other
program can disturb, stands beside them. Looks are measured at 1 million: Show-Tasks and Stats by the shell's own
commands in a running process, their text included, and monitor.py --once as a process. Bytes of Redis per task are
what its memory grows by with real no-op tasks, all indexes and the allocator included, once their events are in
Kafka. Script calls are timed by Redis itself (INFO latencystats), and also while a queue of a million kept tasks
is reset."""

import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

from benchmarks.bench import Bench
from benchmarks.figures import Figure, at_most
from dashboard import report
from shell.commands import COMMANDS
from shell.live import Live
from shell.session import Manner, Session
from tests.support.measured_queue import MeasuredQueue, median_ms, milliseconds, slow_calls
from tests.support.servers import ROOT, redis_at
from tests.support.shell_session import Answers, text
from tests.support.waiting import eventually
from yadtq import Operator

ROW = 5
WORKERS = 2
SIZES, SIZES_SMALL = (1_000, 100_000, 1_000_000, 3_000_000), (100, 1_000)
LOOKED_AT = 1_000_000
TASKS, TASKS_SMALL = 20_000, 500
BATCHES = 3  # of tasks, in each visit
TRIPS, TRIPS_SMALL = 200, 10
RUNS, RUNS_SMALL = 5, 1  # of a program, for one sample
FOOTPRINT, FOOTPRINT_SMALL = 100_000, 1_000
SAMPLED = 100  # records whose encoding is looked at
INDEXES = {"waiting": "registered", "kept": "success"}


@dataclass(frozen=True, slots=True)
class Visits:
    """What the visits of one size have measured: tasks a second and µs of Redis' CPU for a task, of each batch;
    round by round, ms of a round trip in the middle, and ms for which scripts hold Redis."""

    rates: list[float] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)
    trips: list[float] = field(default_factory=list)
    scripts: list[float] = field(default_factory=list)
    slow: Counter[str] = field(default_factory=Counter)


def measure(bench: Bench) -> Iterator[Figure]:
    """What waits, what is kept, and what each costs in memory."""
    for kind in INDEXES:
        yield from beside(bench, kind)
    yield from footprint(bench)


def sizes(bench: Bench) -> tuple[int, ...]:
    return SIZES_SMALL if bench.small else SIZES


def looked_at(bench: Bench) -> int:
    """The size at which looks are measured, and which is reset."""
    return min(LOOKED_AT, sizes(bench)[-1])


@contextmanager
def own_redis(bench: Bench, name: str) -> Iterator[MeasuredQueue]:
    """A queue in a Redis of its own, on the bench's Kafka."""
    server = redis_at(bench.folder / f"{name}-redis")
    server.start()
    try:
        server.wait_ready()
        with MeasuredQueue((bench.servers[0], server), bench.folder, name) as queue:
            queue.redis.config_set("auto-aof-rewrite-percentage", 0)  # a rewrite would be part of some figure
            yield queue
    finally:
        server.stop()


# -- the same work beside others


def beside(bench: Bench, kind: str) -> Iterator[Figure]:
    """Rates and round trips beside each number of tasks of a kind, the sizes in turn; looks; a reset."""
    visits = {size: Visits() for size in sizes(bench)}
    with ExitStack() as opened:
        queues = {size: opened.enter_context(own_redis(bench, f"{kind}{size}")) for size in visits}
        for size, queue in queues.items():
            filled(queue, kind, size)
            bench.say(f"{size:,} {kind}")
        for queue in queues.values():
            queue.start_workers(WORKERS)
            queue.round_trips(TRIPS_SMALL)  # the first ones find nothing warm
        for number in range(1, bench.rounds + 1):
            in_turn(bench, queues, visits)
            bench.say(f"round {number} beside tasks {kind}")
        yield from flatness(kind, visits)
        queue = queues[looked_at(bench)]
        yield from looks(bench, kind, queue)
        if kind == "kept":
            yield from reset(queue)


def filled(queue: MeasuredQueue, kind: str, size: int) -> None:
    """Copies one real task, which waits or has ended, so many times."""
    queue.submit("nothing", 1)
    if kind == "kept":
        queue.start_workers(1)
        queue.wait_until_done()
        queue.wait_until_told()
        queue.stop_workers()
    queue.fill(INDEXES[kind], size)


def in_turn(bench: Bench, queues: dict[int, MeasuredQueue], visits: dict[int, Visits]) -> None:
    """One round. Leaves the queues as they were."""
    for queue in queues.values():
        queue.begin_timing()
    for _ in range(BATCHES):
        for size, queue in queues.items():
            batch(queue, TASKS_SMALL if bench.small else TASKS, visits[size])
    for size, queue in queues.items():
        visits[size].trips.append(statistics.median(queue.round_trips(TRIPS_SMALL if bench.small else TRIPS)))
        visits[size].scripts.append(queue.script_ms("p99.9"))
        visits[size].slow.update(queue.slow_scripts())
        queue.wait_until_told()
        queue.forget_ended()


def batch(queue: MeasuredQueue, count: int, found: Visits) -> None:
    """Runs tasks that all wait before the first one starts, and takes them away."""
    spent = queue.redis_seconds()
    queue.hold()
    queue.submit("nothing", count)
    queue.let_go()
    found.rates.append(queue.rate(count))
    queue.wait_until_told()
    found.spent.append((queue.redis_seconds() - spent) / count * 1e6)
    queue.forget_ended()


def flatness(kind: str, visits: dict[int, Visits]) -> Iterator[Figure]:
    """What each size has shown, and how far the worst is behind the best."""
    for size, each in visits.items():
        yield Figure(ROW, f"beside {size:,} {kind}: rate", "tasks/s", tuple(each.rates))
        yield Figure(ROW, f"beside {size:,} {kind}: CPU of Redis", "µs a task", tuple(each.spent))
        yield Figure(ROW, f"beside {size:,} {kind}: round trip, p50", "ms", tuple(each.trips))
    name = f"{min(visits):,} to {max(visits):,} {kind}"
    rates, trips = [each.rates for each in visits.values()], [each.trips for each in visits.values()]
    spent = behind([each.spent for each in visits.values()])
    note = f"{spread_of(rates)} The CPU of Redis for a task differs by {spent:.0f} % between sizes."
    yield Figure(ROW, f"{name}: rate, worst behind best", "%", (behind(rates),), at_most(15), note)
    yield Figure(ROW, f"{name}: round trip, worst behind best", "%", (behind(trips),), at_most(15), spread_of(trips))
    slow = sum((each.slow for each in visits.values()), Counter[str]())
    worst = tuple(map(max, zip(*(each.scripts for each in visits.values()), strict=True)))
    yield Figure(ROW, f"{name}: a script holds Redis, p99.9", "ms", worst, at_most(5), slow_calls(slow))


def behind(samples: Sequence[Sequence[float]]) -> float:
    """By how many percent of the smaller one the largest and the smallest median differ."""
    medians = [statistics.median(each) for each in samples]
    return 100 * (max(medians) / min(medians) - 1)


def spread_of(samples: Sequence[Sequence[float]]) -> str:
    widest = max(100 * (max(each) / min(each) - 1) for each in samples)
    return f"One size differs from itself by up to {widest:.0f} %."


# -- looks and resets


def looks(bench: Bench, kind: str, queue: MeasuredQueue) -> Iterator[Figure]:
    """How long a person waits for an answer about a large queue."""
    session = Session(queue.client, Manner.PROMPT, Answers(), COMMANDS, Live)
    beside_them = f"at {looked_at(bench):,} {kind}"
    for line in ("show-tasks", "stats"):
        text(session, line)
        took = tuple(median_ms(partial(text, session, line)) for _ in range(bench.rounds))
        yield Figure(ROW, f"{line} in a running shell, {beside_them}", "ms", took, at_most(100))
    start, whole = (program_ms(bench, queue, flag) for flag in ("--help", "--once"))
    yield Figure(ROW, f"monitor.py --once, whole process, {beside_them}", "ms", whole, at_most(100))
    yield Figure(ROW, f"monitor.py --help, whole process, {beside_them}", "ms", start)
    with Operator(queue.settings) as operator:
        report.text_of(operator.snapshot())
        took = tuple(median_ms(lambda: report.text_of(operator.snapshot())) for _ in range(bench.rounds))
    yield Figure(ROW, f"the monitor's picture in a running process, {beside_them}", "ms", took, at_most(100))


def program_ms(bench: Bench, queue: MeasuredQueue, flag: str) -> tuple[float, ...]:
    """How long monitor.py takes with a flag, from its start to its end."""

    def run() -> None:
        subprocess.run(
            [sys.executable, ROOT / "monitor.py", flag],
            env=queue.settings.environment(),
            stdout=subprocess.DEVNULL,
            check=True,
        )

    return tuple(median_ms(run, RUNS_SMALL if bench.small else RUNS) for _ in range(bench.rounds))


def reset(queue: MeasuredQueue) -> Iterator[Figure]:
    """Forgets all, with workers online: how long scripts hold Redis meanwhile."""
    kept = queue.client.counts()["success"]
    queue.begin_timing()
    answered = milliseconds(queue.client.reset)
    gone = milliseconds(lambda: eventually(queue.is_tidy, 300, "all unlinked"))
    name = f"reset of {kept:,} kept tasks"
    yield Figure(ROW, f"{name}: a script holds Redis, p99.9", "ms", (queue.script_ms("p99.9"),), at_most(5))
    yield Figure(ROW, f"{name}: it has answered", "ms", (answered,))
    yield Figure(ROW, f"{name}: all memory is free again", "s", ((answered + gone) / 1000,))


# -- memory


def footprint(bench: Bench) -> Iterator[Figure]:
    """Bytes of Redis for a no-op task, while it waits and when it has ended, and how its record is stored."""
    count = FOOTPRINT_SMALL if bench.small else FOOTPRINT
    with own_redis(bench, "footprint") as queue:
        queue.start_workers(1)
        queue.hold()
        empty = queue.memory()
        queue.submit("nothing", count)
        waiting, packed = (queue.memory() - empty) / count, compact(queue, "all")
        queue.let_go()
        queue.wait_until_done()
        ended, packed_ended = (queue.memory() - empty) / count, compact(queue, "success")
    yield Figure(ROW, "a no-op task that waits, of Redis", "bytes", (waiting,), at_most(450))
    yield Figure(ROW, "a no-op task that has ended, of Redis", "bytes", (ended,), at_most(750))
    yield Figure(
        ROW, "records that are not in Redis' compact encoding", "%", (100 - min(packed, packed_ended),), at_most(0)
    )


def compact(queue: MeasuredQueue, index: str) -> float:
    """Percent of some records of an index that are in Redis' compact encoding."""
    keys = queue.record_keys(index, SAMPLED)
    found = [queue.redis.object("encoding", key) in {b"listpack", b"ziplist"} for key in keys]
    return 100 * sum(found) / len(found)
