"""Retention: what is deleted from the task topic, and when nothing is; what Redis and Kafka say is given."""

import io
import json
from typing import Any, cast

import pytest

from _yadtq import retention as retention_module
from _yadtq.broker import Broker
from _yadtq.keys import Keys
from _yadtq.log import Log
from _yadtq.oversight import Overview
from _yadtq.retention import LOOK_SECONDS, MARGIN_MS, Retention
from _yadtq.settings import Settings
from _yadtq.store import Store
from _yadtq.topic import Standing

NOW, DAY = 1_800_000_000_000, 86_400_000


class Servers:
    """What Redis and Kafka would say. walk: what `unfinished` answers, call by call."""

    def __init__(self, window_days: float = 7) -> None:
        self.settings = Settings.load({}, rebuild_window=window_days * 86400)
        self.keys = Keys("yadtq")
        self.walk: list[tuple[str, str]] = [("none", "")]
        self.asked: list[tuple[str, int]] = []  # of unfinished: behind which order, as of which instant
        self.waiting: list[tuple[str, str]] = []
        self.bookmarks = {0: 40, 1: 7}
        self.bookmarked: list[tuple[int, int]] = []
        self.positions, self.starts = {0: 100, 1: 5}, {0: 0, 1: 5}
        self.topic = self.kafka_topic = "A"
        self.below: list[dict[int, int]] = []
        self.printed = io.StringIO()
        self.log = Log(stream=self.printed)
        self.retention = Retention(cast(Store, self), cast(Broker, self), self.log)

    def overview(self, span_ms: int, spans: int, failures: int) -> Overview:
        return Overview(NOW, False, None, (), "", "", {}, ())

    def events(self, after: str, block_seconds: float, most: int) -> list[tuple[str, str]]:
        return self.waiting[:most]

    def unfinished(self, behind: str, count: int, instant: int) -> tuple[str, str]:
        self.asked.append((behind, instant))
        return self.walk.pop(0)

    def bookmark(self, instant: int, spacing: int) -> dict[int, int]:
        self.bookmarked.append((instant, spacing))
        return self.bookmarks

    def standing(self) -> Standing:
        return Standing(self.topic, "", 2, self.positions, {})

    def topic_id(self) -> str:
        return self.kafka_topic

    def delete_tasks(self, below: dict[int, int]) -> dict[int, int]:
        self.below.append(below)
        return {p: at - self.starts[p] for p, at in below.items() if at > self.starts[p]}

    def said(self) -> str:
        self.log.flush()
        return self.printed.getvalue()


def test_what_is_older_than_the_window_is_deleted_and_said_in_one_line() -> None:
    servers = Servers()
    assert servers.retention.look()
    assert servers.bookmarked[0][0] == NOW - 7 * DAY - MARGIN_MS
    assert servers.below == [{0: 40, 1: 5}]  # never beyond what was read
    (line,) = servers.said().splitlines()
    assert "action=retain" in line
    assert "40 messages of yadtq_tasks are deleted, which nobody needs: partition 0 below offset 40" in line


def test_an_unfinished_task_keeps_what_was_submitted_since() -> None:
    servers = Servers()
    servers.walk = [("more", "3"), ("more", "9"), ("found", str(NOW - 30 * DAY))]
    assert servers.retention.look()
    assert servers.asked == [(behind, NOW - 7 * DAY) for behind in ("", "3", "9")]
    assert servers.bookmarked[0][0] == NOW - 30 * DAY - MARGIN_MS


def test_what_the_event_log_does_not_know_yet_is_kept() -> None:
    servers = Servers(window_days=0)
    servers.waiting = [("1-5", json.dumps({"at": f"{(NOW - DAY) / 1000:.3f}"}))]
    servers.retention.look()
    assert servers.asked == [("", NOW - DAY)]
    servers.waiting = []
    servers.walk = [("none", "")]
    servers.retention.look()
    assert servers.asked[-1] == ("", NOW)


@pytest.mark.parametrize(
    ("field", "value"), [("kafka_topic", "B"), ("topic", ""), ("kafka_topic", ""), ("bookmarks", {})]
)
def test_of_what_is_not_known_nothing_is_deleted(field: str, value: Any) -> None:
    servers = Servers()
    setattr(servers, field, value)
    assert servers.retention.look()
    assert servers.below == []
    assert servers.said() == ""
    assert len(servers.bookmarked) == 1  # it is noted all the same where the queue reads


def test_nothing_is_said_when_nothing_is_deleted() -> None:
    servers = Servers()
    servers.bookmarks = {1: 5}
    servers.retention.look()
    assert servers.said() == ""


def test_a_partition_whose_position_is_not_known_stays_whole() -> None:
    servers = Servers()
    servers.positions = {1: 5}
    servers.retention.look()
    assert servers.below == [{0: 0, 1: 5}]


def test_a_long_line_names_some_partitions() -> None:
    servers = Servers()
    servers.bookmarks = dict.fromkeys(range(12), 10)
    servers.positions, servers.starts = dict.fromkeys(range(12), 10), dict.fromkeys(range(12), 0)
    servers.retention.look()
    assert "120 messages" in servers.said()
    assert "partition 2 below offset 10 and 9 more" in servers.said()


def test_bookmarks_of_a_long_window_are_further_apart() -> None:
    for days, spacing in ((0, 1_800_000), (7, 1_800_000), (400, DAY)):
        servers = Servers(days)
        servers.retention.look()
        assert servers.bookmarked[0][1] == spacing


def test_a_look_goes_on_in_bounded_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention_module, "CALLS_AT_ONCE", 2)
    servers = Servers()
    servers.walk = [("more", str(n)) for n in range(5)] + [("none", "")]
    assert not servers.retention.is_due(0.0)
    assert servers.retention.is_due(LOOK_SECONDS)
    assert [servers.retention.look() for _ in range(3)] == [False, False, True]
    assert [behind for behind, _ in servers.asked] == ["", "0", "1", "2", "3", "4"]


def test_it_looks_now_and_then_and_at_once_again_while_it_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention_module, "CALLS_AT_ONCE", 1)
    servers = Servers()
    servers.walk = [("more", "1"), ("none", "")]
    due = servers.retention.is_due
    assert [due(100.0), due(100.0 + LOOK_SECONDS - 1), due(100.0 + LOOK_SECONDS)] == [False, False, True]
    assert not servers.retention.look()
    assert due(100.0 + LOOK_SECONDS + 1)
    assert servers.retention.look()
    assert not due(100.0 + LOOK_SECONDS + 2)
    assert due(101.0 + 2 * LOOK_SECONDS)
