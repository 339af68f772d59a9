"""Workers that die, freeze or are cut off: their tasks start again elsewhere, once, and the history says so."""

import os
import signal
import time
from pathlib import Path

import redis

from _yadtq.settings import Settings
from tests.conftest import StartWorker
from tests.integration.conftest import RECORDED, Figure, Wait
from tests.support.notes import Notes
from tests.support.proxy import RedisProxy
from tests.support.waiting import eventually
from yadtq import Task, TaskClient

LEASE = 3


def lives(process: int) -> bool:
    """Whether a process runs (one that has ended and is not reaped yet does not)."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def assert_taken_over(task: Task, notes: Notes, *, outcome: str = "reclaim") -> None:
    """It ended once, at its second start, which began when the process of the first one was dead."""
    first, second = notes.begun(task.id)
    assert (task.status, task.attempt, task.result, task.worker_id) == ("success", 2, 2, "worker2")
    assert [attempt.outcome for attempt in task.attempts if attempt.outcome != "refused"] == [outcome, "success"]
    assert task.crashes == 1
    assert task.failures == 0
    assert not lives(first.process)
    assert notes.overlaps() == []
    assert second.attempt == 2


def test_the_tasks_of_a_killed_worker_end_on_another_one(
    client: TaskClient, worker_process: StartWorker, notes: Notes, all_ended: Wait, figure: Figure
) -> None:
    victim = worker_process(*RECORDED, worker_timeout=LEASE, concurrency=2)
    ids = [client.submit("note_slow_first", notes.path, 60) for _ in range(2)]
    notes.wait_for(2)
    processes = [note.process for note in notes.begun()]
    worker_process(*RECORDED, worker_timeout=LEASE)
    eventually(lambda: len(client.workers()) == 2)

    victim.kill()
    killed_at = time.monotonic()
    eventually(lambda: not any(map(lives, processes)), 5, "the end of the killed worker's children")
    orphans = time.monotonic() - killed_at
    tasks = all_ended(ids)

    figure(
        f"worker killed, lease {LEASE} s: its children were dead after {orphans:.2f} s, "
        f"its tasks started elsewhere after {notes.begun()[-1].at - killed_at:.1f} s"
    )
    for task in tasks:
        assert_taken_over(task, notes)
    eventually(lambda: sorted(worker.state for worker in client.workers()) == ["offline", "online"])


def test_a_frozen_worker_runs_nothing_beyond_its_lease_and_its_outcome_is_refused(
    client: TaskClient, worker_process: StartWorker, notes: Notes, all_ended: Wait, figure: Figure
) -> None:
    """One task still runs when the guard's deadline comes; the other one has ended, and nobody was told."""
    zombie = worker_process(*RECORDED, worker_timeout=LEASE, concurrency=2)
    long, short = client.submit("note_slow_first", notes.path, 60), client.submit("note_slow_first", notes.path, 1)
    notes.wait_for(2)
    os.kill(zombie.process.pid, signal.SIGSTOP)
    frozen_at = time.monotonic()
    worker_process(*RECORDED, worker_timeout=LEASE)

    first = {note.id: note.process for note in notes.begun()}
    eventually(lambda: not lives(first[long]), LEASE, "the end of the frozen worker's child")
    figure(f"worker frozen, lease {LEASE} s: its child was dead after {time.monotonic() - frozen_at:.1f} s")
    all_ended([long, short])
    os.kill(zombie.process.pid, signal.SIGCONT)
    eventually(lambda: zombie.output.count("action=join") == 2, what="the thawed worker begins anew")
    eventually(lambda: zombie.output.count("action=refused") == 2, what="its outcomes are refused")

    for task in map(client.get_result, (long, short)):
        assert_taken_over(task, notes)
        assert [attempt.outcome for attempt in task.attempts].count("refused") == 1
    assert zombie.process.poll() is None
    assert client.counts() | {"processing": 0, "success": 2} == client.counts()
    eventually(lambda: [worker.state for worker in client.workers()].count("online") == 2)


def test_a_worker_that_is_cut_off_from_redis_stops_what_it_runs_and_comes_back(
    client: TaskClient, proxy: RedisProxy, worker_process: StartWorker, notes: Notes, all_ended: Wait
) -> None:
    lonely = worker_process(*RECORDED, worker_timeout=LEASE, redis_port=proxy.port)
    task_id = client.submit("note_slow_first", notes.path, 60)
    notes.wait_for(1)
    worker_process(*RECORDED, worker_timeout=LEASE)
    proxy.mute()
    (task,) = all_ended([task_id])
    proxy.mute(False)
    assert_taken_over(task, notes)
    eventually(lambda: lonely.output.count("action=join") == 2, 30)
    eventually(lambda: [worker.state for worker in client.workers()].count("online") == 2)
    assert client.get_result(task_id).result == 2


def test_a_task_whose_owners_lease_was_deleted_by_hand_is_found(
    settings: Settings, client: TaskClient, worker_process: StartWorker, notes: Notes, all_ended: Wait
) -> None:
    victim = worker_process(*RECORDED, worker_timeout=LEASE)
    task_id = client.submit("note_slow_first", notes.path, 60)
    notes.wait_for(1)
    worker_process(*RECORDED, worker_timeout=LEASE)
    eventually(lambda: len(client.workers()) == 2)
    victim.kill()
    with redis.Redis(settings.redis_host, settings.redis_port) as connection:
        assert connection.delete(f"{{{settings.namespace}}}:leases") == 1
    (task,) = all_ended([task_id])
    assert_taken_over(task, notes)


def test_a_living_worker_whose_lease_was_deleted_by_hand_begins_anew(
    settings: Settings, client: TaskClient, worker_process: StartWorker, notes: Notes, all_ended: Wait
) -> None:
    worker = worker_process(*RECORDED, worker_timeout=LEASE)
    task_id = client.submit("note_slow_first", notes.path, 60)
    notes.wait_for(1)
    with redis.Redis(settings.redis_host, settings.redis_port) as connection:
        assert connection.delete(f"{{{settings.namespace}}}:leases") == 1
    (task,) = all_ended([task_id])
    assert (task.status, task.attempt, task.failures) == ("success", 2, 0)
    assert notes.overlaps() == []
    assert worker.output.count("action=join") == 2


def test_a_worker_whose_lease_lapsed_once_joins_once_more(
    settings: Settings, client: TaskClient, worker_process: StartWorker, notes: Notes, all_ended: Wait
) -> None:
    """What its old pool still says at its end is not about the new one."""
    worker = worker_process(*RECORDED, concurrency=3)
    ids = [client.submit("note_slow_first", notes.path, 60) for _ in range(3)]
    notes.wait_for(3)
    incarnation = client.workers()[0].id
    with redis.Redis(settings.redis_host, settings.redis_port) as connection:
        connection.zadd(f"{{{settings.namespace}}}:leases", {incarnation: 0})
    tasks = all_ended(ids)
    assert [(task.status, task.attempt) for task in tasks] == [("success", 2)] * 3
    assert worker.output.count("action=join") == 2
    assert worker.terminate(30) == 0
    assert worker.output.count("action=join") == 2
