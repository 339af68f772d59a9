"""The sweeper: publishes what is certain to have no message, in bounded steps, and notices another topic."""

import io
from typing import Any, cast

import pytest

from _yadtq import sweeper as sweeper_module
from _yadtq.broker import Broker
from _yadtq.errors import ServerUnreachable
from _yadtq.log import Log
from _yadtq.messages import Submission
from _yadtq.store import Store
from _yadtq.sweeper import Sweeper
from _yadtq.topic import Standing

Messages = list[tuple[str, bytes, list[tuple[str, bytes]]]]


class Servers:
    """What Redis and Kafka would say. lost: tasks that are only registered. failing: ids that Kafka does not take."""

    def __init__(self, *lost: str) -> None:
        self.lost, self.published, self.failing = list(lost), list[str](), set[str]()
        self.edition, self.topic, self.kafka_topic = "", "A", "A"
        self.positions, self.end = {0: 5}, 5
        self.marks: list[tuple[str, bytes]] = []
        self.printed = io.StringIO()
        self.sweeper = Sweeper(cast(Store, self), cast(Broker, self), Log(stream=self.printed))

    def unpublished(self, instant: int | None, before: int, most: int, passed: int = 0) -> tuple[int, str, list[Any]]:
        assert instant in (None, 77)
        found = [(Submission(task_id, "add", "[]", "{}", "", "", ""), "8-3") for task_id in self.lost]
        return 77, "2", found[passed : passed + most]

    def standing(self) -> Standing:
        return Standing(self.topic, self.edition, 1, self.positions, {})

    def ends(self) -> dict[int, int]:
        return {0: self.end}

    def topic_id(self) -> str:
        return self.kafka_topic

    def publish_tasks(self, messages: Messages) -> list[Exception | None]:
        self.published += [task_id for task_id, _, _ in messages]
        self.marks = messages[-1][2] if messages else []
        return [ServerUnreachable("kafka", "no") if each in self.failing else None for each, _, _ in messages]


def test_it_waits_until_all_was_read_that_could_be_the_message() -> None:
    servers = Servers("a")
    servers.end = 6
    assert servers.sweeper.sweep() == servers.sweeper.sweep() == 0
    servers.end = 9  # what came later is not waited for
    servers.positions = {0: 6}
    assert servers.sweeper.sweep() == 1
    assert servers.published == ["a"]
    assert servers.marks == [("epoch", b"2"), ("generation", b"8"), ("seq", b"3")]
    assert "add was registered, and Kafka has no message of it: sent" in servers.printed.getvalue()


def test_it_does_not_wait_for_the_end_of_a_topic_that_is_gone() -> None:
    servers = Servers("a")
    servers.end = 60
    servers.sweeper.sweep()
    servers.edition, servers.topic, servers.kafka_topic = "8-9", "B", "B"
    servers.positions, servers.end = {0: 0}, 0
    assert servers.sweeper.sweep() == 0  # it notes the ends of the new one
    servers.sweeper.sweep()
    assert servers.sweeper.sweep() == 1


def test_it_publishes_nothing_into_a_topic_that_nobody_has_looked_at() -> None:
    servers = Servers("a")
    servers.kafka_topic = "B"
    servers.sweeper.sweep()
    assert servers.sweeper.sweep() == 0
    assert servers.published == []


def test_an_empty_topic_needs_no_reader() -> None:
    """Only a server runs, and no worker ever did."""
    servers = Servers("a")
    servers.topic, servers.positions, servers.end = "", {}, 0
    servers.sweeper.sweep()
    assert servers.sweeper.sweep() == 1
    unread = Servers("b")
    unread.topic, unread.positions, unread.end = "", {}, 1  # that may be its message
    unread.sweeper.sweep()
    assert unread.sweeper.sweep() == 0


def test_one_step_publishes_many_in_parts_and_names_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper_module, "AT_ONCE", 10)
    monkeypatch.setattr(sweeper_module, "MOST", 30)
    servers = Servers(*(f"t{n}" for n in range(45)))
    servers.sweeper.sweep()
    assert servers.sweeper.sweep() == 30
    assert servers.published == [f"t{n}" for n in range(30)]
    assert servers.printed.getvalue().count("action=publish id=") == 15
    assert servers.printed.getvalue().count("and 5 more tasks like it") == 3


def test_what_kafka_does_not_take_ends_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper_module, "AT_ONCE", 2)
    servers = Servers("a", "b", "c")
    servers.failing = {"b"}
    servers.sweeper.sweep()
    assert servers.sweeper.sweep() == 1
    assert servers.published == ["a", "b"]
    assert "id=b" not in servers.printed.getvalue()


def test_nothing_is_noted_while_nothing_waits() -> None:
    servers = Servers()
    servers.sweeper.sweep()
    servers.lost = ["a"]
    assert servers.sweeper.sweep() == 0
    assert servers.sweeper.sweep() == 1
