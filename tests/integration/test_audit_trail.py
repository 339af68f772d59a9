"""The event log has every transition of every task exactly once, whoever dies while it is written."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from _yadtq.broker import Broker
from _yadtq.event_log import EventLog
from _yadtq.records import task_of
from _yadtq.settings import Settings
from _yadtq.states import TRANSITIONS
from _yadtq.store import Store
from tests.conftest import StartWorker
from tests.integration.conftest import RECORDED, Figure, Wait
from tests.support.kafka_tools import read_events
from tests.support.notes import Notes
from tests.support.submitters import Load, Submitters
from tests.support.waiting import eventually
from yadtq import TaskClient

AFTER = {(t.before, t.action): t.after for t in TRANSITIONS}


@pytest.fixture
def submitters(environment: dict[str, str], notes: Notes, tmp_path: Path) -> Iterator[Submitters]:
    """Two clients that submit 400 tasks a second together."""
    started = Submitters(2, Load("note", [notes.path, 0.002], pause=0.1), tmp_path, environment)
    yield started
    started.stop()


def test_the_event_log_is_whole_though_its_relay_is_killed_under_load(
    settings: Settings,
    client: TaskClient,
    worker_process: StartWorker,
    submitters: Submitters,
    notes: Notes,
    all_ended: Wait,
    figure: Figure,
) -> None:
    workers = {f"worker{n}": worker_process(*RECORDED, retry_delay=0.1) for n in (1, 2, 3)}
    eventually(lambda: client.counts()["success"] > 300, 30)
    others = [client.submit("fail_first", notes.path, times) for times in (1, 2, 9)]
    for _ in range(2):
        relay = eventually(lambda: workers.keys() & {relay_of(settings)}, what="one of the living is the relay").pop()
        workers.pop(relay).kill()
        send_without_trimming(settings)
    eventually(lambda: workers.keys() & {relay_of(settings)})
    reports = submitters.stop()
    assert not {report.error for report in reports} - {""}
    ids = [task_id for report in reports for task_id in report.ids] + others
    all_ended(ids, 40)
    eventually(lambda: client.stats().outbox == 0, 20, "the outbox is empty")

    events, repeats = read_events(settings.kafka_broker, f"{settings.namespace}_events")
    figure(f"{len(ids)} tasks, {len(events)} events, {repeats} repeats; two relays were killed")
    assert repeats > 0
    marker = events.pop(min(events, key=lambda key: int(key.rpartition("-")[2])))
    assert marker["action"] == "generation"
    assert_whole(list(events))
    assert_told_once(settings, ids, list(events.values()))
    assert Counter(i for event in events.values() for i in event.get("admitted", [])) == Counter(ids)


def relay_of(settings: Settings) -> str:
    with redis.Redis(settings.redis_host, settings.redis_port, decode_responses=True) as connection:
        return str(connection.hget(f"{{{settings.namespace}}}:meta", "relay") or "").partition("~")[0]


def send_without_trimming(settings: Settings) -> None:
    """What a relay does that dies between Kafka's acknowledgement and its next step: the next one sends it again."""
    store, broker = Store(settings), Broker(settings)
    waiting = eventually(lambda: store.events("0-0", 0.1, 64))
    assert EventLog(settings, broker).append(store.generation(), waiting)[0] == len(waiting)
    broker.close()
    store.close()


def assert_whole(entries: list[str]) -> None:
    """Each entry follows the one before: none is missing."""
    numbers = sorted(int(entry.rpartition("-")[2]) for entry in entries)
    assert len({entry.partition("-")[0] for entry in entries}) == 1
    assert numbers == list(range(1, len(entries) + 1))


def assert_told_once(settings: Settings, ids: list[str], events: list[dict[str, Any]]) -> None:
    """The log, replayed, leads each task through its states to exactly what its record says."""
    told: dict[str, list[dict[str, Any]]] = {task_id: [] for task_id in ids}
    for event in sorted(events, key=lambda event: int(event["seq"])):
        for transition in event.get("tasks", []):
            told[transition["id"]].append(transition)
    store = Store(settings)
    records = dict(zip(ids, store.records(ids), strict=True))
    store.close()
    for task_id, transitions in told.items():
        status, taken = "", 0
        for transition in transitions:
            if transition["action"] != "refused":
                assert (status, transition["action"]) in AFTER, f"{task_id}: {[t['action'] for t in transitions]}"
                status = AFTER[status, transition["action"]]
            taken += transition["action"] == "take"
        task, record, last = task_of(task_id, records[task_id]), records[task_id], transitions[-1]
        unbegun = sum(
            t.get("begun") is False and t["action"] != "reclaim" for t in transitions
        )  # nobody knows of those
        assert status == task.status
        assert taken - unbegun == task.attempt == len(task.attempts)
        assert last["attempt"] == task.attempt
        assert last.get("result") == record.get("result")
        assert last.get("error") == (record.get("error") if status == "failed" else None)
        assert last["finished_at"] == record["finished_at"]
