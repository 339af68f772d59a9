"""What an idle worker does not do: it waits for long, costs little, and still hears everything at once."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from _yadtq import arrivals as arrivals_module
from _yadtq import relay as relay_module
from _yadtq.broker import Broker
from _yadtq.claims import Assigned, Read
from _yadtq.connections import relay
from _yadtq.consumer import Consumer
from _yadtq.inbox import Inbox
from _yadtq.intake import Place
from _yadtq.listener import LISTEN_SECONDS, Listener, Woken
from _yadtq.log import Log
from _yadtq.lookout import Lookout
from _yadtq.settings import Settings
from _yadtq.store import Store
from tests.support import kafka_tools
from tests.support.script_queue import ScriptQueue
from tests.support.waiting import eventually

SOON = 1.0  # much less than any of the waits


@pytest.fixture
def listener(queue: ScriptQueue) -> Iterator[tuple[Listener, Inbox]]:
    inbox = Inbox()
    one = Listener(queue.store, "worker1~a1", inbox.put)
    one.start()
    yield one, inbox
    one.stop()
    one.join(10)


def is_listened_to(queue: ScriptQueue) -> bool:
    return bool(queue.redis.pubsub_numsub(queue.store.keys.wake("worker1~a1"))[0][1])


def test_a_listener_is_woken_and_stops_at_once(queue: ScriptQueue, listener: tuple[Listener, Inbox]) -> None:
    one, inbox = listener
    eventually(lambda: is_listened_to(queue), 10, "the subscription")
    began = time.monotonic()
    queue.redis.publish(queue.store.keys.wake("worker1~a1"), "ready")
    assert inbox.messages(10) == [Woken()]
    one.stop()
    one.join(10)
    assert not one.is_alive()
    assert time.monotonic() - began < SOON < LISTEN_SECONDS


def test_a_relay_sends_and_stops_at_once(
    queue: ScriptQueue, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "ENTRY_SECONDS", 30.0)
    broker = Broker(settings)
    broker.create_topics()
    one = relay(queue.store, broker, Log())
    one.hold(True)
    one.start()
    eventually(lambda: is_blocked(queue), 10, "the wait for an entry")
    queue.register(queue.task("a"))
    eventually(lambda: queue.redis.xlen(queue.store.keys.events) == 0, SOON * 3, "the event sent")
    eventually(lambda: is_blocked(queue), 10, "the wait for the next")
    began = time.monotonic()
    one.stop(10)
    assert not one.is_alive()
    assert time.monotonic() - began < SOON
    broker.close()
    queue.register(queue.task("b"))  # no connection holds an answer that nobody has read
    assert queue.status("b") == "queued"


def is_blocked(queue: ScriptQueue) -> bool:
    clients: Any = queue.redis.client_list()
    return any("xread" in each["cmd"] and "b" in each["flags"] for each in clients)


class Reading:
    """A reader of the task topic whose own looks are half a minute apart: what is sooner, it was woken for."""

    def __init__(self, settings: Settings) -> None:
        self.broker, self._store, self._inbox = Broker(settings), Store(settings), Inbox()
        self.broker.create_topics()
        self.posted: list[object] = []
        self.consumer = Consumer(settings, self.broker, Lookout(self._store, self.broker, Log()), self._inbox.put)
        self.consumer.start()

    def reads(self) -> list[tuple[int, int]]:
        """Where each read began and ended."""
        self.posted += self._inbox.messages(0)
        return [(each.began, each.next) for each in self.posted if isinstance(each, Read)]

    def assigned(self) -> bool:
        self.posted += self._inbox.messages(0)
        return any(isinstance(each, Assigned) for each in self.posted)

    def close(self) -> None:
        self.consumer.stop(10)
        self.broker.close()
        self._store.close()


@pytest.fixture
def reading(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reading]:
    monkeypatch.setattr(arrivals_module, "POLL_SECONDS", 30.0)
    opened = Reading(settings)
    yield opened
    opened.close()


def test_a_reader_obeys_reads_and_leaves_at_once(settings: Settings, reading: Reading) -> None:
    eventually(reading.assigned, 20, "its partitions")
    reading.consumer.obey([Place(0, None, 1)])  # nothing is fetched so far: no answer of Kafka wakes it
    eventually(lambda: reading.reads() == [(0, 0)], SOON, "the placing")
    kafka_tools.send(settings.kafka_broker, reading.broker.keys.tasks_topic, ["x"], 0)
    eventually(lambda: reading.reads() == [(0, 0), (0, 1)], SOON, "the message")
    began = time.monotonic()
    reading.consumer.stop(10)
    assert not reading.consumer.is_alive()
    assert time.monotonic() - began < 2 * SOON
