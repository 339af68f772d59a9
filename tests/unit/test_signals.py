"""What stops a program: each signal of a person, and the death of its parent once, however often it is told of it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from _yadtq.signals import ORPHANED_SECONDS, stopped_by_signals
from tests.support.servers import ROOT
from tests.support.waiting import eventually

CHILD = """
import signal, sys, time
from _yadtq.signals import stopped_by_signals
heard = []
with stopped_by_signals(lambda: heard.append(time.monotonic())):
    print('up', flush=True)
    while not heard or time.monotonic() < heard[0] + 0.5:
        time.sleep(0.01)
print(f'heard {len(heard)}', flush=True)
"""
PARENT = """
import signal, sys, threading, time
from pathlib import Path
from local import process
for _ in range(8):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
child = process.spawn(process.Program([sys.executable, '-c', sys.argv[1]], Path(sys.argv[2])))
signal.pause()
"""


def test_each_signal_is_a_request_and_afterwards_all_is_as_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    heard: list[int] = []
    with stopped_by_signals(lambda: heard.append(1)):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
    assert len(heard) == 3
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_end_of_a_parent_is_one_request_and_a_person_is_heard_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    parent, now = [7], [100.0]
    monkeypatch.setattr(os, "getppid", lambda: parent[0])
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    heard: list[int] = []
    with stopped_by_signals(lambda: heard.append(1)):
        os.kill(os.getpid(), signal.SIGTERM)
        parent[0] = 1
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert len(heard) == 1
        now[0] += ORPHANED_SECONDS
        os.kill(os.getpid(), signal.SIGTERM)
    assert len(heard) == 2


def test_a_parent_with_many_threads_that_is_killed_stops_its_child_once(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD, str(log)], cwd=ROOT)
    eventually(lambda: log.exists() and "up" in log.read_text(encoding="ascii"), what="the child")
    parent.kill()
    parent.wait()
    eventually(lambda: "heard" in log.read_text(encoding="ascii"), what="the end of the child")
    assert "heard 1\n" in log.read_text(encoding="ascii")
