"""Reset is exact at one instant, whatever runs, reads and submits meanwhile."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from _yadtq.settings import Settings
from tests.conftest import StartWorker
from tests.integration.conftest import RECORDED, Figure
from tests.support.notes import Notes
from tests.support.programs import RunningProgram
from tests.support.submitters import Load, Submitters
from tests.support.waiting import eventually
from yadtq import STATUSES, Task, TaskClient

CLIENTS, WORKERS = 4, 2


@pytest.fixture
def submitters(environment: dict[str, str], notes: Notes, tmp_path: Path) -> Iterator[Submitters]:
    """Four clients at full speed."""
    started = Submitters(CLIENTS, Load("note", [notes.path]), tmp_path, environment)
    yield started
    started.stop()


def test_reset_while_clients_submit_and_workers_run(
    settings: Settings,
    client: TaskClient,
    worker_process: StartWorker,
    submitters: Submitters,
    notes: Notes,
    figure: Figure,
) -> None:
    workers = [worker_process(*RECORDED) for _ in range(WORKERS)]
    eventually(lambda: client.counts()["success"] > 500, 30)

    resets = []
    for _ in range(3):
        began = time.monotonic()
        removed = client.reset()
        resets.append((began, time.monotonic(), removed))
        submitters.wait_for_calls(20 * CLIENTS)
    reports = submitters.stop()
    eventually(lambda: client.counts() | {"queued": 0, "processing": 0} == client.counts(), 60)

    reset_began, reset_returned, _ = resets[-1]
    before = {task_id for r in reports if r.returned < reset_began for task_id in r.ids}
    after = {task_id for r in reports if r.began > reset_returned for task_id in r.ids}
    tasks = {task.id: task for task in all_tasks(client)}
    took = max(returned - began for began, returned, _ in resets)
    figure(f"{len(before)} tasks before the last reset, {len(after)} after it; a reset took at most {took:.2f} s")

    assert not {report.error for report in reports} - {""}
    assert len(before) > 500
    assert len(after) > 500
    assert all(removed > 0 for _, _, removed in resets)
    assert not before & tasks.keys()
    assert not after - tasks.keys()
    assert {task.status for task in tasks.values()} == {"success"}
    assert set(notes.starts().values()) == {1}
    assert not tasks.keys() - notes.starts().keys()
    assert client.counts() == dict.fromkeys(STATUSES, 0) | Counter(t.status for t in tasks.values())
    eventually(lambda: not list(redis_keys(settings, 0, 1, 2)), 20, "the end of all keys from before the last reset")
    for worker in workers:
        assert_worked_without_error(worker)


def assert_worked_without_error(worker: RunningProgram) -> None:
    assert worker.process.poll() is None
    assert not re.findall(r"^.* ERROR .*$", worker.output, re.MULTILINE)
    assert worker.terminate(30) == 0


def redis_keys(settings: Settings, *epochs: int) -> Iterator[bytes]:
    with redis.Redis(settings.redis_host, settings.redis_port) as connection:
        for epoch in epochs:
            yield from connection.scan_iter(match=f"{{{settings.namespace}}}:{epoch}:*", count=5000)


def all_tasks(client: TaskClient) -> list[Task]:
    found: list[Task] = []
    while page := client.list(limit=1000, offset=len(found)):
        found += page
    return found
