"""Operator on a real Kafka and Redis, beside workers that run."""

import dataclasses
import time
from collections.abc import Iterator

import pytest

from _yadtq.settings import Settings
from local.ports import free_port
from tests.conftest import StartWorker
from tests.integration.conftest import RECORDED, Figure, Wait
from tests.integration.test_dead_workers import lives
from tests.support.chaos_watcher import children_of
from tests.support.notes import Notes
from tests.support.waiting import eventually
from yadtq import Call, Operator, ServerUnreachable, TaskClient

LONG_LEASE = 60.0  # seconds for which nobody waits here


@pytest.fixture
def operator(settings: Settings) -> Iterator[Operator]:
    with Operator(settings) as opened:
        yield opened


def submit(client: TaskClient, notes: Notes, count: int) -> list[str]:
    return client.submit_many([Call("note", (notes.path,)) for _ in range(count)])


def test_a_picture_before_and_after_tasks_have_run(
    operator: Operator, client: TaskClient, worker_process: StartWorker, notes: Notes, all_ended: Wait
) -> None:
    ids = submit(client, notes, 5)
    before = operator.snapshot()
    assert before.lag is not None
    assert (sum(before.lag.values()), len(before.lag), before.stats.unread) == (5, 12, 5)
    assert 0 < before.waiting_seconds < 60
    assert (before.workers, before.relay, before.health.kafka) == ((), "", "")
    worker_process(*RECORDED)
    all_ended(ids)
    after = operator.snapshot(spans=1)
    (span,) = after.spans
    assert (span.success, span.failed, span.end - span.start) == (5, 0, 3600.0)
    assert (after.waiting_seconds, after.lag) == (0.0, dict.fromkeys(range(12), 0))
    assert [worker.worker_id for worker in after.workers] == ["worker1"]
    assert after.relay == after.workers[0].id
    page = operator.page(status="success", task="note", worker="worker1", count=3)
    assert [task.id for task in page.tasks] == [task.id for task in client.list("success", 3)]
    assert operator.client.counts() == after.stats.counts


def test_kafka_being_away_delays_no_picture(settings: Settings, client: TaskClient, notes: Notes) -> None:
    submit(client, notes, 2)
    address = f"127.0.0.1:{free_port()}"
    with Operator(dataclasses.replace(settings, kafka_broker=address)) as operator:
        eventually(lambda: "answer" in operator.snapshot().health.kafka)
        began = time.monotonic()
        seen = operator.snapshot()
        assert time.monotonic() - began < 4.0  # for which a client of Kafka tries to connect
    assert (seen.lag, seen.stats.counts["queued"]) == (None, 2)
    assert seen.health.kafka == f"Kafka does not answer at {address}: start it or set KAFKA_BROKER"


def test_redis_being_away_is_said(settings: Settings) -> None:
    away = dataclasses.replace(settings, redis_port=free_port())
    with Operator(away) as operator, pytest.raises(ServerUnreachable, match="Redis does not answer"):
        operator.snapshot()


def test_the_tasks_of_a_worker_that_is_seen_dead_start_elsewhere_at_once(
    operator: Operator,
    client: TaskClient,
    worker_process: StartWorker,
    notes: Notes,
    all_ended: Wait,
    figure: Figure,
) -> None:
    victim = worker_process(*RECORDED, worker_timeout=LONG_LEASE, concurrency=2)
    ids = [client.submit("note_slow_first", notes.path, 600) for _ in range(2)]
    notes.wait_for(2)
    (worker,) = client.workers()
    worker_process(*RECORDED, worker_timeout=LONG_LEASE)
    eventually(lambda: len(client.workers()) == 2)
    family = [*children_of(victim.process.pid), *(note.process for note in notes.begun())]
    victim.kill()
    killed_at = time.monotonic()
    eventually(lambda: not any(map(lives, family)), 10, "the end of its children and of its guard")
    assert operator.bury(worker.id, "killed by SIGKILL")
    tasks = all_ended(ids, LONG_LEASE / 2)
    figure(f"its tasks started elsewhere {notes.begun()[-1].at - killed_at:.1f} s after the kill; lease 60 s")
    for task in tasks:
        assert [(a.outcome, a.worker_id) for a in task.attempts] == [("reclaim", "worker1"), ("success", "worker2")]
        assert task.attempts[0].reason == "worker worker1 ended: killed by SIGKILL"
    assert notes.overlaps() == []
    (failure,) = operator.failures()
    assert (failure.worker, failure.count, failure.reason) == (worker.id, 2, "ended: killed by SIGKILL")
    assert {(held.id, held.begun, held.status) for held in failure.tasks} == {(each, True, "success") for each in ids}
    assert not operator.bury(worker.id, "killed by SIGKILL")
