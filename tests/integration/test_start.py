"""start.py: the whole queue of a machine from one command, and nothing of it left behind."""

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import process, redis_server
from local.kafka_jars import kafka_jars
from local.ports import free_port
from tests.support.programs import RunningProgram
from tests.support.servers import JARS, ROOT
from tests.support.terminal import Terminal
from tests.support.waiting import eventually

RUN_SECONDS = 90.0
MARK = "YADTQ_TEST_MARK"


class Machine:
    """A folder and ports for runs of start.py that disturb nobody. Every process that a run starts has its mark."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.mark = secrets.token_hex(8)
        self.kafka_port, self.redis_port = free_port(), free_port()
        self.environment = {MARK: self.mark, "REDIS_PORT": str(self.redis_port)}
        self.options = ["--home", str(home), "--kafka-port", str(self.kafka_port)]
        self.arguments = ["start.py", *self.options]
        home.mkdir()
        (home / "jars").symlink_to(kafka_jars(JARS).parent)

    def run(self, lines: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A whole run, with these lines for the shell."""
        return self.command([sys.executable, *self.arguments, *arguments], lines, environment)

    def make(self, target: str, lines: str = "") -> subprocess.CompletedProcess[str]:
        """The same by make."""
        return self.command(["make", target, "WORKERS=1", f"ARGS={' '.join(self.options)}"], lines, {})

    def command(self, words: list[str], lines: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            input=lines,
            cwd=ROOT,
            env={**os.environ, **self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )

    def background(self, *arguments: str) -> RunningProgram:
        """A run without a shell, once it is ready."""
        program = RunningProgram([*self.arguments, "--no-shell", *arguments], self.home / "start.log", self.environment)
        program.prints("ready after", RUN_SECONDS)
        return program

    def left(self) -> list[str]:
        """The processes of its runs that live, their children included."""
        return [words for pid in os.listdir("/proc") if pid.isdigit() and (words := self._ours(int(pid)))]

    def _ours(self, pid: int) -> str:
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return ""
        return f"{pid} {words!r}" if f"{MARK}={self.mark}".encode() in environment.split(b"\0") else ""

    def stop(self) -> str:
        """What `make down` says."""
        return self.run("", "--stop").stderr


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "home")
    yield made
    made.stop()
    assert made.left() == []


def test_a_pipe_gets_results_that_the_next_run_still_has(machine: Machine) -> None:
    first = machine.run("ADD 2 3\nMUL 4 5\nShow-Tasks\nsleep 1\nExit\n", "--workers", "2")
    assert first.returncode == 0, first.stderr
    assert re.search(r"add 2 3 +completed +5\b", first.stdout)
    assert re.search(r"mul 4 5 +completed +20\b", first.stdout)
    said = [line for line in first.stderr.splitlines() if "stopping" in line]
    assert [line.split()[-1] for line in said if "workers" not in line] == ["Kafka", "Redis"]
    assert "workers" in said[0]
    assert machine.left() == []

    second = machine.run("Show-Tasks\nExit\n", "--workers", "1")
    assert re.search(r"mul 4 5 +completed +20\b", second.stdout), second.stderr
    assert re.search(r"sleep 1 +completed\b", second.stdout)  # the shell did not wait for it, but its worker did
    assert machine.left() == []


def test_make_hands_the_pipe_through_and_says_nothing_itself(machine: Machine) -> None:
    done = machine.make("up", "ADD 2 3\nShow-Tasks\nExit\n")
    assert done.returncode == 0, done.stderr
    assert re.search(r"add 2 3 +completed +5\b", done.stdout)
    assert "start.py" not in done.stdout + done.stderr
    assert machine.make("down").stderr == "yadtq: nothing was running\n"


def test_a_port_in_use_is_one_line_and_nothing_else_stays(machine: Machine) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", machine.kafka_port))
        other.listen()
        done = machine.run("Exit\n")
    assert done.returncode == 3
    assert re.search(
        rf"^yadtq: port {machine.kafka_port}, which Kafka needs, is in use: .*KAFKA_BROKER", done.stderr, re.M
    )
    assert "Traceback" not in done.stderr
    assert machine.left() == []


def test_a_kafka_that_does_not_start_is_said_with_its_log(machine: Machine) -> None:
    data = machine.home / "data" / "kafka" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("version=99\n", encoding="ascii")
    done = machine.run("Exit\n")
    assert done.returncode == 3
    assert f"Kafka ended while it started: read its log (log: {machine.home / 'logs' / 'kafka.log'})" in done.stderr
    assert machine.left() == []


def test_a_worker_that_does_not_start_is_said_with_its_last_words(machine: Machine) -> None:
    done = machine.run("Exit\n", YADTQ_TASKS="no_such_module")
    assert done.returncode == 3
    assert re.search(
        r"^yadtq: worker\d ended while it started: .*no_such_module.*\(log: .*worker\d\.log\)$", done.stderr, re.M
    )
    assert machine.left() == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_stops_everything(machine: Machine, number: signal.Signals, code: int) -> None:
    program = machine.background("--workers", "1")
    program.process.send_signal(number)
    assert program.process.wait(RUN_SECONDS) == code
    assert machine.left() == []
    assert machine.stop() == "yadtq: nothing was running\n"


def test_a_run_is_alone_and_make_down_stops_it(machine: Machine) -> None:
    program = machine.background("--workers", "1")
    second = machine.run("Exit\n")
    assert second.returncode == 3
    assert f"process {program.process.pid} runs this queue already" in second.stderr
    assert machine.stop().endswith("yadtq: stopped; tasks and results are kept\n")
    assert program.process.wait(10) == 0
    assert machine.left() == []


def test_what_a_killed_run_started_ends_by_itself(machine: Machine) -> None:
    program = machine.background("--workers", "2")
    assert len(machine.left()) >= 5  # itself, Redis, Kafka, two workers, and what these start
    program.kill()
    eventually(lambda: not machine.left(), 40, "the end of all that it started")
    machine.stop()
    assert list((machine.home / "run").glob("*.pid")) == []


def test_make_down_stops_what_a_killed_run_left(machine: Machine) -> None:
    program = machine.background("--workers", "1")
    redis_pid = process.running(machine.home / "run" / "redis.pid")
    assert redis_pid is not None
    os.kill(redis_pid, signal.SIGSTOP)  # it gets no SIGTERM when its parent dies
    program.kill()
    eventually(lambda: len(machine.left()) == 1, 40, "the end of all but Redis")
    os.kill(redis_pid, signal.SIGCONT)
    machine.stop()
    assert machine.left() == []


def test_servers_that_run_already_are_used_and_left_alone(
    machine: Machine, environment: dict[str, str], redis_address: tuple[str, int]
) -> None:
    done = machine.run("ADD 2 3\nShow-Tasks\nExit\n", "--workers", "1", **environment)
    assert done.returncode == 0, done.stderr
    assert re.search(r"add 2 3 +completed +5\b", done.stdout)
    assert not (machine.home / "data").exists()
    assert redis_server.answers(*redis_address)


def test_servers_that_do_not_answer_are_said(machine: Machine) -> None:
    done = machine.run("Exit\n", KAFKA_BROKER=f"localhost:{machine.kafka_port}")
    assert done.returncode == 3
    assert re.search(rf"^yadtq: .*localhost:{machine.kafka_port}", done.stderr, re.M)
    assert machine.left() == []


@pytest.mark.parametrize("arguments", [("--workers", "65"), ("--workers", "x"), ("--kafka-port", "0"), ("surplus",)])
def test_wrong_use_is_said(machine: Machine, arguments: tuple[str, ...]) -> None:
    done = machine.run("", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: start.py")


def test_a_wrong_setting_is_said(machine: Machine) -> None:
    done = machine.run("", WORKER_TIMEOUT="soon")
    assert done.returncode == 2
    assert re.fullmatch(r"yadtq: WORKER_TIMEOUT: 'soon' cannot be used: .*\n", done.stderr)


def test_in_a_terminal_ctrl_c_reaches_the_shell_alone(machine: Machine) -> None:
    variables = [f"{name}={value}" for name, value in machine.environment.items()]
    command = ["env", "-C", str(ROOT), *variables, sys.executable, *machine.arguments, "--workers", "1"]
    terminal = Terminal(*command)
    terminal.see(r"✓ starting 1 worker")
    terminal.see(r"^yadtq>")
    terminal.type("ADD 2 3")
    terminal.see(r"add 2 3 = 5")
    terminal.type("half a line\x03")
    terminal.type("MUL 4 5")
    terminal.see(r"mul 4 5 = 20")
    terminal.type("Exit")
    terminal.see(r"✓ stopping Redis")
    assert terminal.close() == 0
