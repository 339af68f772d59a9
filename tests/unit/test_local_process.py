"""Processes of this machine: they end when they are told to, die with their parent, and are never confused."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import process
from local.process import Program
from tests.support.servers import ROOT
from tests.support.waiting import eventually

SLEEPER = "import signal; print('up', flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"


class Starter:
    """Starts Python programs in a folder, and waits until each says that it is up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []

    def __call__(self, code: str, name: str = "some", **environment: str) -> subprocess.Popen[bytes]:
        log = self.folder / f"{name}.log"
        command = [sys.executable, "-c", code]
        child = process.spawn(Program(command, log, self.pid_file(name), environment, self.folder))
        self.started.append(child)
        eventually(lambda: "up" in log.read_text(encoding="utf-8"), what=f"{name} up")
        return child

    def pid_file(self, name: str = "some") -> Path:
        return self.folder / "run" / f"{name}.pid"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    starter = Starter(tmp_path)
    yield starter
    for child in starter.started:
        if child.poll() is None:
            child.kill()
        child.wait()


def test_a_program_has_its_log_its_folder_its_environment_and_a_session_of_its_own(start: Starter) -> None:
    child = start("import os; print(os.getcwd(), os.environ['X'], os.getsid(0) == os.getpid(), 'up')", X="y")
    assert child.wait(10) == 0
    assert (start.folder / "some.log").read_text(encoding="utf-8").split() == [str(start.folder), "y", "True", "up"]


def test_stop_ends_by_sigterm(start: Starter) -> None:
    child = start(SLEEPER)
    assert process.stop(child, 10)
    assert child.returncode == -signal.SIGTERM


def test_stop_kills_what_does_not_end_with_all_that_it_started(start: Starter) -> None:
    code = f"import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', '']); c.wait(); {STUBBORN}"
    forked = code.replace("c.wait()", "print('child', c.pid)").replace("''", repr(STUBBORN))
    child = start(forked)
    log = start.folder / "some.log"
    eventually(lambda: log.read_text(encoding="utf-8").count("up") == 2, what="both up")
    grandchild = int(log.read_text(encoding="utf-8").partition("child ")[2].split()[0])
    assert not process.stop(child, 0.1)
    assert child.returncode == -signal.SIGKILL
    eventually(lambda: process.start_time(grandchild) is None, what="the end of the whole group")


def test_a_pid_file_names_a_process_while_it_lives(start: Starter) -> None:
    child = start(SLEEPER)
    assert process.running(start.pid_file()) == child.pid
    child.kill()
    child.wait()
    assert process.running(start.pid_file()) is None


@pytest.mark.parametrize("change", [{"started": 1}, {"boot": "another"}, {"started": None}, {"pid": "x"}])
def test_a_pid_file_of_another_process_is_not_believed(start: Starter, change: dict[str, object]) -> None:
    child = start(SLEEPER)
    noted = json.loads(start.pid_file().read_text(encoding="ascii"))
    start.pid_file().write_text(json.dumps(noted | change), encoding="ascii")
    assert process.stop_noted([start.pid_file()], 1) == 0
    assert child.poll() is None
    assert not start.pid_file().exists()


@pytest.mark.parametrize("text", ["", "{}", "[]", "12", "\x00"])
def test_a_damaged_pid_file_names_nobody(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.pid"
    path.write_text(text, encoding="ascii")
    assert process.running(path) is None
    assert process.running(tmp_path / "none.pid") is None


def test_noted_processes_are_stopped_together(start: Starter) -> None:
    children = [start(SLEEPER, f"p{i}") for i in range(3)]
    files = [start.pid_file(f"p{i}") for i in range(3)]
    assert process.stop_noted(files, 10) == 3
    assert [child.wait(10) for child in children] == [-signal.SIGTERM] * 3
    assert not any(file.exists() for file in files)


def test_a_noted_process_that_does_not_end_is_killed(start: Starter) -> None:
    child = start(STUBBORN)
    assert process.stop_noted([start.pid_file()], 0.1) == 1
    assert child.wait(10) == -signal.SIGKILL


def test_a_noted_process_that_leads_no_group_is_killed_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        process.write_pid_file(tmp_path / "x.pid", child.pid)
        assert os.getpgid(child.pid) == os.getpgrp()
        assert process.stop_noted([tmp_path / "x.pid"], 0.1) == 1
        assert child.wait(10) == -signal.SIGKILL


def test_a_tethered_program_ends_when_its_parent_is_killed(start: Starter) -> None:
    code = (
        "import sys, signal; from pathlib import Path; from local import process\n"
        f"child = process.spawn(process.Program([sys.executable, '-c', {SLEEPER!r}], Path('child.log')))\n"
        "print(child.pid, 'up', flush=True)\n"
        "signal.pause()"
    )
    parent = start(code, PYTHONPATH=str(ROOT))
    pid = int((start.folder / "some.log").read_text(encoding="utf-8").split()[0])
    eventually(lambda: (start.folder / "child.log").read_text(encoding="utf-8"), what="the child up")
    assert process.start_time(pid) is not None
    parent.kill()
    eventually(lambda: process.start_time(pid) is None, what="the end of the child")


def test_a_tether_whose_parent_is_gone_already_starts_nothing(tmp_path: Path) -> None:
    gone = [*process.tether()[:-1], "1"]
    done = subprocess.run([*gone, "touch", str(tmp_path / "ran")], check=False)
    assert done.returncode == 128 + signal.SIGTERM
    assert not (tmp_path / "ran").exists()


def test_a_large_log_is_moved_away_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "x.log"
    monkeypatch.setattr(process, "LOG_BYTES", 10)
    process.bound_log(log)
    with log.open("ab", buffering=0) as writer:
        writer.write(b"short")
        process.bound_log(log)
        assert log.read_bytes() == b"short"
        writer.write(b"-longer")
        process.bound_log(log)
        writer.write(b"next")
    assert log.read_bytes() == b"next"
    assert (tmp_path / "x.log.1").read_bytes() == b"short-longer"
