"""Row 3: how fast one client submits, no worker beside it: many at once, in calls of 5,000 and of 500; one by one, each
kept by Kafka before the next; and without waiting, in one loop that ends with a flush when Kafka keeps all of them.
"""

import time
from collections.abc import Callable, Iterator, Sequence

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Goal, at_least, at_most, percentile
from tests.support.measured_queue import milliseconds
from yadtq import Call, TaskClient

ROW = 3
TOGETHER, SMALL_TOGETHER = 100_000, 2_000
LATER, SMALL_LATER = 50_000, 1_000
ALONE, SMALL_ALONE = 1_000, 50


def measure(bench: Bench) -> Iterator[Figure]:
    """Each way in turn, round by round."""
    together, later, alone = (SMALL_TOGETHER, SMALL_LATER, SMALL_ALONE) if bench.small else (TOGETHER, LATER, ALONE)
    rates = bench.alternate(
        {
            "submit_many, 5,000 a call": lambda: _rate(bench, lambda client: _submit_many(client, together, 5000)),
            "submit_many, 500 a call": lambda: _rate(bench, lambda client: _submit_many(client, together, 500)),
            "submit_later and flush": lambda: _rate(bench, lambda client: _submit_later(client, later)),
        }
    )
    goals = (at_least(15_000), None, at_least(10_000))
    for (name, samples), goal in zip(rates.items(), goals, strict=True):
        yield _figure(name, "jobs/s", samples, goal)
    took = bench.alternate({"one by one": lambda: _one_by_one(bench, alone)})["one by one"]
    yield _figure("one by one, p50", "ms", [percentile(each, 0.5) for each in took], at_most(2.5))
    yield _figure("one by one, p99", "ms", [percentile(each, 0.99) for each in took])


def _rate(bench: Bench, submit: Callable[[TaskClient], int]) -> float:
    """Jobs a second from the first call until Kafka keeps all; submit: returns how many it has submitted."""
    with bench.queue("submitting") as queue:
        queue.client.submit("nothing")  # the connections and the topics are made now
        began = time.perf_counter()
        return submit(queue.client) / (time.perf_counter() - began)


def _submit_many(client: TaskClient, jobs: int, batch: int) -> int:
    for first in range(0, jobs, batch):
        client.submit_many([Call("nothing")] * min(batch, jobs - first))
    return jobs


def _submit_later(client: TaskClient, jobs: int) -> int:
    for _ in range(jobs):
        client.submit_later("nothing")
    client.flush()
    return jobs


def _one_by_one(bench: Bench, jobs: int) -> list[float]:
    with bench.queue("submitting") as queue:
        queue.client.submit("nothing")
        return [milliseconds(lambda: queue.client.submit("nothing")) for _ in range(jobs)]


def _figure(name: str, unit: str, samples: Sequence[float], goal: Goal | None = None) -> Figure:
    return Figure(ROW, name, unit, tuple(samples), goal)
