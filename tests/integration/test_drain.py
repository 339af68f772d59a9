"""SIGTERM: what runs ends, what cannot end goes back, nothing stays behind, exit code 0 in time."""

import signal
import time

from _yadtq.settings import Settings
from tests.conftest import StartWorker
from tests.integration.conftest import RECORDED, Figure, Wait
from tests.support.kafka_tools import members
from tests.support.notes import Notes
from tests.support.waiting import eventually
from yadtq import Call, TaskClient


def test_a_running_task_ends_before_its_worker_does(
    client: TaskClient, worker_process: StartWorker, notes: Notes, figure: Figure
) -> None:
    worker = worker_process(*RECORDED, concurrency=2)
    running = [client.submit("note", notes.path, 3) for _ in range(2)]
    notes.wait_for(2)
    waiting = [client.submit("note", notes.path) for _ in range(20)]

    began = time.monotonic()
    assert worker.terminate(20) == 0

    figure(f"SIGTERM with 3 s to go: exit 0 after {time.monotonic() - began:.1f} s")
    assert [client.get_result(task_id).status for task_id in running] == ["success"] * 2
    assert client.counts() | {"queued": 20, "success": 2, "processing": 0} == client.counts()
    assert {client.get_result(task_id).attempt for task_id in waiting} == {0}
    assert [worker.state for worker in client.workers()] == ["offline"]


def test_what_cannot_end_goes_back_at_once_and_burns_no_retry(
    settings: Settings, client: TaskClient, worker_process: StartWorker, notes: Notes, all_ended: Wait, figure: Figure
) -> None:
    first = worker_process(*RECORDED, concurrency=2, drain_seconds=1, worker_timeout=30)
    ids = [client.submit("note_slow_first", notes.path, 30) for _ in range(2)]
    notes.wait_for(2)
    second = worker_process(*RECORDED, concurrency=2)
    eventually(lambda: len(client.workers()) == 2)

    began = time.monotonic()
    assert first.terminate(1 + 5) == 0
    took = time.monotonic() - began
    tasks = all_ended(ids, 5)

    figure(f"SIGTERM with 30 s to go and 1 s of patience: exit 0 after {took:.1f} s, the tasks ran elsewhere")
    assert "worker1" not in {task.worker_id for task in tasks}
    for task in tasks:
        assert (task.status, task.failures, task.crashes) == ("success", 0, 0)
        assert [attempt.outcome for attempt in task.attempts] == ["release", "success"]
        assert notes.starts()[task.id] == 2
    assert client.counts()["processing"] == 0
    assert set(members(settings.kafka_broker, f"{settings.namespace}_workers")) == {"worker2"}
    assert second.process.poll() is None


def test_a_second_signal_ends_the_patience(client: TaskClient, worker_process: StartWorker, notes: Notes) -> None:
    worker = worker_process(*RECORDED, drain_seconds=60)
    task_id = client.submit("note", notes.path, 60)
    notes.wait_for(1)
    worker.process.send_signal(signal.SIGTERM)
    worker.prints("action=drain", 30)
    assert worker.terminate(30) == 0
    task = client.get_result(task_id)
    assert (task.status, task.failures, task.crashes) == ("queued", 0, 0)
    assert client.counts()["processing"] == 0


def test_a_drain_under_load_loses_and_repeats_nothing(
    client: TaskClient, worker_process: StartWorker, notes: Notes, all_ended: Wait
) -> None:
    """Workers come and go while small tasks flow: each task is started once."""
    ids: list[str] = []
    for _ in range(3):
        worker = worker_process(*RECORDED)
        ids += client.submit_many([Call("note", (notes.path,))] * 500)
        notes.wait_for(len(ids) - 400)
        assert worker.terminate(30) == 0
        assert client.counts()["processing"] == 0
    worker_process(*RECORDED)
    assert {task.status for task in all_ended(ids)} == {"success"}
    assert set(notes.starts().values()) == {1}
    assert len(notes.starts()) == len(ids)
