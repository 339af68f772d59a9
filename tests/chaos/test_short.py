"""The short form: one SIGKILL, one zombie, one restart of Kafka and one of Redis, under load, and the whole ledger.

`make chaos` does it for a quarter of an hour with all faults (docs/reliability.md).
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.chaos_arena import LEASE_SECONDS, Arena
from tests.support.chaos_injector import play
from tests.support.chaos_rounds import Result, judge
from tests.support.faults import Step
from tests.support.ledger import Run, now
from tests.support.waiting import eventually
from yadtq import Call, Task

WORKERS, SLOTS = 3, 3
RATE = 8  # tasks a second

Figure = Callable[[str], None]


@pytest.fixture
def figure(capsys: pytest.CaptureFixture[str]) -> Figure:
    """figure(text): shows a measured figure in the run's output."""

    def show(text: str) -> None:
        with capsys.disabled():
            print(f"\n    {text}", end="", flush=True)

    return show


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    """Private servers and three workers."""
    opened = Arena(tmp_path / "arena", concurrency=SLOTS, seed=4)
    try:
        opened.start(WORKERS)
        yield opened
    finally:
        opened.close()


# kafka-python leaves the sockets of refused connections to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(240)
def test_nothing_is_lost_and_nothing_runs_twice(arena: Arena, figure: Figure) -> None:
    result = Result("the short form")
    arena.start_client("client1", RATE, "light")

    killed = start(arena, 8.0)
    play(arena, Step(0, "kill-worker", number_of(killed)))
    killed_at = arena.faults[-1].began
    recovery = started_again(arena, killed).started - killed_at
    figure(f"SIGKILL of a worker: its task was started elsewhere {recovery:.1f} s later")

    make_zombie(arena)

    for kind, seconds in (("kafka-kill", 3.0), ("redis-kill", 2.0)):
        play(arena, Step(0, kind, seconds=seconds))
        back = now()
        task = arena.client.wait_for_result(arena.submit_when_possible(Call("work", (0.0,))), 60)
        figure(f"{kind}: a task was submitted and has ended {now() - back:.1f} s after the server was back")
        assert task.status == "success"

    judge(arena, result)
    for line in result.figures:
        figure(line)
    assert result.problems == []
    assert recovery <= LEASE_SECONDS + 5
    assert {"kill-worker", "stop-worker", "kafka-kill", "redis-kill"} == {fault.kind for fault in arena.faults}


def start(arena: Arena, seconds: float) -> Run:
    """Submits a task that takes so long, and returns its first run."""
    task_id = arena.submit_when_possible(Call("work", (seconds,)))
    eventually(lambda: runs_of(arena, task_id), 60, "its start")
    return runs_of(arena, task_id)[0]


def runs_of(arena: Arena, task_id: str) -> list[Run]:
    return [run for run in arena.runs() if run.task == task_id]


def started_again(arena: Arena, run: Run) -> Run:
    eventually(lambda: len(runs_of(arena, run.task)) == 2, 60, f"the second start of {run.task}")
    return runs_of(arena, run.task)[1]


def number_of(run: Run) -> int:
    return int(run.worker.removeprefix("w"))


def make_zombie(arena: Arena) -> None:
    """A worker is stopped while it runs a task, for longer than its lease; it goes on when the task runs elsewhere.

    It also runs a task that outlives the lease, and that must be over before it starts elsewhere.
    """
    long_tasks = [start(arena, LEASE_SECONDS + 6) for _ in range(WORKERS)]
    run = start(arena, 1.5)
    while run.worker not in {each.worker for each in long_tasks}:
        run = start(arena, 1.5)
    play(arena, Step(0, "stop-worker", number_of(run), LEASE_SECONDS + 4))
    eventually(lambda: "refused" in outcomes(arena.client.get_result(run.task)), 20, "the refusal of the late outcome")
    task = arena.client.wait_for_result(run.task, 60)
    assert (task.status, outcomes(task)) == ("success", ["reclaim", "refused"])


def outcomes(task: Task) -> list[str]:
    return [attempt.outcome for attempt in task.history]
