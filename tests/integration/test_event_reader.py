"""The event log, followed on a real Kafka: each event that counts, once, whatever becomes of the topic."""

import time
from collections.abc import Generator, Iterator

import pytest
import redis

from _yadtq.settings import Settings
from tests.support.event_sender import EventSender
from tests.support.kafka_tools import cut, delete_topic, make_topic
from tests.support.waiting import eventually
from yadtq import Cursor, Event, EventReader, ServerUnreachable, TaskClient

Followed = Generator[Event | None]


@pytest.fixture
def sender(settings: Settings) -> Iterator[EventSender]:
    opened = EventSender(settings)
    yield opened
    opened.close()


@pytest.fixture
def told() -> list[str]:
    """What the reader says."""
    return []


@pytest.fixture
def reader(settings: Settings, told: list[str]) -> Iterator[EventReader]:
    with EventReader(settings, told.append) as opened:
        yield opened


def following(reader: EventReader, cursor: Cursor) -> Followed:
    return reader.follow(cursor, lambda: False)


def numbers(events: Followed, count: int, seconds: float = 20.0) -> list[int]:
    """The numbers of the next events, markers included."""
    found: list[int] = []
    deadline = time.monotonic() + seconds
    while len(found) < count:
        event = next(events)
        found += [event.seq] if event else []
        assert time.monotonic() < deadline, f"only {found} came"
    return found


def test_events_come_as_they_are_sent(reader: EventReader, sender: EventSender, told: list[str]) -> None:
    sender.begin(1)
    sender.events([1, 2, 3])
    cursor = reader.beginning()
    events = following(reader, cursor)
    assert numbers(events, 4) == [0, 1, 2, 3]
    assert next(events) is None
    sender.events([3, 5, 4, 2])
    assert numbers(events, 2) == [5, 4]
    events.close()
    sender.events([5, 6])
    assert numbers(following(reader, Cursor.from_json(cursor.to_json())), 1) == [6]
    assert told == []


def test_it_stops_when_it_is_told(reader: EventReader, sender: EventSender) -> None:
    sender.events([1])
    answers = iter([False, False, False, True])
    began = time.monotonic()
    assert [event.seq for event in reader.follow(reader.beginning(), lambda: next(answers, True)) if event] == [1]
    assert time.monotonic() - began < 10


def test_all_that_there_is_can_be_read(reader: EventReader, sender: EventSender) -> None:
    cursor = reader.beginning()
    assert list(reader.read_all(cursor)) == []
    sender.events(range(1, 2500))
    assert [event.seq for event in reader.read_all(cursor)] == list(range(1, 2500))
    sender.events([2500, 2499])
    assert [event.seq for event in reader.read_all(cursor, lambda text: b"t2500" in text)] == [2500]
    assert list(reader.read_all(cursor)) == []


def test_from_the_end_only_what_is_new_is_given(reader: EventReader, sender: EventSender) -> None:
    sender.events(range(1, 1500))
    cursor = reader.end()
    assert cursor.seen == [(1, 1499)]
    sender.events([1400, 1499, 1500])
    assert [event.seq for event in reader.read_all(cursor)] == [1500]


def test_what_is_no_event_is_told_and_passed_over(
    reader: EventReader, sender: EventSender, told: list[str], settings: Settings
) -> None:
    sender.events([1])
    sender.garbage((b"1-2", b"\x1b[2J"), (b"", b"{}"), (b"1-3", b"[]"))
    sender.events([2])
    events = following(reader, reader.beginning())
    assert numbers(events, 2) == [1, 2]
    assert next(events) is None
    assert all(line.isprintable() and f"{settings.namespace}_events is no event" in line for line in told)
    assert told[0].startswith("offset 1 of ")


def test_what_is_no_event_does_not_keep_redis_from_being_led_back(settings: Settings, sender: EventSender) -> None:
    with TaskClient(settings) as client:
        task_id = client.submit("add", 1, 2)
        with redis.Redis(settings.redis_host, settings.redis_port) as server:
            client.reset()  # then all events are in the log
            sender.garbage((b"x", b"\xff"), (b"1-1", b"{}"), (b"99999999999999-0", b'{"generation": 99999999999999}'))
            server.hset(f"{{{settings.namespace}}}:meta", "run", "of another server")
        assert client.counts()["queued"] == 0
        assert task_id not in [task.id for task in client.list()]


def test_of_a_topic_that_was_cut_the_rest_is_read(
    reader: EventReader, sender: EventSender, told: list[str], settings: Settings
) -> None:
    topic = f"{settings.namespace}_events"
    sender.events([1, 2])
    cursor = reader.beginning()
    assert len(list(reader.read_all(cursor))) == 2
    sender.events([3, 4, 5])
    cut(settings.kafka_broker, topic, {0: 4})
    assert numbers(following(reader, cursor), 1) == [5]
    assert told == [f"Kafka has deleted offsets 2 to 3 of {topic} unread: their events are missing"]


def test_a_topic_that_is_made_anew_is_read_from_its_beginning(
    reader: EventReader, sender: EventSender, told: list[str], settings: Settings
) -> None:
    topic = f"{settings.namespace}_events"
    sender.events([1, 2, 3])
    events = following(reader, reader.beginning())
    assert numbers(events, 3) == [1, 2, 3]
    delete_topic(settings.kafka_broker, topic)
    eventually(lambda: next(events) is None and "has no topic" in reader.problem)
    make_topic(settings.kafka_broker, topic, 1)
    sender.events([3, 4])
    assert numbers(events, 1) == [4]
    assert told == [
        f"Kafka at {settings.kafka_broker} has no topic {topic}: the first worker or client makes it (trying again)",
        f"{topic} was deleted or made anew: it is read from its beginning",
        "the event log is read again",
    ]


def test_a_kafka_that_is_not_there_is_told_once(settings: Settings, told: list[str]) -> None:
    away = Settings.load({}, kafka_broker="127.0.0.1:1", namespace=settings.namespace)
    with EventReader(away, told.append) as reader:
        events = following(reader, reader.beginning())
        assert (next(events), next(events)) == (None, None)
        assert told == ["Kafka does not answer at 127.0.0.1:1: start it or set KAFKA_BROKER (trying again)"]
        assert reader.problem == "Kafka does not answer at 127.0.0.1:1: start it or set KAFKA_BROKER"
        with pytest.raises(ServerUnreachable):
            reader.end()
