"""A client that dies between register and publish: its task is published by the sweeper, and runs once."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.conftest import StartWorker
from tests.integration.conftest import RECORDED, Figure, Wait
from tests.support.notes import Notes
from tests.support.servers import ROOT
from yadtq import TaskClient

Die = Callable[[str], None]


@pytest.fixture
def register_and_die(environment: dict[str, str], notes: Notes) -> Die:
    """register_and_die(id): a client registers a task under this id, and is killed before it publishes."""

    def run(task_id: str) -> None:
        command = [sys.executable, "-m", "tests.support.dying_client", "note", json.dumps([notes.path]), task_id]
        done = subprocess.run(command, cwd=ROOT, env=environment, timeout=30, check=False)
        assert done.returncode == -signal.SIGKILL

    return run


def test_a_task_whose_client_died_before_publishing_runs_once(
    client: TaskClient,
    register_and_die: Die,
    worker_process: StartWorker,
    notes: Notes,
    all_ended: Wait,
    figure: Figure,
) -> None:
    register_and_die("before-the-reset")
    assert client.get_result("before-the-reset").status == "queued"
    assert client.reset() == 1
    register_and_die("orphan")
    began = time.monotonic()
    worker_process(*RECORDED)
    others = [client.submit("note", notes.path) for _ in range(3)]
    all_ended(others)
    assert client.get_result("orphan").status == "queued"

    (task,) = all_ended(["orphan"], 40)

    figure(f"registered and never published: it ran {time.monotonic() - began:.1f} s later")
    assert (task.status, task.attempt) == ("success", 1)
    assert set(notes.starts()) == {"orphan", *others}
    assert set(notes.starts().values()) == {1}
