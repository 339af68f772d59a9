"""manager.py: workers that die, one way or another, and what becomes of their tasks. All with real processes."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Figure, Wait
from tests.integration.test_dead_workers import lives
from tests.support.managers import ManagedMachine
from tests.support.notes import Notes
from tests.support.proxy import RedisProxy
from tests.support.waiting import eventually
from yadtq import Task, TaskClient

LEASE = 30
RECORDED = ("--tasks", "tests.support.task_modules.recorded")
LINGERING = ("--tasks", "tests.support.task_modules.lingering")
FATAL = ("--tasks", "tests.support.task_modules.fatal")
EAGER = 10.0  # far less than the lease


@pytest.fixture
def machine(environment: dict[str, str], tmp_path: Path) -> Iterator[ManagedMachine]:
    made = ManagedMachine(tmp_path, environment | {"WORKER_TIMEOUT": str(LEASE)})
    yield made
    made.clear()


def assert_taken_over(task: Task, notes: Notes) -> None:
    """It ended at its second start, and its first one was counted as a crash."""
    assert (task.status, task.attempt, task.result) == ("success", 2, 2)
    assert [attempt.outcome for attempt in task.attempts] == ["reclaim", "success"]
    assert (task.crashes, task.failures) == (1, 0)
    assert notes.overlaps() == []


def test_the_tasks_of_a_killed_worker_start_again_at_once(
    machine: ManagedMachine, client: TaskClient, notes: Notes, all_ended: Wait, figure: Figure
) -> None:
    machine.start("--min", "2", "--max", "2", *RECORDED)
    machine.wait_for(2)
    ids = [client.submit("note_slow_first", notes.path, 60) for _ in range(2)]
    notes.wait_for(2)
    first = {note.id: note for note in notes.begun()}
    victim = client.get_result(ids[0]).worker_id
    os.kill(machine.process_of(victim), signal.SIGKILL)
    killed_at = time.monotonic()
    hit = [task_id for task_id in ids if client.get_result(task_id).worker_id == victim]
    tasks = all_ended(hit, EAGER)
    again = max(note.at for note in notes.begun() if note.attempt == 2)
    figure(f"worker killed, lease {LEASE} s: its tasks started elsewhere after {again - killed_at:.2f} s")
    for task in tasks:
        assert_taken_over(task, notes)
        assert not lives(first[task.id].process)
    machine.wait_for(2)
    assert re.search(rf"WARNING .*action=died {victim}: its process \d+ was ended by SIGKILL", machine.output)
    assert re.search(rf"action=bury {victim}~\w+: .*SIGKILL; its tasks are back in the queue", machine.output)
    assert [row["restarts"] for row in machine.rows() if row["name"] == victim] == [1]


def test_what_a_task_left_behind_is_dead_before_the_task_starts_again(
    machine: ManagedMachine, client: TaskClient, notes: Notes, all_ended: Wait, tmp_path: Path
) -> None:
    """Worker and guard are killed, so that nobody but the manager is left to find it."""
    trace = tmp_path / "trace"
    machine.start("--min", "2", "--max", "2", *LINGERING)
    machine.wait_for(2)
    task_id = client.submit("leave_writer", notes.path, str(trace))
    eventually(trace.exists, what="the process that the task has started")
    name = client.get_result(task_id).worker_id
    victim, log = machine.process_of(name), tmp_path / "logs" / f"{name}.log"
    writer = int(eventually(lambda: re.findall(r"writer (\d+)", log.read_text(encoding="utf-8")), what="its number")[0])
    (guard,) = children_of(victim)
    os.kill(victim, signal.SIGSTOP)  # it must not replace its guard
    os.kill(guard, signal.SIGKILL)
    os.kill(victim, signal.SIGKILL)
    (task,) = all_ended([task_id], EAGER)
    assert not lives(writer)
    assert_taken_over(task, notes)
    written = float(trace.read_text(encoding="ascii").splitlines()[-1])
    (begun,) = [note.at for note in notes.begun() if note.attempt == 2]
    assert written < begun


def test_a_worker_that_dies_while_redis_is_away_is_told_of_later(
    machine: ManagedMachine, client: TaskClient, notes: Notes, all_ended: Wait, proxy: RedisProxy
) -> None:
    machine.start("--min", "2", "--max", "2", *RECORDED, REDIS_PORT=proxy.port)
    machine.wait_for(2)
    task_id = client.submit("note_slow_first", notes.path, 60)
    notes.wait_for(1)
    victim = machine.process_of(client.get_result(task_id).worker_id)
    proxy.mute()
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: machine.status()["unburied"], what="a dead worker that Redis knows nothing of")
    proxy.mute(False)
    (task,) = all_ended([task_id], EAGER + 5)
    assert_taken_over(task, notes)
    eventually(lambda: not machine.status()["unburied"])


def test_a_worker_that_keeps_dying_waits_longer_each_time_and_its_last_words_are_said(machine: ManagedMachine) -> None:
    manager = machine.start("--min", "1", "--max", "1", *FATAL)
    manager.prints("starts again in 2 s")
    said = [line for line in machine.output.splitlines() if "action=died" in line]
    assert [re.sub(".*; it starts again", "", line) for line in said] == ["", " in 1 s", " in 2 s"]
    assert all("ended with exit code 7; its last words: the disk is on fire" in line for line in said)
    eventually(lambda: [row["reason"] for row in machine.rows("waiting") if "on fire" in row["reason"]])
    assert manager.terminate() == 0


def test_wrong_use_is_said_and_tried_again_much_later(machine: ManagedMachine) -> None:
    machine.start("--min", "1", "--max", "1", "--tasks", "no_such_module")
    (row,) = eventually(lambda: machine.rows("waiting"))
    assert "exit code 2" in row["reason"]
    assert "no_such_module" in row["reason"]
    assert row["since"] > 20


def test_a_worker_that_cannot_drain_is_killed_in_the_end_and_that_is_said(machine: ManagedMachine) -> None:
    manager = machine.start("--min", "1", "--max", "1", *RECORDED, DRAIN_SECONDS=0)
    machine.wait_for(1)
    os.kill(machine.process_of("w1"), signal.SIGSTOP)
    assert manager.terminate(25) == 0
    assert "w1 has not ended 10 s after SIGTERM: it is killed" in machine.output
    assert machine.left() == []


def children_of(process: int) -> list[int]:
    """The processes that this one has started and that live."""
    text = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    return [int(word) for word in text.split()]
