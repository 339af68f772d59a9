"""What goes wrong around a submission, beside the servers: threads that flush together, machines without threads."""

import threading
from collections.abc import Callable, Iterator

import pytest

from _yadtq.messages import PART_TASKS
from tests.support.failing_servers import FakeBroker, FakeStore
from tests.support.waiting import eventually
from yadtq import Call, SubmissionUnknown, TaskClient, TaskIdConflict, WaitTimeout

PATIENCE = 10.0


@pytest.fixture
def threads_fail() -> Iterator[Callable[[], None]]:
    """No thread can be started until it is called."""
    original, patched = threading.Thread.start, pytest.MonkeyPatch()

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    patched.setattr(threading.Thread, "start", refuse)
    yield lambda: patched.setattr(threading.Thread, "start", original)
    patched.undo()


def test_all_that_flush_together_are_told_of_a_refusal(
    client: TaskClient, broker: FakeBroker, store: FakeStore
) -> None:
    gate = threading.Event()
    broker.before = lambda: gate.wait(PATIENCE)
    store.words = {"a": "conflict"}
    client.submit_later("add", 1, task_id="first")  # nothing ends before both flush
    client.submit_later("add", 1, task_id="a")
    told: list[Exception] = []

    def flush() -> None:
        try:
            client.flush(PATIENCE)
        except TaskIdConflict as error:
            told.append(error)

    flushing = [threading.Thread(target=flush) for _ in range(2)]
    for each in flushing:
        each.start()
    eventually(lambda: len(client._gathering._flushing) == 2, PATIENCE)
    gate.set()
    for each in flushing:
        each.join(PATIENCE)
    assert [error.task_id for error in told if isinstance(error, TaskIdConflict)] == ["a", "a"]
    assert told[0] is not told[1]  # each has its own list of what was accepted
    client.flush(PATIENCE)


def test_a_flush_that_times_out_leaves_the_failure_for_the_next(
    client: TaskClient, broker: FakeBroker, store: FakeStore
) -> None:
    gate = threading.Event()
    broker.before = lambda: gate.wait(PATIENCE)
    store.words = {"a": "conflict"}
    client.submit_later("add", 1, task_id="first")
    client.submit_later("add", 1, task_id="a")
    with pytest.raises(WaitTimeout, match="they go on"):
        client.flush(0.01)
    gate.set()
    with pytest.raises(TaskIdConflict):
        client.flush(PATIENCE)


def test_a_task_is_not_taken_when_its_thread_cannot_be_started(
    client: TaskClient, broker: FakeBroker, threads_fail: Callable[[], None]
) -> None:
    with pytest.raises(RuntimeError, match="can't start new thread"):
        client.submit_later("add", 1, task_id="a")
    threads_fail()
    client.flush(PATIENCE)
    client.submit_later("add", 1, task_id="b")
    client.flush(PATIENCE)
    assert broker.published == ["b"]


def test_parts_are_published_without_a_thread_when_none_can_be_started(
    client: TaskClient, broker: FakeBroker, threads_fail: Callable[[], None]
) -> None:
    ids = [f"t{n}" for n in range(2 * PART_TASKS + 1)]
    assert client.submit_many([Call("add", (1,), task_id=each) for each in ids]) == ids
    assert broker.published == ids


def test_what_kafkas_package_raises_by_surprise_takes_registrations_back(
    client: TaskClient, broker: FakeBroker, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ValueError("Unrecognized partition")

    store.word = "unknown"
    monkeypatch.setattr(broker, "publish_tasks", fail)
    with pytest.raises(SubmissionUnknown, match="Unrecognized partition"):
        client.submit("add", 1, task_id="a")
    assert "withdraw a 0-1" in store.calls
