"""Old messages are deleted from a real Kafka, and nothing else: no unread one, none of a task that has not ended."""

import dataclasses
import io
import json
from collections.abc import Iterator

import pytest

from _yadtq import retention as retention_module
from _yadtq.connections import outbox, servers
from _yadtq.log import Log
from _yadtq.lookout import Lookout
from _yadtq.retention import Retention
from _yadtq.settings import Settings
from tests.conftest import StartWorker
from tests.integration.conftest import RECORDED, Wait
from tests.support import kafka_tools
from tests.support.notes import Notes
from yadtq import Call, TaskClient


class House:
    """A queue of which nothing that has ended is kept, and its two servers. Its times have no margin."""

    def __init__(self, settings: Settings) -> None:
        self.settings = dataclasses.replace(settings, rebuild_window=0.0)
        self.broker, self.store = servers(self.settings)
        self.printed = io.StringIO()
        self.log = Log(stream=self.printed)
        self.retention = Retention(self.store, self.broker, self.log)

    def close(self) -> None:
        self.broker.close()
        self.store.close()

    def look(self) -> str:
        """One whole look. Returns what it says."""
        before = len(self.said())
        while not self.retention.look():
            pass
        return self.said()[before:]

    def said(self) -> str:
        self.log.flush()
        return self.printed.getvalue()

    def send_events(self) -> None:
        """Everything leaves the outbox."""
        sender = outbox(self.store, self.broker)
        while self.store.events("0-0", 0.001, 1):
            sender.forward(0.01)

    def ids(self) -> set[str]:
        """Whose messages the task topic has."""
        rows = kafka_tools.whole_topic(self.settings.kafka_broker, self.broker.keys.tasks_topic, 12)
        return {json.loads(value)["task-id"] for _, value in rows}


@pytest.fixture
def house(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(retention_module, "MARGIN_MS", 0)
    monkeypatch.setattr(retention_module, "SPACING_MS", 0)
    opened = House(settings)
    yield opened
    opened.close()


def test_only_what_nobody_needs_is_deleted_and_the_queue_can_be_rebuilt(
    house: House, client: TaskClient, worker_process: StartWorker, notes: Notes, all_ended: Wait
) -> None:
    def submit(count: int) -> list[str]:
        return client.submit_many([Call("note", (notes.path,)) for _ in range(count)])

    worker = worker_process(*RECORDED, concurrency=2, drain_seconds=0)
    ended = submit(30)
    all_ended(ended)
    assert house.look() == ""  # from now on it is known where the queue reads
    unfinished = client.submit("note_slow_first", notes.path, 600)
    notes.wait_for(31)
    later = submit(30)
    all_ended(later)
    assert "30 messages" in house.look()
    assert house.ids() == {unfinished, *later}
    worker.terminate()
    unread = submit(30)
    house.send_events()
    assert house.look() == ""
    assert house.ids() == {unfinished, *later, *unread}

    lookout = Lookout(house.store, house.broker, house.log)
    before = house.store.standing()
    for _ in range(8):
        standing, topic = lookout.look()
        assert not lookout.is_uneasy
    assert max(topic.starts.values()) > 0
    assert standing == before == house.store.standing()
    assert "reposition" not in house.said()

    house.store._redis.unlink(*house.store._redis.keys(f"{house.store.keys.prefix}*"))
    assert client.rebuild(print)
    assert client.counts() == {"queued": 31, "processing": 0, "success": 60, "failed": 0, "rejected": 0}
    worker_process(*RECORDED, concurrency=2)
    all_ended([*ended, unfinished, *later, *unread])
    assert notes.starts() == dict.fromkeys([*ended, *later, *unread], 1) | {unfinished: 2}


def test_when_everything_has_ended_nothing_is_left_and_reading_goes_on(
    house: House, client: TaskClient, worker_process: StartWorker, notes: Notes, all_ended: Wait
) -> None:
    worker = worker_process(*RECORDED)
    for _ in range(2):
        all_ended(client.submit_many([Call("note", (notes.path,)) for _ in range(10)]))
        house.look()
        house.send_events()
    assert "10 messages" in house.look()
    assert house.ids() == set()
    foreign = [json.dumps({"task-id": f"foreign{n}", "task": "note", "args": [notes.path]}) for n in range(5)]
    kafka_tools.send(house.settings.kafka_broker, house.broker.keys.tasks_topic, foreign, partition=3)
    all_ended([f"foreign{n}" for n in range(5)])
    assert "action=reposition" not in worker.output
