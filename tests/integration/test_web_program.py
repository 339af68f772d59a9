"""monitor.py --web as a process: where it listens, how it ends. No server is needed for that."""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.ports import free_port
from tests.support.servers import ROOT
from tests.support.web_pages import Monitor

NOWHERE = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1", "KAFKA_BROKER": "127.0.0.1:1"}


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    started = Monitor(tmp_path / "monitor.log", NOWHERE)
    started.start()
    yield started
    if started.program and started.program.process.poll() is None:
        started.program.kill()


def test_it_ends_when_it_is_told_also_with_open_streams(monitor: Monitor) -> None:
    with urllib.request.urlopen(f"{monitor.address}/live/overview", timeout=10) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert stream.readline().startswith(b"retry")
        assert monitor.stop() == 0
    assert monitor.program is not None
    assert monitor.program.output.splitlines()[-1].endswith("the monitor has ended")
    assert "Traceback" not in monitor.program.output


def test_it_answers_without_any_server(monitor: Monitor) -> None:
    with urllib.request.urlopen(f"{monitor.address}/healthz", timeout=10) as answer:
        assert json.load(answer) == {"status": "ok", "picture": "old"}
    with urllib.request.urlopen(monitor.address, timeout=30) as answer:
        assert b"Nothing is known of the queue yet" in answer.read()


def test_it_listens_on_this_machine_only(monitor: Monitor) -> None:
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.2", monitor.port), timeout=2):
        pass
    assert monitor.program is not None
    assert "WARNING" not in monitor.program.output


def test_a_port_that_is_taken_is_said_in_one_line(monitor: Monitor) -> None:
    done = subprocess.run(
        [sys.executable, "monitor.py", "--web", "--port", str(monitor.port)],
        cwd=ROOT,
        env={**os.environ, **NOWHERE},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"cannot listen on 127.0.0.1 port {monitor.port}: Address already in use: try another" in line


def test_listening_elsewhere_is_warned_of_in_one_line(tmp_path: Path) -> None:
    monitor = Monitor(tmp_path / "monitor.log", NOWHERE, free_port(), ("--host", "127.0.0.2"))
    monitor.start()
    assert monitor.stop() == 0
    assert monitor.program is not None
    (warning,) = [line for line in monitor.program.output.splitlines() if "WARNING" in line]
    assert "it listens on 127.0.0.2, in clear text" in warning
