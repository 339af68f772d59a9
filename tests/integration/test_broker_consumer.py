"""The consumer: reads where it is told to, tells what it read, and is told when it is somewhere else."""

import gc
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import kafka
import pytest

from _yadtq import broker as broker_module
from _yadtq import consumer as consumer_module
from _yadtq.broker import Broker
from _yadtq.claims import Assigned, Connection, Read
from _yadtq.consumer import Consumer
from _yadtq.inbox import Inbox
from _yadtq.intake import Anew, Done, Place
from _yadtq.log import Log
from _yadtq.lookout import Lookout
from _yadtq.messages import Foreign
from _yadtq.settings import Settings
from _yadtq.store import Store
from _yadtq.topic import Topic
from tests.support import kafka_tools
from tests.support.waiting import eventually
from yadtq import TaskClient

Message = TypeVar("Message")


class Reading:
    """A consumer and all that it has posted so far. number: of the next placing."""

    def __init__(self, settings: Settings) -> None:
        self.broker, self.store = Broker(settings), Store(settings)
        self.inbox = Inbox()
        self.posted: list[object] = []
        self.consumer = Consumer(settings, self.broker, Lookout(self.store, self.broker, Log()), self.inbox.put)
        self.number = 0
        self.consumer.start()

    def of(self, kind: type[Message], what: Callable[[Message], bool] = lambda _: True) -> list[Message]:
        self.posted += self.inbox.messages(0)
        return [each for each in self.posted if isinstance(each, kind) and what(each)]

    def await_one(self, kind: type[Message], what: Callable[[Message], bool] = lambda _: True) -> Message:
        return eventually(lambda: self.of(kind, what), 20, f"a {kind.__name__}")[-1]

    def assigned(self, count: int) -> frozenset[int]:
        """Waits until it has been given so many partitions, and returns the last ones."""
        return self.await_one(Assigned, lambda each: len(each.partitions) == count).partitions

    def place(self, partition: int, offset: int | None) -> int:
        self.number += 1
        self.consumer.obey([Place(partition, offset, self.number)])
        return self.number

    def reads(self, placement: int) -> list[Read]:
        return self.of(Read, lambda each: each.placement == placement)

    def offsets(self, placement: int) -> list[int]:
        return [message.offset for read in self.reads(placement) for message in read.messages]

    def close(self) -> None:
        self.consumer.stop(10)
        self.broker.close()
        self.store.close()


def founded(settings: Settings) -> None:
    """Begins the queue in Redis: without one, nobody looks at the topic."""
    with TaskClient(settings) as client:
        client.counts()


class Looks:
    """Counts how often a reader has looked at the topic."""

    def __init__(self, reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        topic = reading.broker.topic

        def counted() -> Topic:
            self.count += 1
            return topic()

        monkeypatch.setattr(reading.broker, "topic", counted)

    def wait_for(self, more: int) -> None:
        wanted = self.count + more
        eventually(lambda: self.count >= wanted, 20, f"{more} looks at the topic")


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[[], Reading]]:
    """Starts consumers of this test's group."""
    started: list[Reading] = []

    def one() -> Reading:
        started.append(Reading(settings))
        return started[-1]

    yield one
    for each in started:
        each.close()


@pytest.fixture
def topic(settings: Settings) -> str:
    """The task topic, made."""
    broker = Broker(settings)
    broker.create_topics()
    broker.close()
    return broker.keys.tasks_topic


def send(settings: Settings, topic: str, count: int, partition: int = 0) -> None:
    kafka_tools.send(settings.kafka_broker, topic, (f"message {n}" for n in range(count)), partition)


def test_it_reads_where_it_is_told(settings: Settings, topic: str, start: Callable[[], Reading]) -> None:
    send(settings, topic, 5, partition=3)
    reading = start()
    assert reading.assigned(12) == frozenset(range(12))
    first = reading.place(3, None)
    eventually(lambda: reading.offsets(first) == [0, 1, 2, 3, 4], 20, "all five")
    placed, *later = reading.reads(first)
    assert (placed.began, placed.next, placed.messages, placed.first) == (0, 0, (), True)
    assert [read.first for read in later] == [True] + [False] * (len(later) - 1)
    assert later[-1].next == 5
    assert [(read.began, read.next) for read in later] == list(
        zip([0, *(read.next for read in later)], (read.next for read in later), strict=False)
    )
    assert {read.partition for read in reading.of(Read)} == {3}  # nothing is read before it is placed
    again = reading.place(3, 2)
    eventually(lambda: reading.offsets(again) == [2, 3, 4], 20, "three again")
    assert not any(read.first for read in reading.reads(again))
    assert [each.problem for each in reading.of(Connection)] in ([], [""])


def test_it_mirrors_what_was_admitted_and_no_more(settings: Settings, topic: str, start: Callable[[], Reading]) -> None:
    send(settings, topic, 5)
    reading = start()
    reading.assigned(12)
    placement = reading.place(0, None)
    eventually(lambda: len(reading.offsets(placement)) == 5, 20, "all five")
    reading.consumer.obey([Done(3, 0, 3), Done(2, 0, None)])
    admin: Any = kafka.KafkaAdminClient(bootstrap_servers=settings.kafka_broker)
    group, partition = reading.broker.keys.group, kafka.TopicPartition(topic, 0)

    def committed() -> int:
        found = admin.list_group_offsets({group: None})[group]
        return found[partition].offset if partition in found else -1

    assert eventually(lambda: committed() >= 0, 20, "a committed offset")
    assert committed() == 3
    admin.close()


def test_two_share_the_partitions_and_one_leaves_them_to_the_other(
    settings: Settings, topic: str, start: Callable[[], Reading]
) -> None:
    first = start()
    first.assigned(12)
    second = start()
    theirs = second.assigned(6)
    placement = first.place(next(iter(theirs)), 0)  # it has lost that one
    mine = first.place(next(iter(frozenset(range(12)) - theirs)), None)
    eventually(lambda: first.reads(mine), 20, "the placing")
    assert first.reads(placement) == []
    second.consumer.leave()
    assert eventually(
        lambda: frozenset().union(*(each.partitions for each in first.of(Assigned)[1:])) == theirs, 20, "the partitions"
    )
    second.consumer.stop(10)
    assert not second.consumer.is_alive()


def test_it_pauses_when_nobody_answers(
    settings: Settings, topic: str, start: Callable[[], Reading], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "READ_AHEAD", 600)
    send(settings, topic, 3000)
    reading = start()
    reading.assigned(12)
    placement = reading.place(0, None)
    eventually(lambda: len(reading.offsets(placement)) >= 600, 20, "600 messages")
    other = reading.place(1, None)  # an order that comes later is obeyed all the same
    eventually(lambda: reading.reads(other), 20, "the placing")
    read = len(reading.offsets(placement))
    assert read <= 1100  # what one poll brings more
    reading.consumer.obey([Done(read, 0, read)])
    eventually(lambda: len(reading.offsets(placement)) > read, 20, "more messages")
    assert reading.offsets(placement) == list(range(len(reading.offsets(placement))))


def test_a_large_read_is_divided(settings: Settings, topic: str, start: Callable[[], Reading]) -> None:
    kafka_tools.send(settings.kafka_broker, topic, ["x" * 400_000] * 6)
    reading = start()
    reading.assigned(12)
    placement = reading.place(0, None)
    eventually(lambda: len(reading.offsets(placement)) == 6, 20, "all six")
    assert max(len(read.messages) for read in reading.reads(placement)) <= 2
    assert reading.offsets(placement) == list(range(6))


def test_a_partition_out_of_range_is_to_be_placed_anew(
    settings: Settings, topic: str, start: Callable[[], Reading]
) -> None:
    send(settings, topic, 5)
    send(settings, topic, 2, partition=1)
    kafka_tools.cut(settings.kafka_broker, topic, {0: 3})
    reading = start()
    reading.assigned(12)
    reading.place(0, 1)
    other = reading.place(1, None)
    reading.await_one(Assigned, lambda each: each.partitions == {0})
    assert reading.offsets(other) == [0, 1]  # it goes on
    placement = reading.place(0, None)
    eventually(lambda: reading.offsets(placement) == [3, 4], 20, "what is left")
    assert reading.reads(placement)[0].began == 3


def test_a_partition_out_of_range_is_not_tried_without_pause(
    settings: Settings, topic: str, start: Callable[[], Reading], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "UNEASY_SECONDS", 3600.0)
    reading = start()
    reading.assigned(12)
    reading.place(0, 7)
    other = reading.place(1, None)
    eventually(lambda: 0 in reading.consumer._resting, 20, "a partition that rests")
    send(settings, topic, 2, partition=1)
    eventually(lambda: reading.offsets(other) == [0, 1], 20, "what the other one brings")
    assert len(reading.of(Assigned)) == 1


class Odd(str):
    """A header key that Kafka gets as bytes which are no text."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"\xff\xfe"


def test_a_header_key_that_is_no_text_holds_up_nothing(
    settings: Settings, topic: str, start: Callable[[], Reading]
) -> None:
    task = b'{"task-id": "odd", "task": "add", "args": [1, 2]}'
    producer: Any = kafka.KafkaProducer(bootstrap_servers=settings.kafka_broker)
    producer.send(topic, task, partition=0, headers=[(Odd("key"), b"1"), ("other", b"2")]).get(timeout=10)
    producer.close(timeout=5)
    send(settings, topic, 1)
    reading = start()
    reading.assigned(12)
    placement = reading.place(0, None)
    eventually(lambda: reading.offsets(placement) == [0, 1], 20, "both")
    first = next(message for read in reading.reads(placement) for message in read.messages)
    assert isinstance(first, Foreign)
    assert first.submission.id == "odd"


def test_it_begins_anew_when_it_is_told(settings: Settings, topic: str, start: Callable[[], Reading]) -> None:
    send(settings, topic, 2)
    reading = start()
    reading.assigned(12)
    first, consumer = reading.place(0, None), reading.consumer._consumer
    eventually(lambda: reading.offsets(first) == [0, 1], 20, "both")
    assert {each.reader for each in reading.of(Assigned)} == {1}
    reading.consumer.obey([Anew(1), Anew(1)])
    eventually(lambda: len(reading.of(Assigned)) >= 2, 20, "another assignment")
    again = reading.place(0, None)
    eventually(lambda: reading.offsets(again) == [0, 1], 20, "both again")
    assert reading.consumer._consumer is not consumer
    assert [each.reader for each in reading.of(Assigned)] == [1, 2]


def test_a_partition_that_stalls_is_read_by_a_new_consumer(
    settings: Settings, topic: str, start: Callable[[], Reading], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "PROBE_SECONDS", 0.3)
    founded(settings)
    reading = start()
    reading.assigned(12)
    stalled, moving, *_ = [reading.place(partition, None) for partition in range(12)]
    eventually(lambda: reading.reads(stalled) and reading.reads(moving), 20, "both placed")
    consumer = reading.consumer._consumer
    subscriptions = consumer._fetcher._subscriptions
    fetchable = subscriptions.fetchable_partitions
    monkeypatch.setattr(subscriptions, "fetchable_partitions", lambda: [tp for tp in fetchable() if tp.partition != 0])
    send(settings, topic, 3, partition=1)
    eventually(lambda: reading.offsets(moving) == [0, 1, 2], 20, "what does not stall")
    assert reading.consumer._consumer is consumer  # nobody waits for anything
    send(settings, topic, 3)
    eventually(lambda: len(reading.of(Assigned)) >= 2, 20, "another assignment")
    (line,) = [each.problem for each in reading.of(Connection) if each.problem]
    assert line == f"nothing comes of partition 0 of {topic}, which holds 3 more messages: connecting anew"
    placement = reading.place(0, 0)
    eventually(lambda: reading.offsets(placement) == [0, 1, 2], 20, "what had stalled")


def test_a_partition_that_nobody_places_is_asked_for_by_a_new_consumer(
    settings: Settings, topic: str, start: Callable[[], Reading], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "PROBE_SECONDS", 0.3)
    founded(settings)
    reading = start()
    reading.assigned(12)
    for partition in range(11):
        reading.place(partition, None)
    eventually(lambda: len(reading.of(Assigned)) >= 2, 20, "another assignment")
    (line,) = [each.problem for each in reading.of(Connection) if each.problem]
    assert line == f"it was not said where partition 11 of {topic} is to be read on: connecting anew"


def test_a_reader_that_waits_for_answers_does_not_stall(
    settings: Settings, topic: str, start: Callable[[], Reading], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "PROBE_SECONDS", 0.05)
    monkeypatch.setattr(consumer_module, "READ_AHEAD", 100)
    founded(settings)
    send(settings, topic, 3000)
    reading = start()
    reading.assigned(12)
    placement, *_ = [reading.place(partition, None) for partition in range(12)]
    looks = Looks(reading, monkeypatch)
    eventually(lambda: len(reading.offsets(placement)) >= 100, 20, "100 messages")
    looks.wait_for(2 * consumer_module.STALLED_PROBES)
    assert len(reading.of(Assigned)) == 1
    assert len(reading.offsets(placement)) < 3000


def test_partitions_that_the_group_took_and_gave_back_are_placed_anew(
    settings: Settings, topic: str, start: Callable[[], Reading]
) -> None:
    """Evicted and back within one poll: the place is gone, and the group may remember none."""
    reading = start()
    reading.assigned(12)
    subscription = reading.consumer._consumer._subscription
    partitions = list(subscription.assignment)
    subscription.assign_from_subscribed([])
    subscription.assign_from_subscribed(partitions)
    eventually(lambda: len(reading.of(Assigned)) >= 2, 20, "another assignment")
    send(settings, topic, 2)
    placement = reading.place(0, None)
    eventually(lambda: reading.offsets(placement) == [0, 1], 20, "both")


def test_it_says_once_that_kafka_is_down_and_stops_in_time(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "CONNECT_SECONDS", 0.3)
    down = Settings.load(settings.environment(), kafka_broker="127.0.0.1:1")
    before = set(threading.enumerate())
    reading = Reading(down)
    problem = reading.await_one(Connection).problem
    assert problem == "Kafka does not answer at 127.0.0.1:1: start it or set KAFKA_BROKER"
    began = time.monotonic()
    reading.close()
    assert time.monotonic() - began < 10
    assert len(reading.of(Connection)) == 1
    assert set(threading.enumerate()) <= before
    with warnings.catch_warnings():  # kafka-python leaves sockets that could not connect to the collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
