"""The broker: topics, publishing and offsets, on a real Kafka and on none."""

import gc
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import kafka
import pytest

from _yadtq import broker as broker_module
from _yadtq.broker import Broker
from _yadtq.errors import ServerUnreachable
from _yadtq.settings import Settings
from local.ports import free_port

PATIENCE = 10.0  # seconds until a person must have been told
HEADER = [("epoch", b"0"), ("generation", b"1"), ("seq", b"7")]


@pytest.fixture
def collected() -> Iterator[None]:
    """kafka-python leaves sockets that could not connect to the collector, which complains; so it does it here."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def broker(settings: Settings) -> Iterator[Broker]:
    opened = Broker(settings)
    yield opened
    opened.close()


def read_all(settings: Settings, topic: str, count: int) -> list[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
    """The first messages of a topic: key, value, headers."""
    consumer = kafka.KafkaConsumer(
        topic, bootstrap_servers=settings.kafka_broker, auto_offset_reset="earliest", consumer_timeout_ms=10_000
    )
    found = []
    for row in consumer:
        found.append((row.key, row.value, list(row.headers)))
        if len(found) == count:
            break
    consumer.close()
    return found


def test_topics_are_made_once(settings: Settings, broker: Broker) -> None:
    others = [Broker(settings) for _ in range(3)]
    threads = [threading.Thread(target=each.create_topics) for each in (broker, *others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in others:
        each.create_topics()
        each.close()
    assert broker.ends() == dict.fromkeys(range(12), 0)
    admin: Any = kafka.KafkaAdminClient(bootstrap_servers=settings.kafka_broker)
    names = (broker.keys.tasks_topic, broker.keys.events_topic)
    tasks, events = admin.describe_topics(list(names))
    assert (len(tasks["partitions"]), len(events["partitions"])) == (12, 1)
    admin.close()


def test_a_topic_that_is_there_is_left_as_it_is(settings: Settings, broker: Broker) -> None:
    small = Broker(Settings.load(settings.environment(), partitions=2))
    small.create_topics()
    small.close()
    broker.create_topics()
    assert broker.ends() == {0: 0, 1: 0}


def test_a_message_lands_as_it_was_sent(settings: Settings, broker: Broker) -> None:
    broker.create_topics()
    assert broker.publish_tasks([("a", b"{}", HEADER), ("ü", b"\x00\xff", [])]) == [None, None]
    found = read_all(settings, broker.keys.tasks_topic, 2)
    assert sorted(found) == sorted([(b"a", b"{}", HEADER), ("ü".encode(), b"\x00\xff", [])])
    assert sum(broker.ends().values()) == 2
    assert broker.publish_tasks([]) == []


def test_what_is_sent_together_lies_together_and_calls_take_turns(broker: Broker) -> None:
    broker.create_topics()
    for _ in range(12):
        assert broker.publish_tasks([(f"t{n}", b"{}", HEADER) for n in range(5)]) == [None] * 5
    assert broker.ends() == dict.fromkeys(range(12), 5)
    assert broker.publish_tasks([(f"large{n}", b"x" * 200_000, HEADER) for n in range(6)]) == [None] * 6
    assert sorted(broker.ends().values()) == [5] * 6 + [6] * 6  # not one batch after the other


def test_events_keep_their_order(settings: Settings, broker: Broker) -> None:
    broker.create_topics()
    assert not broker.has_history()
    entries = [(f"1-{n}", f'{{"seq":{n}}}') for n in range(500)]
    assert broker.publish_events(entries) == list(range(500))
    found = read_all(settings, broker.keys.events_topic, 500)
    assert [key.decode() for key, _, _ in found] == [entry for entry, _ in entries]
    assert broker.has_history()


def test_an_event_may_be_large_and_a_message_may_not(broker: Broker) -> None:
    broker.create_topics()
    assert broker.publish_events([("1-1", "x" * 7_000_000)]) == [0]
    sent = broker.publish_tasks([("a", b"x" * 1_000_000, HEADER), ("b", b"x" * 3_000_000, []), ("c", b"x", [])])
    assert [error is None for error in sent] == [True, False, True]
    assert broker.publish_tasks([("d", b"x", [])]) == [None]  # it has recovered
    assert sum(broker.ends().values()) == 3


def test_a_topic_that_does_not_exist_is_made_by_no_question(broker: Broker) -> None:
    for _ in range(2):
        assert not broker.has_history()
        assert broker.ends() == {}
    broker.create_topics()
    assert broker.ends() == dict.fromkeys(range(12), 0)


def test_closing_leaves_nothing_and_may_be_repeated(settings: Settings) -> None:
    before = set(threading.enumerate())
    broker = Broker(settings)
    broker.create_topics()
    broker.publish_events([("1-1", "{}")])
    broker.close()
    broker.close()
    assert set(threading.enumerate()) <= before
    assert broker.publish_events([("1-2", "{}")]) == [1]  # it connects again when it is used
    broker.close()


# -- no Kafka

CALLS: dict[str, Callable[[Broker], object]] = {
    "create_topics": Broker.create_topics,
    "ends": Broker.ends,
    "publish": lambda broker: broker.publish_tasks([("a", b"x", [])]),
}


@pytest.mark.usefixtures("collected")
@pytest.mark.parametrize("call", CALLS)
def test_a_kafka_that_is_down_is_said_in_one_line(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if call != "publish":  # once with the time that a person waits
        monkeypatch.setattr(broker_module, "CONNECT_SECONDS", 0.3)
    address = f"127.0.0.1:{free_port()}"
    broker = Broker(Settings.load({}, kafka_broker=address))
    began = time.monotonic()
    with pytest.raises(ServerUnreachable) as caught:
        CALLS[call](broker)
    assert time.monotonic() - began < PATIENCE
    assert caught.value.server == "kafka"
    assert str(caught.value) == f"Kafka does not answer at {address}: start it or set KAFKA_BROKER"
    broker.close()


@pytest.mark.usefixtures("collected")
def test_health_and_ends_of_a_kafka_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "CONNECT_SECONDS", 0.3)
    before = set(threading.enumerate())
    broker = Broker(Settings.load({}, kafka_broker=f"127.0.0.1:{free_port()}"))
    for _ in range(3):
        assert broker.problem().startswith("Kafka does not answer at 127.0.0.1:")
        assert broker.ends_if_reachable() is None
    broker.close()
    assert set(threading.enumerate()) <= before  # each try of kafka-python would leave a thread


def test_health_of_a_kafka_that_answers(broker: Broker) -> None:
    assert broker.problem() == ""
