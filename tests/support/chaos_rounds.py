"""The rounds of a chaos run: each takes place in an arena of its own, and ends with figures and problems."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.chaos_arena import LEASE_SECONDS, Arena, name_of
from tests.support.chaos_injector import Injector, play
from tests.support.chaos_report import described, percentile
from tests.support.checker import Restart, check
from tests.support.faults import Step
from tests.support.ledger import now
from tests.support.waiting import eventually
from yadtq import Call

Say = Callable[[str], None]

MIXED_WORKERS = 4
BACK_SECONDS = 10.0  # after a server is back, every worker consumes again within so long
RUNS_BETWEEN = 60  # from one outage to the next
MOST_UNSEEN, MOST_SEEN = LEASE_SECONDS + 5, 1.0


@dataclass(slots=True)
class Result:
    """What a round has shown. problems: what must not be; with none, it went well."""

    name: str
    figures: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@contextmanager
def arena_in(folder: Path, result: Result, workers: int, concurrency: int = 3, seed: int = 0) -> Iterator[Arena]:
    """A started arena; in the end it is judged, into `result`, and closed."""
    arena = Arena(folder, concurrency, seed)
    try:
        arena.start(workers)
        yield arena
        result.problems += late(judge(arena, result))
    finally:
        arena.close()


def judge(arena: Arena, result: Result) -> list[Restart]:
    """Lets the arena come to rest, reads everything back, and puts the verdict into the result."""
    arena.stop_clients()
    arena.settle_down()
    history = arena.history()
    arena.stop_workers()
    arena.examine_logs()
    verdict = check(history)
    result.figures += described(verdict)
    result.problems += [*map(str, verdict.violations), *arena.problems]
    path = arena.folder / "history.json"
    history.save(path)
    if result.problems:
        result.problems.append(f"the whole history is in {path}, the logs beside it")
    return list(verdict.restarts)


def late(restarts: Sequence[Restart]) -> list[str]:
    """The recoveries that took longer than they may, among those that no other fault held up."""
    problems = []
    for mends, most in (("unseen", MOST_UNSEEN), ("seen", MOST_SEEN)):
        seconds = [restart.seconds for restart in restarts if restart.mends == mends and restart.alone]
        if seconds and percentile(seconds, 99) > most:
            problems.append(f"recovery ({mends}) took {percentile(seconds, 99):.1f} s at p99; at most {most:g} s")
    return problems


def mixed(folder: Path, steps: Sequence[Step], seconds: float, seed: int, say: Say) -> Result:
    """All faults of a schedule, under load."""
    result = Result(f"mixed faults, {seconds:g} s, seed {seed}")
    with arena_in(folder, result, MIXED_WORKERS, seed=seed) as arena:
        for name in ("client1", "client2"):
            arena.start_client(name, 5)
        Injector(arena, steps, say).run(seconds)
    return result


def outages(folder: Path, lengths: Sequence[float], seed: int, say: Say) -> Result:
    """Kafka, Redis or both are away, again and again: how soon does every worker consume again?"""
    result = Result(f"{len(lengths)} outages of {', '.join(f'{s:g}' for s in sorted(set(lengths)))} s")
    chance = random.Random(seed)
    kinds = ["kafka-kill", "redis-kill", "both-kafka-first", "both-redis-first"]
    took: list[float] = []
    with arena_in(folder, result, 3, concurrency=2, seed=seed) as arena:
        arena.start_client("client1", 60, "small")
        for number, seconds in enumerate(lengths):
            _wait_for_runs(arena, len(arena.runs()) + RUNS_BETWEEN)
            kind = kinds[number % len(kinds)] if number >= len(kinds) else chance.choice(kinds)
            play(arena, Step(0, kind, seconds=seconds))
            back = now()
            took += [_consumes_again(arena, worker, back) for worker in sorted(arena.workers)]
            say(f"  {kind} for {seconds:g} s: consumed again after {max(took[-len(arena.workers) :]):.1f} s")
    result.figures.append(
        f"every worker consumed again after at most {max(took):.1f} s (p50 {percentile(took, 50):.1f})"
    )
    if max(took) > BACK_SECONDS:
        result.problems.append(f"a worker consumed again only {max(took):.1f} s after the server was back")
    return result


def _consumes_again(arena: Arena, worker: int, back: float) -> float:
    def first_start() -> float:
        starts = [run.started for run in arena.runs() if run.worker == name_of(worker) and run.started > back]
        assert starts, f"{name_of(worker)} has started nothing"
        return min(starts) - back

    try:
        return eventually(first_start, 4 * BACK_SECONDS)
    except AssertionError as error:
        arena.problems.append(str(error))
        return 4 * BACK_SECONDS


def five_hundred(folder: Path, seed: int, say: Say) -> Result:
    """500 tasks of 0.5 s, 4 workers, 5 SIGKILLs."""
    result, chance = Result("500 tasks of 0.5 s, 4 workers, 5 SIGKILLs"), random.Random(seed)
    with arena_in(folder, result, 4, seed=seed) as arena:
        began = now()
        ids = arena.submit([Call("work", (0.5,)) for _ in range(500)])
        for _ in range(5):
            _wait_for_runs(arena, len(arena.runs()) + 60)
            victim = chance.choice(sorted(arena.workers))
            say(f"  SIGKILL of {name_of(victim)}")
            play(arena, Step(0, "kill-worker", victim))
        arena.settle_down()
        took = now() - began
        ended_well = sum(arena.client.get_result(task_id).status == "success" for task_id in ids)
    result.figures.append(f"{ended_well} of {len(ids)} succeeded after {took:.1f} s (at best {500 * 0.5 / 12:.1f} s)")
    if ended_well < len(ids):
        result.problems.append(f"{len(ids) - ended_well} of {len(ids)} did not succeed")
    return result


def _wait_for_runs(arena: Arena, count: int) -> None:
    eventually(lambda: len(arena.runs()) >= count, 60, f"{count} starts")


def rolling(folder: Path, restarts: int, seed: int, say: Say) -> Result:
    """Restarts by SIGTERM under load, one after the other: nothing lost, nothing failed, nothing started twice."""
    result = Result(f"{restarts} rolling restarts")
    with arena_in(folder, result, 3, seed=seed) as arena:
        arena.start_client("client1", 10, "small")
        for number in range(restarts):
            play(arena, Step(0, "restart-worker", sorted(arena.workers)[number % len(arena.workers)]))
            if number % 10 == 9:
                say(f"  {number + 1} restarts")
        arena.stop_clients()
        arena.settle_down()
        failed = arena.client.counts()["failed"]
    result.figures.append(f"{failed} tasks failed")
    if failed:
        result.problems.append(f"{failed} tasks failed")
    return result


def long_task(folder: Path, seconds: float, seed: int, say: Say) -> Result:
    """One long task while Redis is away five times for longer than the lease."""
    result = Result(f"a task of {seconds:g} s while Redis is away five times")
    with arena_in(folder, result, 2, seed=seed) as arena:
        (task_id,) = arena.submit([Call("work", (seconds,))])
        for number in range(5):
            _wait_for_runs(arena, number + 1)
            play(arena, Step(0, "redis-kill", seconds=LEASE_SECONDS + 2))
            say(f"  away {number + 1} times")
        task = arena.client.wait_for_result(task_id, 3 * seconds + 60)
    said = [f"{attempt.outcome} ({attempt.reason})" for attempt in task.history]
    result.figures.append(f"it ended {task.status}, {task.crashes} crashes counted, {task.attempt} starts: {said}")
    if (task.status, task.crashes) != ("success", 0) or len(task.history) != task.attempt - 1:
        result.problems.append("it should have ended success, with no crash counted and each restart in its history")
    return result


def stamp() -> str:
    """Names the folder of a run."""
    return time.strftime("%Y%m%d-%H%M%S")
