"""The client when Kafka or Redis is not there: one line in time, nothing written, and it works when they are back."""

import gc
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import kafka
import pytest

from _yadtq import broker as broker_module
from local.ports import free_port
from tests.support.script_queue import ScriptQueue
from yadtq import ServerUnreachable, Settings, SubmissionRefused, TaskClient

PATIENCE = 10.0  # seconds until a person must have been told
Method = Callable[[TaskClient], object]
READING: dict[str, Method] = {
    "get_result": lambda client: client.get_result("a"),
    "find": lambda client: client.find("a"),
    "wait_for_result": lambda client: client.wait_for_result("a", 60),
    "list": lambda client: client.list(),
    "counts": lambda client: client.counts(),
    "workers": lambda client: client.workers(),
    "stats": lambda client: client.stats(),
    "retry": lambda client: client.retry("a"),
}
WRITING: dict[str, Method] = {
    "submit": lambda client: client.submit("add", 1),
    "reset": lambda client: client.reset(),
}


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """kafka-python leaves sockets that could not connect to the collector, which complains; so it does it here."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def without_redis(settings: Settings) -> Iterator[TaskClient]:
    given = settings.environment()
    with TaskClient(Settings.load(given, redis_host="127.0.0.1", redis_port=free_port())) as client:
        yield client


@pytest.fixture
def without_kafka(queue: ScriptQueue) -> Iterator[TaskClient]:
    """Redis has the queue, with one task in it."""
    queue.register(queue.task("a"))
    given = queue.settings.environment()
    with TaskClient(Settings.load(given, kafka_broker=f"127.0.0.1:{free_port()}")) as client:
        yield client


def refused(client: TaskClient, method: Method, server: str) -> str:
    """The line of the error that the method must raise in time."""
    began = time.monotonic()
    with pytest.raises(ServerUnreachable) as caught:
        method(client)
    assert time.monotonic() - began < PATIENCE
    assert caught.value.server == server
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("method", READING | WRITING)
def test_without_redis_each_method_says_so(without_redis: TaskClient, method: str) -> None:
    line = refused(without_redis, (READING | WRITING)[method], "redis")
    assert line.startswith("Redis does not answer at 127.0.0.1:")


@pytest.mark.parametrize("method", WRITING)
def test_without_kafka_nothing_is_written(
    without_kafka: TaskClient, queue: ScriptQueue, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "CONNECT_SECONDS", 0.3)
    line = refused(without_kafka, WRITING[method], "kafka")
    assert line.startswith("Kafka does not answer at 127.0.0.1:")
    assert queue.members("all") == ["a"]
    assert len(queue.events()) == 1


def test_without_kafka_one_may_read(
    without_kafka: TaskClient, queue: ScriptQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "CONNECT_SECONDS", 0.3)
    client = without_kafka
    assert (client.get_result("a").status, client.wait_any({"a"}, 0)) == ("queued", [])
    assert (client.find("a"), [task.id for task in client.list()], client.workers()) == ("a", ["a"], [])
    stats = client.stats()
    assert (stats.counts["queued"], stats.unread, stats.outbox) == (1, None, 1)
    health = client.health()
    assert (health.redis, health.kafka.startswith("Kafka does not answer")) == ("", True)


def test_health_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "CONNECT_SECONDS", 0.3)
    down = Settings.load({}, kafka_broker=f"127.0.0.1:{free_port()}", redis_host="127.0.0.1", redis_port=free_port())
    with TaskClient(down) as client:
        health = client.health()
    assert health.kafka.startswith("Kafka does not answer")
    assert health.redis.startswith("Redis does not answer")


def test_a_topic_that_vanished_is_made_again(settings: Settings) -> None:
    """By us, with our settings: Kafka would forget its messages after a week. What finds it gone is refused."""
    with TaskClient(settings) as client:
        client.submit("add", 1, task_id="before")
        admin: Any = kafka.KafkaAdminClient(bootstrap_servers=settings.kafka_broker)
        admin.delete_topics([f"{settings.namespace}_tasks"])
        admin.close()
        began = time.monotonic()
        with pytest.raises(SubmissionRefused):
            client.submit("add", 1, task_id="during")
        assert time.monotonic() - began < PATIENCE + 2
        assert client.submit("add", 1, task_id="after") == "after"
        assert {task.id for task in client.list()} == {"before", "after"}
