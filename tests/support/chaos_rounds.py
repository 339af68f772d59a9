"""The rounds of a chaos run: each takes place in an arena of its own, and ends with figures and problems."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.chaos_arena import LEASE_SECONDS, Arena, name_of
from tests.support.chaos_injector import STORIES, Injector, play
from tests.support.chaos_operators import Operators
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
    """What a round has shown. problems: what must not be. restarts: tasks that were started again, with the reason."""

    name: str
    figures: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)


@contextmanager
def arena_in(folder: Path, result: Result, workers: int, seed: int = 0, **given: Any) -> Iterator[Arena]:
    """A started arena; in the end it is judged, into `result`, and closed. given: settings of its programs."""
    arena = Arena(folder, seed, **given)
    try:
        arena.start(workers)
        yield arena
        judge(arena, result)
        result.problems += late(result.restarts)
    finally:
        arena.close()


def judge(arena: Arena, result: Result) -> None:
    """Lets the arena come to rest, reads everything back, and puts the verdict into the result."""
    arena.stop_clients()
    arena.settle_down()
    if arena.operators:
        arena.operators.examine()
    history = arena.history()
    if arena.operators:
        arena.operators.stop()
    arena.stop_workers()
    arena.examine_logs()
    verdict = check(history)
    result.figures += described(verdict)
    result.restarts += verdict.restarts
    if arena.left_out:
        result.figures.append(f"left out, because there is no C compiler: {', '.join(sorted(arena.left_out))}")
    result.problems += [*map(str, verdict.violations), *arena.problems]
    path = arena.folder / "history.json"
    history.save(path)
    if result.problems:
        result.problems.append(f"the whole history is in {path}, the logs beside it")


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
    with arena_in(folder, result, MIXED_WORKERS, seed) as arena:
        Operators(arena)
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
    noticed: list[float] = []
    with arena_in(folder, result, 3, seed, concurrency=2) as arena:
        arena.start_client("client1", 60, "small")
        for number, seconds in enumerate(lengths):
            wait_for_runs(arena, len(arena.runs()) + RUNS_BETWEEN)
            kind = kinds[number % len(kinds)] if number >= len(kinds) else chance.choice(kinds)
            noticed.append(_away(arena, Step(0, kind, seconds=seconds)))
            back = arena.servers_back_at
            took += [_consumes_again(arena, worker, back) for worker in sorted(arena.workers)]
            again = max(took[-len(arena.workers) :])
            say(f"  {kind} for {seconds:g} s: not ready after {noticed[-1]:.1f} s, consumed again after {again:.1f} s")
    result.figures.append(
        f"every worker consumed again after at most {max(took):.1f} s (p50 {percentile(took, 50):.1f})"
    )
    result.figures.append(f"every worker said after at most {max(noticed):.1f} s of each outage that it is not ready")
    if max(took) > BACK_SECONDS:
        result.problems.append(f"a worker consumed again only {max(took):.1f} s after the server was back")
    return result


def _away(arena: Arena, step: Step) -> float:
    """One outage. Returns after how many seconds the last worker said that it is not ready; notes one that did not."""
    eventually(lambda: all(map(arena.is_ready, arena.workers)), 4 * BACK_SECONDS, "workers that are ready")
    story = STORIES[step.kind](arena, step)
    back_at = now() + next(story)
    began = now()
    try:
        eventually(lambda: not any(map(arena.is_ready, arena.workers)), step.seconds, "workers that are not ready")
    except AssertionError as error:
        arena.problems.append(f"{step.kind} for {step.seconds:g} s: {error}")
    noticed = now() - began
    time.sleep(max(0.0, back_at - now()))
    for pause in story:
        time.sleep(pause)
    return noticed


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
    with arena_in(folder, result, 4, seed) as arena:
        began = now()
        ids = arena.submit([Call("work", (0.5,)) for _ in range(500)])
        for _ in range(5):
            wait_for_runs(arena, len(arena.runs()) + 60)
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


def wait_for_runs(arena: Arena, count: int) -> None:
    """Waits until handlers have been started so many times."""
    eventually(lambda: len(arena.runs()) >= count, 60, f"{count} starts")


def stamp() -> str:
    """Names the folder of a run."""
    return time.strftime("%Y%m%d-%H%M%S")
