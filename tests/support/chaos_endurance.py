"""Rounds that take long: a hundred restarts, a task that outlives five outages, very many tasks through one worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.chaos_arena import Arena
from tests.support.chaos_injector import play
from tests.support.chaos_rounds import Result, Say, arena_in, wait_for_runs
from tests.support.chaos_watcher import children_of, guard_of
from tests.support.faults import Step
from tests.support.ledger import now
from tests.support.waiting import eventually
from yadtq import Call

LONG_TASK_LEASE = 10.0  # WORKER_TIMEOUT of the workers that run the long task
AWAY_SECONDS = LONG_TASK_LEASE + 2
SUBMIT_BATCH = 1000
# Small tasks that wait at most, so that what is measured is the worker at work, and Redis stays small.
MOST_WAITING = 5000
WARM_UP = 0.25  # of the tasks: afterwards nothing may grow
# Per 1,000 tasks, all processes together: an object kept for each task would be 50,000 bytes and more.
MOST_BYTES, MOST_DESCRIPTORS = 20_000, 0.02


def rolling(folder: Path, restarts: int, seed: int, say: Say) -> Result:
    """Restarts by SIGTERM under load, one after the other: nothing lost, nothing failed, nothing started twice."""
    result = Result(f"{restarts} rolling restarts")
    with arena_in(folder, result, 3, seed) as arena:
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
    result = Result(
        f"a task of {seconds:g} s while Redis is away five times for {AWAY_SECONDS:g} s, lease {LONG_TASK_LEASE:g} s"
    )
    with arena_in(folder, result, 2, seed, worker_timeout=LONG_TASK_LEASE) as arena:
        (task_id,) = arena.submit([Call("work", (seconds,))])
        for number in range(5):
            wait_for_runs(arena, number + 1)
            play(arena, Step(0, "redis-kill", seconds=AWAY_SECONDS))
            say(f"  away {number + 1} times")
        task = arena.client.wait_for_result(task_id, 3 * seconds + 60)
    said = [f"{attempt.outcome} ({attempt.reason})" for attempt in task.history]
    result.figures.append(f"it ended {task.status}, {task.crashes} crashes counted, {task.attempt} starts: {said}")
    explained = len(task.history) == task.attempt - 1 and all(attempt.reason for attempt in task.history)
    if (task.status, task.crashes) != ("success", 0) or not explained:
        result.problems.append("it should have ended success, with no crash counted and each restart in its history")
    return result


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a worker's processes hold after so many tasks: resident bytes and open descriptors, each by role."""

    tasks: int
    memory: tuple[int, ...]
    descriptors: tuple[int, ...]


def very_many(folder: Path, tasks: int, say: Say) -> Result:
    """Very many tasks through one worker: its memory and its descriptors are flat after a warm-up."""
    result = Result(f"{tasks:,} tasks through one worker")
    arena = Arena(folder)
    try:
        arena.start(1)
        began = now()
        seen = _submit_and_look(arena, tasks, say)
        eventually(lambda: arena.client.counts()["success"] == tasks, 120, "the success of all")
        took = now() - began
        after = [each for each in seen if each.tasks >= tasks * WARM_UP]
        result.figures.append(f"{tasks:,} succeeded in {took:.0f} s ({tasks / took:,.0f} a second)")
        result.figures += _slopes(after)
        result.problems += growth(after)
        arena.stop_workers()
        arena.examine_logs()
        result.problems += arena.problems
    finally:
        arena.close()
    return result


def _submit_and_look(arena: Arena, tasks: int, say: Say) -> list[Footprint]:
    seen: list[Footprint] = []
    for submitted in range(0, tasks, SUBMIT_BATCH):
        _make_room(arena)
        arena.client.submit_many([Call("nothing") for _ in range(SUBMIT_BATCH)])
        done = arena.client.counts()["success"]
        seen.append(_footprint(arena, done))
        if (submitted + SUBMIT_BATCH) % (tasks // 10) == 0:
            say(f"  {done:,} done, {sum(seen[-1].memory) / 1e6:.1f} MB, {sum(seen[-1].descriptors)} descriptors")
    return seen


def _make_room(arena: Arena) -> None:
    eventually(lambda: arena.client.counts()["queued"] <= MOST_WAITING, 120, "room for more tasks")


def _footprint(arena: Arena, tasks: int) -> Footprint:
    """The parent, the guard, and all children together."""
    parent = arena.process(1)
    guard = guard_of(parent)
    assert guard is not None, "the worker has no guard"
    roles = ([parent], [guard], children_of(guard))
    return Footprint(
        tasks,
        tuple(sum(map(_resident_bytes, processes)) for processes in roles),
        tuple(sum(map(_descriptors, processes)) for processes in roles),
    )


def _resident_bytes(process: int) -> int:
    text = Path(f"/proc/{process}/status").read_text(encoding="utf-8", errors="replace")
    return int(text.partition("VmRSS:")[2].split()[0]) * 1024


def _descriptors(process: int) -> int:
    return sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())


def slope(points: Sequence[tuple[float, float]]) -> float:
    """How much the second value rises with each 1,000 of the first: the straight line through all points."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return 1000 * sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def _slopes(seen: Sequence[Footprint]) -> list[str]:
    lines = []
    for number, role in enumerate(("parent", "guard", "children")):
        memory, descriptors = _slope(seen, number)
        first, last = seen[0].memory[number] / 1e6, seen[-1].memory[number] / 1e6
        lines.append(
            f"{role}: {memory:+,.0f} bytes and {descriptors:+.3f} descriptors per 1,000 tasks after the first"
            f" {seen[0].tasks:,} ({first:.1f} MB, then {last:.1f} MB)"
        )
    return lines


def _slope(seen: Sequence[Footprint], role: int) -> tuple[float, float]:
    """Bytes and descriptors that a role gains with each 1,000 tasks."""
    return (
        slope([(each.tasks, each.memory[role]) for each in seen]),
        slope([(each.tasks, each.descriptors[role]) for each in seen]),
    )


def growth(seen: Sequence[Footprint]) -> list[str]:
    """What grows with the tasks, more than it may."""
    slopes = [_slope(seen, role) for role in range(len(seen[0].memory))]
    memory, descriptors = sum(each for each, _ in slopes), sum(each for _, each in slopes)
    problems = []
    if memory > MOST_BYTES:
        problems.append(f"memory grows by {memory:,.0f} bytes per 1,000 tasks; at most {MOST_BYTES:,}")
    if descriptors > MOST_DESCRIPTORS:
        problems.append(f"descriptors grow by {descriptors:.3f} per 1,000 tasks")
    return problems
