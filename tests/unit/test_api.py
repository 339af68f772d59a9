"""The library as a program sees it, on servers that fail as the test wants: what a submission may come to."""

from collections.abc import Iterable
from typing import Any

import pytest

import yadtq
from _yadtq.messages import PART_TASKS
from tests.support.failing_servers import DOWN, FakeBroker, FakeStore
from tests.support.waiting import eventually
from yadtq import (
    BadArguments,
    BadHandler,
    Call,
    QueueFull,
    QueueMissing,
    ServerUnreachable,
    Settings,
    SubmissionRefused,
    SubmissionUnknown,
    TaskClient,
    TaskIdConflict,
    TaskWorker,
    create_yadtq,
    registered_tasks,
    task,
)


def calls(*ids: str) -> Iterable[Call]:
    return [Call("add", (1,), task_id=each) for each in ids]


# -- a submission is accepted


def test_an_accepted_submission_is_registered_and_then_published(
    client: TaskClient, broker: FakeBroker, store: FakeStore
) -> None:
    assert client.submit_many(calls("a", "b")) == ["a", "b"]
    assert (store.calls, broker.published, broker.prepared) == (["ping", "register"], ["a", "b"], 1)
    client.submit("add", 1, task_id="c")
    assert (store.calls[2:], broker.prepared) == (["register"], 1)  # prepared once


def test_what_is_in_the_queue_already_is_not_published_again(
    client: TaskClient, broker: FakeBroker, store: FakeStore
) -> None:
    store.words = {"a": "known"}
    assert client.submit_many(calls("a", "b")) == ["a", "b"]
    assert broker.published == ["b"]


def test_an_empty_redis_is_founded(client: TaskClient, store: FakeStore) -> None:
    store.fails["register"] = QueueMissing("none")
    assert client.submit("add", 1, task_id="a") == "a"
    assert store.calls == ["ping", "register", "begin", "register"]


def test_many_go_in_parts_and_keep_their_order(client: TaskClient, store: FakeStore) -> None:
    ids = [f"t{n}" for n in range(2 * PART_TASKS + 1)]
    assert client.submit_many(calls(*ids)) == ids
    assert store.calls.count("register") == 3
    assert client.submit_many([]) == []


def test_one_part_is_published_while_the_next_is_registered(
    client: TaskClient, broker: FakeBroker, store: FakeStore
) -> None:
    broker.before = lambda: eventually(lambda: store.calls.count("register") == 2, 5)
    ids = [f"t{n}" for n in range(PART_TASKS + 1)]
    assert client.submit_many(calls(*ids)) == ids == broker.published


# -- nothing is written

WRONG: dict[str, Any] = {
    "nan": (float("nan"),),
    "infinity": ({"x": [float("inf")]},),
    "bytes": (b"x",),
    "an object": (object(),),
    "huge": ("x" * 1_000_001,),
}


@pytest.mark.parametrize("what", WRONG)
def test_bad_arguments_are_refused_before_anything_is_written(
    client: TaskClient, broker: FakeBroker, store: FakeStore, what: str
) -> None:
    with pytest.raises(BadArguments, match=r"^add: ") as caught:
        client.submit_many([Call("add", (1,)), Call("add", WRONG[what])])
    assert len(str(caught.value)) < 300
    assert (store.calls, broker.prepared) == ([], 0)


@pytest.mark.parametrize(
    "call", [Call(""), Call("a", task_id="\n"), Call("a", max_retries=-1), Call("a", time_limit=-1.0)]
)
def test_bad_calls_too(client: TaskClient, store: FakeStore, call: Call) -> None:
    with pytest.raises(BadArguments):
        client.submit_many([call])
    assert store.calls == []


def test_a_server_that_is_down_is_said_before_anything_is_written(
    client: TaskClient, broker: FakeBroker, store: FakeStore
) -> None:
    store.fails["ping"] = DOWN
    with pytest.raises(ServerUnreachable):
        client.submit("add", 1)
    assert (store.calls, broker.published) == (["ping"], [])
    del store.fails["ping"]
    client.submit("add", 1)  # it recovers by itself
    assert len(broker.published) == 1


# -- it is refused


def test_a_conflict_refuses_one_and_not_the_others(client: TaskClient, broker: FakeBroker, store: FakeStore) -> None:
    store.words = {"b": "conflict"}
    with pytest.raises(TaskIdConflict, match="the id b belongs to another task") as caught:
        client.submit_many(calls("a", "b", "c"))
    assert (caught.value.task_id, caught.value.accepted) == ("b", ["a", "c"])
    assert broker.published == ["a", "c"]
    assert "withdraw" not in store.calls


def test_a_full_outbox_refuses_what_is_new(client: TaskClient, broker: FakeBroker, store: FakeStore) -> None:
    store.words = {"a": "full", "b": "publish", "c": "full"}
    with pytest.raises(QueueFull, match="task a was not accepted and never runs: too many events wait") as caught:
        client.submit_many(calls("a", "b", "c"))
    assert caught.value.accepted == broker.published == ["b"]
    assert "withdraw" not in store.calls


def test_a_problem_in_one_part_does_not_stop_the_others(
    client: TaskClient, store: FakeStore, broker: FakeBroker
) -> None:
    ids = [f"t{n}" for n in range(PART_TASKS + 1)]
    store.words = {"t0": "conflict"}
    with pytest.raises(TaskIdConflict) as caught:
        client.submit_many(calls(*ids))
    assert caught.value.accepted == ids[1:] == broker.published


@pytest.mark.parametrize(
    ("word", "error"),
    [("refused", SubmissionRefused), ("unknown", SubmissionUnknown), ("acknowledged", None)],
)
def test_what_kafka_did_not_acknowledge_is_withdrawn(
    client: TaskClient, broker: FakeBroker, store: FakeStore, word: str, error: type[Exception] | None
) -> None:
    broker.errors["b"] = TimeoutError("Kafka said nothing")
    store.word = word
    if error is None:
        assert client.submit_many(calls("a", "b")) == ["a", "b"]  # a worker has taken it: it is accepted after all
    else:
        with pytest.raises(error, match=r"task b .*Kafka said nothing") as caught:
            client.submit_many(calls("a", "b", "c"))
        problem = caught.value
        assert isinstance(problem, (SubmissionRefused, SubmissionUnknown))
        assert (problem.task_id, problem.accepted) == ("b", ["a", "c"])
    assert "withdraw b 0-1" in store.calls


def test_when_kafka_is_gone_all_are_withdrawn(client: TaskClient, broker: FakeBroker, store: FakeStore) -> None:
    broker.errors["*"] = ServerUnreachable("kafka", "Kafka does not answer")
    with pytest.raises(SubmissionRefused, match="Kafka does not answer"):
        client.submit_many(calls("a", "b"))
    assert [call for call in store.calls if call.startswith("withdraw ")] == ["withdraw a 0-1", "withdraw b 0-1"]


def test_what_was_registered_meanwhile_is_taken_back_and_the_rest_is_not_registered(
    client: TaskClient, broker: FakeBroker, store: FakeStore
) -> None:
    broker.errors["*"] = ServerUnreachable("kafka", "Kafka does not answer")
    tries: list[int] = []
    broker.before = lambda: tries.append(1)
    with pytest.raises(SubmissionRefused, match="Kafka does not answer") as caught:
        client.submit_many(calls(*(f"t{n}" for n in range(4 * PART_TASKS))))
    assert (caught.value.accepted, len(tries), store.calls.count("register")) == ([], 1, 2)
    assert len([call for call in store.calls if call.startswith("withdraw ")]) == 2 * PART_TASKS


# -- nobody can say


def test_a_lost_registration_is_withdrawn_without_knowing_its_mark(client: TaskClient, store: FakeStore) -> None:
    client.submit("add", 1)
    store.fails["register"] = DOWN
    with pytest.raises(SubmissionRefused, match="never runs"):
        client.submit("add", 1, task_id="a")
    assert "withdraw a -" in store.calls


def test_when_redis_is_gone_nobody_can_say(client: TaskClient, store: FakeStore) -> None:
    client.submit("add", 1)
    store.fails |= {"register": DOWN, "withdraw": DOWN}
    with pytest.raises(SubmissionUnknown, match=r"submit it again under this id$") as caught:
        client.submit_many(calls("a", "b", "c"))
    assert caught.value.task_id == "a"
    assert len([call for call in store.calls if call.startswith("withdraw ")]) == 1  # not once for each of thousands
    store.fails.clear()
    store.words = {"a": "known"}
    assert client.submit("add", 1, task_id="a") == "a"


# -- around it


def test_create_yadtq_opens_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_HOST", "from-environment")
    broker, store = create_yadtq(["a:1", "b:2"], redis_port=7)
    assert store.address == "from-environment:7"
    assert store.settings.kafka_broker == "a:1,b:2"
    broker.close()
    store.close()
    assert create_yadtq()[1].address == "from-environment:6379"


def test_every_name_that_is_exported_exists_once() -> None:
    assert len(set(yadtq.__all__)) == len(yadtq.__all__)
    assert all(hasattr(yadtq, name) for name in yadtq.__all__)


def sample(x: int) -> int:
    """Returns it."""
    return x


def test_tasks_register_by_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yadtq, "_registry", {})
    assert task(sample) is sample
    assert task(name="other", time_limit=5)(sample) is sample
    assert [each.name for each in registered_tasks()] == ["other", "sample"]
    assert registered_tasks()[1].about == "Returns it."


def test_a_worker_refuses_handlers_that_a_child_could_not_import() -> None:
    settings = Settings.load({})

    def inner() -> None: ...

    for handler in (lambda: None, inner):
        with pytest.raises(BadHandler, match="task 'mine' cannot run in a child process"):
            TaskWorker(settings, {"mine": handler})
