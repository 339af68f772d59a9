"""client.py as a program, against real servers and a real worker: one command, the first READMEs' forms, a pipe."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from _yadtq.settings import Settings
from tests.conftest import StartWorker
from tests.support.waiting import eventually
from yadtq import TaskClient

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60


class Program:
    """Runs client.py; keeps what it wrote."""

    def __init__(self, environment: dict[str, str], home: Path) -> None:
        # Nothing of the person who runs the tests gets in: neither settings nor history.
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8", **environment}
        self.out = self.err = ""

    def __call__(self, *arguments: str, pipe: str = "") -> int:
        process = subprocess.run(
            [sys.executable, "client.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            input=pipe,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        self.out, self.err = process.stdout, process.stderr
        return process.returncode

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "client.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def program(environment: dict[str, str], tmp_path: Path) -> Program:
    return Program(environment, tmp_path)


@pytest.fixture
def client(settings: Settings) -> Any:
    with TaskClient(settings) as opened:
        yield opened


@pytest.fixture
def online(worker_process: StartWorker, client: TaskClient) -> Callable[..., None]:
    """Starts a worker and waits until it is online."""

    def start(*arguments: str, **given: object) -> None:
        worker_process(*arguments, **given)
        eventually(lambda: [worker for worker in client.workers() if worker.state == "online"], 30, "a worker online")

    return start


def test_one_command_waits_for_its_result(program: Program, online: Callable[..., None]) -> None:
    online()
    for arguments, result in (
        (("ADD", "2", "3"), "5"),
        (("SUB", "5", "2"), "3"),
        (("mul", "4", "5"), "20"),
        (("Div", "6", "3"), "2"),
        (("ADD", "0.1", "0.2"), "0.3"),
        (("ADD", "1" + "0" * 60, "1"), "1" + "0" * 59 + "1"),
        (("ADD", "[1,2,3]"), "6"),
    ):
        assert program(*arguments) == 0, program.err
        assert (program.out, program.err) == (f"{result}\n", "")
    assert program("DIV", "1", "0") == 1
    assert (program.out, program.err) == ("", "failed: ZeroDivisionError: division by zero\n")


def test_the_forms_of_the_first_readmes(program: Program, online: Callable[..., None], client: TaskClient) -> None:
    assert program("--submit", "add", "[1,2,3]") == 0
    task_id = program.out.strip()
    assert program.out == f"{task_id}\n"
    assert program("--query", task_id) == 0
    assert program.out == f"Task ID: {task_id}\nStatus: queued\nResult: None\n"
    online()
    client.wait_for_result(task_id, SECONDS)
    assert program("--query", task_id) == 0
    assert program.out == f"Task ID: {task_id}\nStatus: success\nResult: 6\n"
    failed = client.submit("div", 1, 0)
    client.wait_for_result(failed, SECONDS)
    assert program("--query", failed[:8]) == 0
    assert program.out.splitlines()[1:] == ["Status: failed", "Result: ZeroDivisionError: division by zero"]
    assert program("show-tasks", "--json") == 0
    assert [task["status"] for task in json.loads(program.out)] == ["failed", "success"]


def test_a_pipe_waits_for_its_own_tasks_before_it_reads(program: Program, online: Callable[..., None]) -> None:
    online()
    assert program(pipe="ADD 2 3\nMUL 4 5\nShow-Tasks\nExit\n") == 0
    first, second, titles, _, *rows = program.out.splitlines()
    assert titles.split()[:4] == ["id", "task", "state", "result"]
    assert [re.split(r"  +", row)[:4] for row in rows] == [
        [second[:8], "mul 4 5", "completed", "20"],
        [first[:8], "add 2 3", "completed", "5"],
    ]


def test_a_failed_task_is_retried_with_its_history(program: Program, online: Callable[..., None]) -> None:
    online()
    assert program("--json", pipe="DIV 1 0\nRetry _\nView _\nRetry _\nWait\n") == 1
    _, retried, viewed, _, waited = (json.loads(line) for line in program.out.splitlines())
    assert retried["status"] in ("queued", "processing", "failed")
    assert [attempt["outcome"] for attempt in viewed["attempts"]] == ["failed", "failed"]
    assert waited["attempt"] == 3


def test_reset_removes_everything(program: Program, client: TaskClient) -> None:
    client.submit("add", 1)
    assert program("reset") == 2
    assert "Reset --yes" in program.err
    assert program("reset", "--yes") == 0
    assert program.out == "removed 1 task\n"
    assert sum(client.counts().values()) == 0


def test_ctrl_c_stops_waiting_and_cancels_nothing(
    program: Program, online: Callable[..., None], client: TaskClient, settings: Settings
) -> None:
    online()
    connection = redis.Redis(settings.redis_host, settings.redis_port)
    with connection, program.start("sleep", "3") as process:
        task = eventually(lambda: client.list("processing"), 30, "the task running")[0]
        record = f"{{{settings.namespace}}}:0:task:{task.id}"
        eventually(lambda: connection.hexists(record, "waiters"), 30, "the program waiting for it")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (130, "")
    assert err == f"stopped waiting; {task.id} goes on (nothing was cancelled)\n"
    assert client.wait_for_result(task.id, SECONDS).status == "success"


@pytest.mark.parametrize("variable", ["KAFKA_BROKER", "REDIS_PORT"])
def test_a_server_that_is_away_is_said_in_one_line(program: Program, variable: str) -> None:
    program.environment[variable] = "127.0.0.1:1" if variable == "KAFKA_BROKER" else "1"
    assert program("ADD", "2", "3") == 3
    assert program.out == ""
    assert program.err.count("\n") == 1
    assert variable in program.err
    assert program(pipe="ADD 2 3\nHelp view\n") == 3
    assert "View <id>" in program.out


def test_what_comes_from_outside_is_shown_harmless(
    program: Program, online: Callable[..., None], client: TaskClient
) -> None:
    online()
    text = "\x1b[2Jred\u202e\n\x9b"
    packed = client.wait_for_result(client.submit("compress", text), SECONDS).result
    assert program("decompress", packed) == 0
    assert program.out == "\\x1b[2Jred\\u202e\\n\\x9b\n"
    assert program("show-tasks") == 0
    assert program("view", client.list()[0].id) == 0
    assert all(char.isprintable() or char == "\n" for char in program.out)
    assert program("--json", "decompress", packed) == 0
    assert json.loads(program.out)["result"] == text


def test_a_message_over_the_limit_is_refused_before_it_is_written(program: Program, client: TaskClient) -> None:
    assert program(pipe=f"compress {'x' * 1_000_001}\n") == 2
    assert "more than 1,000,000" in program.err
    assert program.err.count("\n") == 1
    assert sum(client.counts().values()) == 0


def test_the_tasks_of_the_workers_are_the_ones_that_are_known(
    program: Program, online: Callable[..., None], environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "painting.py").write_text(
        "from yadtq import task\n\n@task\ndef paint(colour: str, *, coats: int = 1) -> str:\n"
        '    """Paints."""\n    return colour * coats\n'
    )
    environment["PYTHONPATH"] = str(tmp_path)
    online("--tasks", "painting")
    assert program("PAINT", "red", "coats=2") == 0
    assert program.out == "redred\n"
    assert program("PAIMT", "red") == 2
    assert "did you mean paint?" in program.err
    assert program("PAINT", "red", "coats=many") == 2
    assert "coats of paint must be a whole number, not the text 'many'" in program.err
    assert program("help", "paint") == 0
    assert "paint <colour> [coats=…]" in program.out
