"""Row 1: how many jobs that do nothing a task queue runs in a second, on ten slots, when all were submitted before.

Every task queue is watched in the same way, from outside: every 20 ms one short command asks its own records how many
jobs have ended. The steady rate is that of the jobs from the tenth to the ninetieth of a hundred; the other one counts
from the start of the worker's process until all have ended. All keep the result of every job. The others have a Redis
of their own without a setting, which writes no append-only file; YADTQ has its durable defaults: acks=all, a file that
Redis appends to and syncs each second, and the relay running, so that the events of each job reach Kafka as well.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.bench import Bench
from benchmarks.completions import Completions, watch
from benchmarks.figures import Figure, Goal, at_least, at_most
from benchmarks.floor import SLOTS, Floor, Recording, ended, recorded, submit
from benchmarks.peers.peer import Peer, opened

ROW = 1
JOBS, SMALL_JOBS = 20_000, 1_000
MANY, SMALL_MANY = 200_000, 5_000
SYNCED, SMALL_SYNCED = 50_000, 1_000
WORTH_SHOWING = 0.1  # µs a job


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement; all but the completions of ours only, from the first submission until Kafka has all events.

    cpu: µs of Redis' core a job. calls: commands of programs to Redis a job. held: ms, p99.9 of the calls of scripts.
    """

    completions: Completions
    cpu: float = 0.0
    calls: float = 0.0
    held: float = 0.0


def measure(bench: Bench) -> Iterator[Figure]:
    """All task queues in turn, round by round."""
    jobs, many, synced = (SMALL_JOBS, SMALL_MANY, SMALL_SYNCED) if bench.small else (JOBS, MANY, SYNCED)
    ours = {
        named(jobs): partial(_ours, bench, jobs),
        named(many): partial(_ours, bench, many),
        f"{named(many)}, two workers of five": partial(_ours, bench, many, workers=2),
        f"{named(synced)}, every write synced": partial(_ours, bench, synced, sync="always"),
    }
    peers = {peer.name: partial(_peer, bench, peer, jobs) for peer in bench.peers}
    bench.install(bench.peers)
    with recorded(bench, synced) as recording:
        contenders: dict[str, Callable[[], Run | Floor]] = {**peers, **ours, "the floor": recording.replay}
        found = bench.alternate(contenders)
        runs = {name: [each for each in found[name] if isinstance(each, Run)] for name in (*peers, *ours)}
        floors = [each for each in found["the floor"] if isinstance(each, Floor)]
        yield from _rates(runs)
        if peers:
            yield from _ratios(runs, list(peers), (named(jobs), named(many)))
        yield from _beside_floor(runs[named(many)], floors)
        yield from _redis(runs[named(many)], floors, recording)


def named(jobs: int) -> str:
    return f"YADTQ, {jobs:,} jobs"


def _peer(bench: Bench, peer: Peer, jobs: int) -> Run:
    kafka = f"127.0.0.1:{bench.servers[0].place.port}"
    with opened(peer, bench.folder, kafka) as running:
        return Run(running.work_off(int(jobs * peer.share_of_jobs)))


def _ours(bench: Bench, jobs: int, workers: int = 1, sync: str = "everysec") -> Run:
    """workers: how many share the ten slots. sync: of the append-only file."""
    with bench.queue("throughput", concurrency=SLOTS // workers) as queue:
        queue.redis.config_set("appendfsync", sync)
        try:
            queue.begin_timing()
            cpu = queue.redis_seconds()
            submit(queue.client, jobs)
            began = time.perf_counter()
            for _ in range(workers):
                queue.add_worker()
            completions = watch(lambda: ended(queue), jobs, began)
            queue.wait_until_told()
            cpu = (queue.redis_seconds() - cpu) / jobs * 1e6
            return Run(completions, cpu, queue.commands() / jobs, queue.script_ms("p99.9"))
        finally:
            queue.redis.config_set("appendfsync", "everysec")


# -- what is made of it


def _figure(name: str, unit: str, samples: Sequence[float], goal: Goal | None = None, note: str = "") -> Figure:
    return Figure(ROW, name, unit, tuple(samples), goal, note)


def _rates(runs: Mapping[str, Sequence[Run]]) -> Iterator[Figure]:
    for name, each in runs.items():
        yield _figure(f"{name}: steady", "jobs/s", [run.completions.steady for run in each])
        yield _figure(f"{name}: from process start", "jobs/s", [run.completions.from_start for run in each])


def _ratios(runs: Mapping[str, Sequence[Run]], peers: Sequence[str], ours: Sequence[str]) -> Iterator[Figure]:
    """How many times as fast as the fastest of the others, round by round."""
    kinds: tuple[tuple[str, Callable[[Run], float], Goal], ...] = (
        ("steady", lambda run: run.completions.steady, at_least(10)),
        ("from process start", lambda run: run.completions.from_start, at_least(5)),
    )
    for title, rate, goal in kinds:
        for name in ours:
            samples = [
                rate(run) / max(rate(runs[peer][number]) for peer in peers) for number, run in enumerate(runs[name])
            ]
            fastest = max(peers, key=lambda peer: sorted(map(rate, runs[peer]))[len(runs[peer]) // 2])
            yield _figure(f"{name}, {title}, by the fastest of the others", "×", samples, goal, f"that is {fastest}")


def _beside_floor(runs: Sequence[Run], floors: Sequence[Floor]) -> Iterator[Figure]:
    yield _figure("floor: the same calls with nothing around them", "jobs/s", [each.worked for each in floors])
    yield _figure("floor: submitting", "jobs/s", [each.submitted for each in floors])
    shares = [run.completions.steady / floor.worked for run, floor in zip(runs, floors, strict=True)]
    yield _figure("steady rate, by the floor", "×", shares, at_least(0.5))


def _redis(runs: Sequence[Run], floors: Sequence[Floor], recording: Recording) -> Iterator[Figure]:
    yield _figure("CPU of Redis, all that a job costs", "µs a job", [run.cpu for run in runs], at_most(35))
    yield _figure("CPU of Redis in the floor", "µs a job", [each.cpu for each in floors])
    for name in sorted(floors[0].scripts, key=lambda name: -floors[0].scripts[name]):
        took = [each.scripts[name] for each in floors]
        if max(took) >= WORTH_SHOWING:
            yield _figure(f"in the floor, {name}", "µs a job", took)
    yield _figure("a script holds Redis, p99.9", "ms", [run.held for run in runs], at_most(5))
    yield _figure("a script holds Redis in the floor, p99.9", "ms", [each.held for each in floors])
    yield _figure("calls of Redis", "calls a job", [run.calls for run in runs])
    yield _figure("calls of Redis in the floor", "calls a job", [recording.calls])
