"""Tasks that are submitted later: what is promised when, and what a program is told of those that were not accepted."""

import threading
from collections.abc import Sequence

import pytest

from _yadtq import gathering
from _yadtq.messages import PART_TASKS, Submission
from _yadtq.store import Registration
from tests.support.failing_servers import DOWN, FakeBroker, FakeStore
from tests.support.waiting import eventually
from yadtq import (
    BadArguments,
    ProtocolTooNew,
    SubmissionRefused,
    SubmissionUnknown,
    TaskClient,
    TaskIdConflict,
    WaitTimeout,
)


@pytest.fixture
def gate(broker: FakeBroker) -> threading.Event:
    """Kafka acknowledges nothing until it is set."""
    opened = threading.Event()
    broker.before = lambda: opened.wait(10)
    return opened


def threads() -> int:
    """Threads that submit."""
    return sum(each.name in ("submit", "publish") for each in threading.enumerate())


def later(client: TaskClient, *ids: str) -> None:
    for each in ids:
        assert client.submit_later("add", 1, task_id=each) == each


def test_the_id_comes_at_once_and_a_flush_waits_for_kafka(
    client: TaskClient, broker: FakeBroker, gate: threading.Event
) -> None:
    later(client, "a", "b")
    with pytest.raises(WaitTimeout, match="2 tasks are not yet acknowledged after 0 s; they go on"):
        client.flush(0)
    gate.set()
    client.flush()
    assert broker.published == ["a", "b"]
    assert len(client.submit_later("add", 1)) == 26
    client.flush(10)
    assert len(broker.published) == 3


def test_what_gathers_meanwhile_goes_together(
    client: TaskClient, broker: FakeBroker, store: FakeStore, gate: threading.Event
) -> None:
    later(client, "a")
    eventually(lambda: "register" in store.calls)
    ids = [f"t{n}" for n in range(PART_TASKS + 200)]
    later(client, *ids)
    gate.set()
    client.flush()
    assert broker.published == ["a", *ids]
    assert store.calls.count("register") == 3


def test_a_thread_lives_while_there_is_something_to_submit(client: TaskClient) -> None:
    eventually(lambda: threads() == 0)  # of another test
    client.submit("add", 1)
    client.flush()
    assert threads() == 0
    later(client, "a")
    assert threads() == 1
    client.flush()
    eventually(lambda: threads() == 0)
    later(client, "b")
    client.flush()


def test_bad_arguments_are_told_at_once(client: TaskClient, store: FakeStore) -> None:
    with pytest.raises(BadArguments):
        client.submit_later("add", float("nan"))
    client.flush()
    assert store.calls == []


# -- what was not accepted


def test_a_flush_raises_the_first_failure_once_with_what_was_accepted(client: TaskClient, store: FakeStore) -> None:
    store.words = {"b": "conflict", "d": "conflict"}
    later(client, "a", "b", "c", "d")
    with pytest.raises(TaskIdConflict) as caught:
        client.flush()
    assert (caught.value.task_id, caught.value.accepted) == ("b", ["a", "c"])
    later(client, "e")
    client.flush()


def test_servers_that_are_down_refuse_and_nothing_is_written(
    client: TaskClient, broker: FakeBroker, store: FakeStore
) -> None:
    store.fails["ping"] = DOWN
    later(client, "a")
    with pytest.raises(SubmissionRefused, match="task a was not accepted and never runs: Redis does not answer"):
        client.flush()
    assert (store.calls, broker.published) == (["ping"], [])
    del store.fails["ping"]
    later(client, "b")
    client.flush()
    assert broker.published == ["b"]


def test_what_kafka_did_not_acknowledge_is_withdrawn(client: TaskClient, broker: FakeBroker, store: FakeStore) -> None:
    broker.errors["b"] = TimeoutError("Kafka said nothing")
    store.word = "unknown"
    later(client, "a", "b", "c")
    with pytest.raises(SubmissionUnknown, match="whether task b was accepted is not known") as caught:
        client.flush()
    assert caught.value.accepted == ["a", "c"]
    assert "withdraw b 0-1" in store.calls


def test_an_error_that_nobody_foresaw_is_told_and_ends_nothing(
    client: TaskClient, broker: FakeBroker, store: FakeStore
) -> None:
    store.fails["register"] = ZeroDivisionError("unforeseen")
    later(client, "a")
    with pytest.raises(SubmissionUnknown, match="whether task a was accepted is not known"):
        client.flush()
    store.fails.clear()
    later(client, "b")
    client.flush()
    assert broker.published == ["b"]


def test_what_was_on_its_way_before_an_error_is_accepted(
    client: TaskClient, store: FakeStore, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(client, "a")
    eventually(lambda: "register" in store.calls)
    ids = [f"t{n}" for n in range(PART_TASKS + 200)]
    later(client, *ids)
    original = store.register

    def register(tasks: Sequence[Submission], doubts: list[str]) -> list[Registration]:
        if tasks[0].id == f"t{PART_TASKS}":
            error = ProtocolTooNew("update this one")
            error.nothing_changed = True
            raise error
        return original(tasks, doubts)

    monkeypatch.setattr(store, "register", register)
    gate.set()
    refused = f"task t{PART_TASKS} was not accepted and never runs: update this one"
    with pytest.raises(SubmissionRefused, match=refused) as caught:
        client.flush()
    assert caught.value.accepted == ["a", *ids[:PART_TASKS]]


# -- bounds


@pytest.mark.parametrize(("bound", "value"), [("UNSENT_TASKS", 3), ("UNSENT_BYTES", 200)])
def test_who_submits_too_much_waits(
    client: TaskClient,
    broker: FakeBroker,
    gate: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    bound: str,
    value: int,
) -> None:
    monkeypatch.setattr(gathering, bound, value)  # a message has 76 bytes
    done: list[str] = []
    thread = threading.Thread(target=lambda: done.extend(client.submit_later("add", 1) for _ in range(5)))
    thread.start()
    eventually(lambda: len(done) == 3, 5)
    assert thread.is_alive()
    gate.set()
    thread.join(10)
    client.flush()
    assert broker.published == done
    assert len(done) == 5


def test_it_flushes_by_itself_before_too_much_has_to_be_remembered(
    client: TaskClient, broker: FakeBroker, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "UNFLUSHED_TASKS", 2)
    store.words = {"a": "conflict"}
    later(client, "a", "b")
    with pytest.raises(TaskIdConflict) as caught:
        later(client, "c")
    assert (caught.value.task_id, caught.value.accepted) == ("a", ["b"])
    later(client, "d", "e", "f")
    client.flush()
    assert broker.published == ["b", "d", "e", "f"]


def test_many_threads_submit_each_task_once(client: TaskClient, broker: FakeBroker) -> None:
    threads = [
        threading.Thread(target=lambda first=first: later(client, *(f"{first}-{n}" for n in range(300))))
        for first in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    client.flush()
    assert sorted(broker.published) == sorted(f"{first}-{n}" for first in range(8) for n in range(300))


# -- the end


def test_closing_flushes(client: TaskClient, broker: FakeBroker, store: FakeStore) -> None:
    with client:
        later(client, "a")
    assert (broker.published, broker.closed) == (["a"], True)


def test_closing_tells_what_was_not_accepted_and_closes(
    client: TaskClient, broker: FakeBroker, store: FakeStore
) -> None:
    store.words = {"a": "conflict"}
    with pytest.raises(TaskIdConflict), client:
        later(client, "a")
    assert broker.closed
