"""Row 2: how long it takes from submitting a job to its result in the client.

On an idle queue: a thousand in sequence, each submitted when the one before has come back, by YADTQ with a durable
submit and by Celery with Redis. At half load: a worker's rate is measured with jobs of a millisecond; then another
client submits such jobs at half that rate, by the clock and whatever becomes of them; round trips are made beside it.
"""

import time
from collections.abc import Callable, Iterator, Sequence

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Goal, at_most, percentile
from benchmarks.peers.peer import Peer, opened, round_trips

ROW = 2
SLOTS = 10
TRIPS, SMALL_TRIPS = 1_000, 50
WARM_UP = 50
JOB_SECONDS = 0.001
LOAD, SMALL_LOAD = 10_000, 500  # jobs from which the worker's rate is measured
LOAD_SECONDS, SMALL_LOAD_SECONDS = 10.0, 2.0


def measure(bench: Bench) -> Iterator[Figure]:
    """The idle queue, round by round, then the loaded one."""
    trips = SMALL_TRIPS if bench.small else TRIPS
    celery = [peer for peer in bench.peers if peer.package == "celery"]
    bench.install(celery)
    contenders: dict[str, Callable[[], list[float]]] = {"YADTQ": lambda: _ours(bench, trips)}
    for peer in celery:
        contenders[peer.name] = lambda peer=peer: _peer(bench, peer, trips)  # type: ignore[misc]  # it has a default
    found = bench.alternate(contenders)
    for name, rounds in found.items():
        goals = (at_most(6), at_most(20)) if name == "YADTQ" else (None, None)
        for title, share, goal in zip(("p50", "p99"), (0.5, 0.99), goals, strict=True):
            yield _figure(f"{name}: {title}", "ms", [percentile(each, share) for each in rounds], goal)
    for title, share in (("p50", 0.5), ("p99", 0.99)) if celery else ():
        others = [min(percentile(found[peer.name][number], share) for peer in celery) for number in range(bench.rounds)]
        ours = [percentile(each, share) for each in found["YADTQ"]]
        ratios = [mine / other for mine, other in zip(ours, others, strict=True)]
        yield _figure(f"{title}, by that of Celery", "×", ratios, at_most(1))
    yield from _half_load(bench)


def _ours(bench: Bench, trips: int) -> list[float]:
    with bench.queue("trips", concurrency=SLOTS) as queue:
        queue.start_workers(1)
        queue.round_trips(WARM_UP)
        return queue.round_trips(trips)


def _peer(bench: Bench, peer: Peer, trips: int) -> list[float]:
    with opened(peer, bench.folder, "") as running:
        running.start_worker()
        return round_trips(running, WARM_UP + trips)[WARM_UP:]


# -- at half load


def _half_load(bench: Bench) -> Iterator[Figure]:
    jobs, seconds = (SMALL_LOAD, SMALL_LOAD_SECONDS) if bench.small else (LOAD, LOAD_SECONDS)
    rounds = [_loaded(bench, jobs, seconds) for _ in range(bench.rounds)]
    rates, loads, trips = zip(*rounds, strict=True)
    yield _figure("jobs of 1 ms: rate of the worker", "jobs/s", rates)
    yield _figure("half load: submitted beside the round trips", "jobs/s", loads)
    yield _figure("half load, p50", "ms", [percentile(each, 0.5) for each in trips])
    yield _figure("half load, p99", "ms", [percentile(each, 0.99) for each in trips], at_most(50))
    yield _figure("half load, round trips that were made", "jobs", [len(each) for each in trips])


def _loaded(bench: Bench, jobs: int, seconds: float) -> tuple[float, float, list[float]]:
    """The worker's rate, that of the load, and the milliseconds of each round trip beside it."""
    with bench.queue("half", concurrency=SLOTS) as queue:
        queue.start_workers(1)
        queue.hold()
        queue.submit("rest", jobs, JOB_SECONDS)
        queue.let_go()
        rate = queue.rate(jobs)
        before = queue.client.counts()["success"]
        load = queue.start_program(
            "load", "-m", "benchmarks.load", "rest", f"[{JOB_SECONDS}]", str(rate / 2), str(seconds)
        )
        load.prints("started")
        began, trips = time.perf_counter(), []
        while load.process.poll() is None:
            trips += queue.round_trips(1)
        took = time.perf_counter() - began
        queue.wait_until_done()
        return rate, (queue.client.counts()["success"] - before - len(trips)) / took, trips


def _figure(name: str, unit: str, samples: Sequence[float], goal: Goal | None = None) -> Figure:
    return Figure(ROW, name, unit, tuple(samples), goal)
