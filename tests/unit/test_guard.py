"""The guard and the children vanish with the worker, whatever happens to it, and at the deadline."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.pools import await_death, marks

ROOT = Path(__file__).resolve().parents[2]
Start = Callable[[float], "Worker"]


class Worker:
    """A process with a pool whose children are busy. `children`, `guard`: process numbers."""

    def __init__(self, path: Path, live_seconds: float) -> None:
        self.started_at = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.pool_parent", str(path), str(live_seconds)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.guard = int(self.process.stdout.readline())
        self.children = marks(path, 2)

    def read_line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Worker] = []

    def start_one(live_seconds: float) -> Worker:
        started.append(Worker(tmp_path / "marks", live_seconds))
        return started[-1]

    yield start_one
    for worker in started:
        worker.process.kill()
        worker.process.wait()
        assert worker.process.stdout
        worker.process.stdout.close()


def test_a_killed_worker_takes_guard_and_children_with_it(start: Start) -> None:
    worker = start(3600)
    worker.process.kill()
    assert all(await_death(process) for process in [*worker.children, worker.guard])


def test_a_stopped_guard_dies_with_its_worker_too(start: Start) -> None:
    worker = start(3600)
    # Both at once: the worker has no time to notice.
    os.kill(worker.guard, signal.SIGSTOP)
    worker.process.kill()
    assert all(await_death(process) for process in [*worker.children, worker.guard])


def test_children_of_a_stopped_worker_die_at_the_deadline_and_it_can_start_nothing_more(start: Start) -> None:
    worker = start(4)
    worker.process.send_signal(signal.SIGSTOP)
    try:
        assert all(await_death(process, 20) for process in [*worker.children, worker.guard])
        assert time.clock_gettime(time.CLOCK_BOOTTIME) >= worker.started_at + 4
    finally:
        worker.process.send_signal(signal.SIGCONT)
    assert worker.read_line() == "lost: its guard has fired: its deadline passed\n"


def test_a_worker_that_cannot_confirm_loses_its_children(start: Start) -> None:
    worker = start(3)
    assert all(await_death(process, 20) for process in [*worker.children, worker.guard])
    assert "deadline" in worker.read_line()


def test_an_interrupt_of_the_terminal_reaches_neither_guard_nor_children(start: Start) -> None:
    worker = start(3600)
    session = os.getsid(worker.process.pid)
    assert os.getsid(worker.guard) != session
    assert all(os.getsid(child) not in (session, os.getsid(worker.guard)) for child in worker.children)


def test_the_guard_loads_nothing_of_the_project(start: Start) -> None:
    worker = start(3600)
    command = Path(f"/proc/{worker.guard}/cmdline").read_bytes().split(b"\0")
    assert command[1:3] == [b"-I", b"-S"]
    maps = Path(f"/proc/{worker.guard}/maps").read_text()
    assert "hiredis" not in maps
    assert "site-packages" not in maps
