"""README.md is what happens: its commands are run, its session is recorded again and compared."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from _yadtq.settings import Settings
from tests.conftest import StartWorker
from tests.support.pages import code_blocks
from tests.support.recording import masked, of_page, recorded, session_of
from tests.support.servers import ROOT
from tests.support.waiting import eventually
from yadtq import TaskClient

PAGES = ("README.md", "CONTRIBUTING.md", "docs/library.md")


def commands() -> Iterator[str]:
    """Every line of the pages that is meant to be typed, without its comment."""
    for page in PAGES:
        for block in code_blocks(page, "sh"):
            yield from (line.partition("  #")[0].strip() for line in block.splitlines() if line.strip())


def of_kind(*beginnings: str) -> list[str]:
    return sorted({command for command in commands() if command.startswith(beginnings)})


@pytest.fixture
def workers(worker_process: StartWorker, settings: Settings) -> None:
    worker_process(concurrency=4)
    with TaskClient(settings) as client:
        eventually(lambda: [w for w in client.workers() if w.state == "online"], 30, "a worker online")


def test_every_command_is_of_a_kind_that_is_tested() -> None:
    tested = of_kind(
        "make ", "python client.py ", "docker ", ".venv/bin/python -m ", "YADTQ_TEST_KAFKA=", "pip install ."
    )
    tested += of_kind(
        "printf 'ADD 2 3\\nShow-Tasks\\nExit\\n' | make up", "python -m yadtq", "python worker.py --tasks"
    )
    assert sorted(set(commands()) - set(tested)) == []


@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize("command", of_kind("python client.py "))
def test_commands_run(command: str, environment: dict[str, str]) -> None:
    words = [sys.executable, *shlex.split(command)[1:]]
    done = subprocess.run(
        words, env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("command", of_kind("make "))
def test_make_knows_its_targets(command: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", *shlex.split(command)[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", of_kind(".venv/bin/python -m "))
def test_modules_that_are_run_exist(command: str) -> None:
    module = shlex.split(command)[2]
    assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file()


def test_the_session_is_what_one_sees(
    worker_process: StartWorker, settings: Settings, environment: dict[str, str], tmp_path: Path
) -> None:
    worker_process()
    with TaskClient(settings) as client:
        eventually(lambda: [w for w in client.workers() if w.state == "online"], 30, "a worker online")
    environment["XDG_STATE_HOME"] = str(tmp_path)
    screen = recorded([sys.executable, str(ROOT / "client.py")], environment)
    hint = "run python -m tests.support.recording"
    assert masked(session_of(of_page())) == masked(session_of(screen)), hint


def test_a_recording_is_masked_where_runs_differ_and_only_there() -> None:
    one = "yadtq> ADD 2 3\nx3vzt6zx  completed  add 2 3 = 5  (<1 ms, worker1)"
    other = "yadtq t1>  ADD 2 3\nguryx6lr completed  add 2 3 = 5  (12 ms, worker4)"
    assert masked(one) == masked(other)
    assert masked(one) != masked(other.replace("= 5", "= 6"))
    assert re.search("completed add 2 3 = 5", masked(one))
