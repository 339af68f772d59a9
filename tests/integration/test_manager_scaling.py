"""manager.py: how many workers it keeps, how it ends, and what it tells about itself. All with real processes."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Wait
from tests.integration.test_manager import RECORDED
from tests.support.managers import ManagedMachine
from tests.support.notes import Notes
from tests.support.waiting import eventually
from yadtq import TaskClient


@pytest.fixture
def machine(environment: dict[str, str], tmp_path: Path) -> Iterator[ManagedMachine]:
    made = ManagedMachine(tmp_path, environment | {"WORKER_TIMEOUT": "30", "WORKER_CONCURRENCY": "1"})
    yield made
    made.clear()


def submit_notes(client: TaskClient, notes: Notes, number: int, seconds: float) -> list[str]:
    return [client.submit("note", notes.path, seconds) for _ in range(number)]


def test_a_burst_brings_workers_which_leave_when_there_is_nothing_to_do(
    machine: ManagedMachine, client: TaskClient, notes: Notes, all_ended: Wait
) -> None:
    machine.start("--min", "1", "--max", "2", "--idle-seconds", "1", *RECORDED)
    machine.wait_for(1)
    ids = submit_notes(client, notes, 15, 0.4)
    machine.wait_for(2)
    all_ended(ids)
    machine.wait_for(1)
    assert set(notes.starts().values()) == {1}
    assert [task.attempt for task in all_ended(ids)] == [1] * len(ids)
    assert "from 1 to 2 workers: " in machine.output
    assert "from 2 to 1 workers: idle for" in machine.output
    assert "action=died" not in machine.output


def test_sigterm_lets_workers_end_their_tasks_and_loses_none(
    machine: ManagedMachine, client: TaskClient, notes: Notes, all_ended: Wait
) -> None:
    manager = machine.start("--min", "2", "--max", "2", *RECORDED)
    machine.wait_for(2)
    ids = submit_notes(client, notes, 6, 1.5)
    notes.wait_for(2)
    assert manager.terminate(40) == 0
    assert machine.left() == []
    assert client.counts()["processing"] == 0
    assert client.counts()["success"] == len(notes.begun()) < 6

    machine.start("--min", "2", "--max", "2", *RECORDED)
    assert [task.attempt for task in all_ended(ids)] == [1] * 6
    assert set(notes.starts().values()) == {1}


def test_a_second_signal_ends_the_patience_and_tasks_are_given_back(
    machine: ManagedMachine, client: TaskClient, notes: Notes
) -> None:
    manager = machine.start("--min", "1", "--max", "1", *RECORDED)
    machine.wait_for(1)
    (task_id,) = submit_notes(client, notes, 1, 60)
    notes.wait_for(1)
    manager.process.send_signal(signal.SIGINT)
    manager.prints("action=drain w1")
    assert client.get_result(task_id).status == "processing"
    manager.process.send_signal(signal.SIGINT)
    assert manager.process.wait(15) == 0
    assert machine.left() == []
    task = client.get_result(task_id)
    assert (task.status, task.crashes, task.failures) == ("queued", 0, 0)


def test_the_workers_of_a_killed_manager_drain_and_nothing_is_lost_or_doubled(
    machine: ManagedMachine, client: TaskClient, notes: Notes, all_ended: Wait
) -> None:
    manager = machine.start("--min", "2", "--max", "2", *RECORDED)
    machine.wait_for(2)
    ids = submit_notes(client, notes, 6, 1.5)
    notes.wait_for(2)
    manager.kill()
    eventually(lambda: not machine.left(), 20, "the end of all its workers")
    assert client.counts()["processing"] == 0
    assert machine.command("status").returncode == 3

    machine.start("--min", "2", "--max", "2", *RECORDED)
    assert [task.attempt for task in all_ended(ids)] == [1] * 6
    assert set(notes.starts().values()) == {1}


def test_another_manager_may_start_while_the_workers_of_a_killed_one_still_drain(
    machine: ManagedMachine, client: TaskClient, notes: Notes, all_ended: Wait
) -> None:
    manager = machine.start("--min", "1", "--max", "1", *RECORDED)
    machine.wait_for(1)
    ids = submit_notes(client, notes, 3, 2.0)
    notes.wait_for(1)
    before = machine.process_of("w1")
    manager.kill()
    machine.start("--min", "1", "--max", "1", *RECORDED)
    all_ended(ids)
    assert machine.process_of("w1") != before
    assert set(notes.starts().values()) == {1}


def test_status_tells_what_runs(machine: ManagedMachine) -> None:
    none = machine.command("status")
    assert (none.returncode, none.stdout) == (3, "")
    assert none.stderr.startswith("no manager runs with the log folder ")
    manager = machine.start("--min", "1", "--max", "2", *RECORDED)
    machine.wait_for(1)

    told = machine.command("status", "--json")
    assert told.returncode == 0
    found = json.loads(told.stdout)
    assert (found["process"], found["state"], found["minimum"], found["maximum"]) == (
        manager.process.pid,
        "running",
        1,
        2,
    )
    assert [(row["name"], row["state"], row["slots"]) for row in found["workers"]] == [("w1", "online", 1)]
    lines = machine.command("status").stdout.splitlines()
    assert lines[0].startswith(f"manager: process {manager.process.pid}, running; 1 of 1 workers online")
    assert lines[-1].split()[:3] == ["w1", "online", str(found["workers"][0]["process"])]

    second = machine.command("--min", "1")
    assert second.returncode == 3
    assert f"process {manager.process.pid} manages workers with the log folder" in second.stderr


def test_worker_logs_and_pid_files_are_where_they_are_looked_for(machine: ManagedMachine) -> None:
    manager = machine.start("--min", "1", "--max", "1", *RECORDED)
    machine.wait_for(1)
    logs = machine.folder / "logs"
    assert "action=join" in (logs / "w1.log").read_text(encoding="utf-8")
    noted = json.loads((logs / "manager" / "w1.pid").read_text(encoding="ascii"))
    assert noted["pid"] == machine.process_of("w1")
    assert manager.terminate(40) == 0
    assert not list((logs / "manager").glob("*.pid"))
    assert os.listdir(logs / "manager") != []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--min", "2", "--max", "1"), "--max 1 is less than --min 2"),
        (("--min", "x"), "'x' is not a whole number from 0 to 1000"),
        (("--max", "0", "--min", "0"), "no worker at all"),
        (("--name", "a b"), "'a b' cannot begin names"),
        (("--name", "a/b"), "'a/b' cannot begin names"),
        (("--idle-seconds", "soon"), "'soon' is no number of seconds"),
        (("--worker-timeout", "soon"), "--worker-timeout: 'soon' cannot be used"),
        (("what",), "invalid choice: 'what'"),
    ],
)
def test_wrong_use_is_said(machine: ManagedMachine, arguments: tuple[str, ...], said: str) -> None:
    done = machine.command(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
