"""The examples, as a person runs them: two programs, real servers."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from _yadtq.settings import Settings
from tests.support.programs import RunningProgram
from tests.support.servers import ROOT
from tests.support.waiting import eventually
from yadtq import TaskClient

ENDED = (
    "add [10, 5] success: 15",
    "sub [10, 5] success: 5",
    "multiply [10, 5] success: 50",
    "divide [10, 5] success: 2.0",
    "divide [10, 0] failed: ZeroDivisionError: division by zero",
    "custom_task ['world'] success: Hello world! Hello world!",
)


@pytest.fixture
def worker(environment: dict[str, str], tmp_path: Path) -> Iterator[RunningProgram]:
    program = RunningProgram(["examples/workercode.py"], tmp_path / "worker.log", environment)
    yield program
    assert program.terminate() == 0


def client(script: Path, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script)], cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


def test_the_client_sees_all_its_tasks_end(worker: RunningProgram, environment: dict[str, str], tmp_path: Path) -> None:
    done = client(ROOT / "examples" / "clientcode.py", tmp_path, environment)
    assert done.returncode == 0, done.stderr
    first, *ended = [line for line in done.stdout.splitlines() if "have not ended yet" not in line]
    assert first == "submitted 6 tasks"
    assert sorted(ended) == sorted(ENDED)
    worker.prints("action=success")


@pytest.mark.usefixtures("worker")
def test_its_tasks_are_known_to_the_queue(settings: Settings) -> None:
    with TaskClient(settings) as queue:
        (found,) = eventually(queue.workers, 30, "a worker")
    known = {signature.name: signature.about for signature in found.tasks}
    assert known["custom_task"] == "Greets somebody so many times."
    assert set(known) == {"add", "sub", "multiply", "divide", "custom_task"}


def test_the_worker_runs_where_yadtq_is_only_installed(environment: dict[str, str], tmp_path: Path) -> None:
    """Copied elsewhere, as after `pip install`: the library is found through the path of the interpreter."""
    script = shutil.copy(ROOT / "examples" / "workercode.py", tmp_path)
    installed = {**environment, "PYTHONPATH": str(ROOT)}
    program = RunningProgram([str(script)], tmp_path / "worker.log", installed)
    try:
        program.prints("action=join")
        done = client(ROOT / "examples" / "clientcode.py", tmp_path, environment)
        assert sorted(line for line in done.stdout.splitlines() if line in ENDED) == sorted(ENDED)
    finally:
        assert program.terminate() == 0


def test_without_servers_the_client_says_so_in_one_line(tmp_path: Path) -> None:
    nowhere = {"KAFKA_BROKER": "127.0.0.1:1", "REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1"}
    done = client(ROOT / "examples" / "clientcode.py", tmp_path, nowhere)
    assert done.returncode == 1
    assert re.fullmatch(r"(Kafka|Redis) does not answer at 127\.0\.0\.1:1\b.*\n", done.stderr)
