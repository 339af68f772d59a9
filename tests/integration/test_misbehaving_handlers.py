"""Handlers that hold the interpreter, end their process, or kill their worker: what it costs, and whom."""

import os
import signal

import pytest

from _yadtq.settings import Settings
from tests.conftest import StartWorker
from tests.integration.conftest import MISBEHAVING, Figure, Wait
from tests.support.kafka_tools import members, wait_for_readers
from tests.support.notes import Notes
from tests.support.programs import RunningProgram
from yadtq import Task, TaskClient

# The full length is 60 s with WORKER_TIMEOUT=10; what matters is that it is several leases long.
GIL_SECONDS = int(os.environ.get("YADTQ_TEST_GIL_SECONDS", "12"))
LEASE_SECONDS = int(os.environ.get("YADTQ_TEST_LEASE_SECONDS", "4"))


@pytest.mark.timeout(GIL_SECONDS + 60)
def test_a_handler_that_holds_the_interpreter_costs_its_worker_nothing(
    settings: Settings, client: TaskClient, worker_process: StartWorker, notes: Notes, figure: Figure
) -> None:
    for _ in range(2):
        worker_process(*MISBEHAVING, concurrency=2, worker_timeout=LEASE_SECONDS, drain_seconds=1)
    broker, group = settings.kafka_broker, f"{settings.namespace}_workers"
    wait_for_readers(broker, group, 2)
    readers = members(broker, group)
    lives = {worker.id for worker in client.workers()}

    holders = [client.submit(name, notes.path, GIL_SECONDS) for name in ("hold_gil", "spin")]
    notes.wait_for(2)
    small, states = 0, set[str]()
    while not all(client.get_result(held).ended for held in holders):
        client.wait_for_result(client.submit("note", notes.path), 5)
        small += 1
        states |= {worker.state for worker in client.workers()}

    figure(f"a C call and a tight loop of {GIL_SECONDS} s, lease {LEASE_SECONDS} s: {small} other tasks meanwhile")
    for task in map(client.get_result, holders):
        assert (task.status, task.attempt, task.history) == ("success", 1, ())
    assert set(notes.starts().values()) == {1}
    assert states == {"online"}
    assert {worker.id for worker in client.workers()} == lives
    assert members(broker, group) == readers


@pytest.fixture
def one_worker(worker_process: StartWorker) -> RunningProgram:
    """A worker of five slots with the tasks that misbehave."""
    return worker_process(*MISBEHAVING, concurrency=5, retry_delay=0.1)


def test_a_handler_that_ends_its_process_is_started_again(
    one_worker: RunningProgram, client: TaskClient, notes: Notes, all_ended: Wait
) -> None:
    left, shot = all_ended([client.submit(name, notes.path, 1) for name in ("exit_at_once", "segfault")])
    assert (left.status, left.result, left.attempt, left.crashes, left.failures) == ("success", "stayed", 2, 1, 0)
    assert (shot.status, shot.result, shot.attempt, shot.crashes, shot.failures) == ("success", "survived", 2, 1, 0)
    assert [attempt.outcome for attempt in left.attempts] == ["crash", "success"]
    assert one_worker.process.poll() is None


def test_a_handler_that_always_ends_its_process_fails_at_the_cap_and_disturbs_nobody(
    one_worker: RunningProgram, client: TaskClient, notes: Notes, all_ended: Wait
) -> None:
    others = [client.submit("note", notes.path, 4) for _ in range(3)]
    notes.wait_for(3)
    crashing = [client.submit(name, notes.path, 99) for name in ("exit_at_once", "segfault")]

    ended: list[Task] = all_ended(crashing)

    assert not any(task.ended for task in map(client.get_result, others))
    for task in ended:
        assert task.status == "failed"
        assert task.error is not None
        assert task.error.type == "TooManyCrashes"
        assert (task.crashes, task.failures) == (3, 0)
        assert notes.starts()[task.id] == 3
    assert "exit" in str(ended[0].error)
    assert "SIGSEGV" in str(ended[1].error)
    assert [(t.status, t.attempt, t.history) for t in all_ended(others)] == [("success", 1, ())] * 3
    assert all(notes.starts()[task_id] == 1 for task_id in others)
    assert one_worker.process.poll() is None


def test_a_task_that_kills_its_worker_fails_at_the_cap(
    client: TaskClient, worker_process: StartWorker, notes: Notes, all_ended: Wait
) -> None:
    doomed = client.submit("kill_worker", notes.path, 99)
    for _ in range(2):
        victim = worker_process(*MISBEHAVING, concurrency=1, worker_timeout=2, task_max_crashes=2)
        assert victim.process.wait(30) == -signal.SIGKILL
    worker_process(*MISBEHAVING, worker_timeout=2, task_max_crashes=2)

    (task,) = all_ended([doomed])

    assert task.status == "failed"
    assert task.error is not None
    assert task.error.type == "TooManyCrashes"
    assert (task.crashes, notes.starts()[doomed]) == (2, 2)
    assert client.wait_for_result(client.submit("note", notes.path), 10).status == "success"
