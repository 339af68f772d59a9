"""A round that asks one thing: how soon does a task start again when its child, or its worker, is gone?"""

from collections.abc import Sequence
from pathlib import Path

from tests.support.chaos_arena import LEASE_SECONDS, Arena, name_of
from tests.support.chaos_injector import play
from tests.support.chaos_report import percentile
from tests.support.chaos_rounds import MOST_SEEN, MOST_UNSEEN, Result, Say, arena_in
from tests.support.checker import Restart
from tests.support.faults import Step
from tests.support.waiting import eventually

WORKERS = 4
RATE = 3  # tasks a second, of a second or two: less than half of the slots are taken, so nothing waits for one
CHILDREN, STOPS, KILLS = 20, 8, 12


def recovery(folder: Path, seed: int, say: Say) -> Result:
    """Children are killed, workers told to stop with no time for what they run, workers killed: all under load."""
    result = Result(f"{CHILDREN} children killed, {STOPS} workers told to stop, {KILLS} workers killed")
    with arena_in(folder, result, WORKERS, seed, drain_seconds=0.0) as arena:
        arena.start_client("client1", RATE, "steady")
        for kind, times in (("kill-child", CHILDREN), ("restart-worker", STOPS), ("kill-worker", KILLS)):
            for _ in range(times):
                play(arena, Step(0, kind, _busy_worker(arena)))
            say(f"  {kind} {times} times")
    for kind, name, most in (
        ("kill-child", "of a child that was killed", MOST_SEEN),
        ("sigterm", "of a worker that was told to stop at once", MOST_SEEN),
        ("kill-worker", f"of a worker that nobody saw die (lease {LEASE_SECONDS:g} s)", MOST_UNSEEN),
    ):
        _judge(result, name, [restart for restart in result.restarts if restart.fault == kind], most)
    return result


def _busy_worker(arena: Arena) -> int:
    """A worker that runs a task now; each in its turn."""
    order = [*range(len(arena.faults) % WORKERS, WORKERS), *range(len(arena.faults) % WORKERS)]

    def found() -> int:
        busy = {run.worker for run in arena.runs() if run.ended is None and run.process not in arena.dead()}
        return next((number + 1 for number in order if name_of(number + 1) in busy), 0)

    return eventually(found, 20, "a worker that runs something")


def _judge(result: Result, name: str, restarts: Sequence[Restart], most: float) -> None:
    seconds = [restart.seconds for restart in restarts]
    p99 = percentile(seconds, 99)
    result.figures.append(
        f"recovery {name}: {len(seconds)} tasks, p50 {percentile(seconds, 50):.2f}, p99 {p99:.2f} s; at most {most:g} s"
    )
    if not p99 <= most:
        result.problems.append(f"recovery {name} took {p99:.2f} s at p99; at most {most:g} s")
