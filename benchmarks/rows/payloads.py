"""Row 7: texts of 1 KB, 100 KB and 900 KB, which a task gives back. Through: megabytes of arguments a second, from the
first submission to the last end, submitted by one client while two workers run; as much comes back as results. Then
tasks that take no time, one after the other from submit to result: alone, and beside a client in a process of its own
that keeps submitting such texts at half of what goes through."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks import feeder
from benchmarks.bench import Bench
from benchmarks.figures import Figure, at_most, percentile
from tests.support.measured_queue import MeasuredQueue
from tests.support.waiting import eventually

ROW = 7
WORKERS = 2
TASKS = {1_000: 20_000, 100_000: 500, 900_000: 60}  # bytes of a text → how many of them
TASKS_SMALL = {1_000: 200, 900_000: 4}
TRIPS, TRIPS_SMALL = 200, 10
CALL_SECONDS = 0.02  # of the feeder: from one call to the next, where several texts fit
MB = 1e6


@dataclass(frozen=True, slots=True)
class Beside:
    """Round by round: MB/s through, p50 and p99 in ms of small tasks, MB/s beside them."""

    through: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    offered: list[float] = field(default_factory=list)


def measure(bench: Bench) -> Iterator[Figure]:
    """All sizes in turn, round by round; small tasks alone before each round."""
    counts = TASKS_SMALL if bench.small else TASKS
    found = {size: Beside() for size in (0, *counts)}
    with bench.queue("payloads") as queue:
        queue.start_server()
        queue.start_workers(WORKERS)
        small_tasks(bench, queue, Beside())  # the first ones find nothing warm
        for number in range(1, bench.rounds + 1):
            small_tasks(bench, queue, found[0])
            for size, count in counts.items():
                found[size].through.append(through(queue, size, count))
                beside(bench, queue, size, found[size])
            bench.say(f"round {number} of payloads")
    yield from figures(found)


def figures(found: dict[int, Beside]) -> Iterator[Figure]:
    alone = found.pop(0)
    yield Figure(ROW, "small tasks alone: round trip, p50", "ms", tuple(alone.p50))
    yield Figure(ROW, "small tasks alone: round trip, p99", "ms", tuple(alone.p99))
    for size, each in found.items():
        texts = f"texts of {size // 1000} KB"
        yield Figure(ROW, f"{texts}: through", "MB/s", tuple(each.through))
        yield Figure(ROW, f"small tasks beside {texts}: submitted meanwhile", "MB/s", tuple(each.offered))
        yield Figure(ROW, f"small tasks beside {texts}: round trip, p50", "ms", tuple(each.p50))
        yield Figure(ROW, f"small tasks beside {texts}: round trip, p99", "ms", tuple(each.p99), at_most(50))


def through(queue: MeasuredQueue, size: int, count: int) -> float:
    """MB/s of texts of one size, submitted and given back."""
    began = time.monotonic()
    queue.submit("echo", count, "x" * size)
    queue.wait_until_done()
    took = time.monotonic() - began
    queue.wait_until_told()
    return size * count / took / MB


def beside(bench: Bench, queue: MeasuredQueue, size: int, found: Beside) -> None:
    """Small tasks while a feeder submits texts at half of what goes through."""
    texts_a_second = found.through[-1] / 2 * MB / size
    batch = max(1, round(texts_a_second * CALL_SECONDS))
    before = ended(queue)
    program = feeder.started(
        queue, f"texts{size}-{len(found.p50)}", batch=batch, pause=batch / texts_a_second, size=size
    )
    eventually(lambda: ended(queue) > before, 60, "the first text given back")
    small_tasks(bench, queue, found)
    fed = feeder.stopped(program)
    found.offered.append(fed.count * size / (fed.ended - fed.began) / MB)
    queue.wait_until_done()
    queue.wait_until_told()


def ended(queue: MeasuredQueue) -> int:
    return queue.client.counts()["success"]


def small_tasks(bench: Bench, queue: MeasuredQueue, found: Beside) -> None:
    """Round trips, one after the other."""
    trips = queue.round_trips(TRIPS_SMALL if bench.small else TRIPS)
    found.p50.append(percentile(trips, 0.5))
    found.p99.append(percentile(trips, 0.99))
