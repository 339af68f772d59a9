"""start.py: the whole queue of a machine from one command, and nothing of it left behind."""

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import process, redis_server
from local.kafka_jars import kafka_jars
from local.ports import free_port
from tests.support.marked import MARK, processes_marked
from tests.support.programs import RunningProgram
from tests.support.servers import JARS, ROOT
from tests.support.terminal import Terminal
from tests.support.waiting import eventually

RUN_SECONDS = 90.0


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

    def make(self, target: str, lines: str = "", *variables: str) -> subprocess.CompletedProcess[str]:
        """The same by make."""
        return self.command(["make", target, "WORKERS=1", *variables, f"ARGS={' '.join(self.options)}"], lines, {})

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
        return processes_marked(self.mark)

    def process(self, name: str) -> int:
        """The process of one of the programs that a run has started."""
        pid = process.running(self.home / "run" / f"{name}.pid")
        assert pid is not None, f"{name} does not run"
        return pid

    def workers(self) -> list[int]:
        """The processes of the workers that its manager knows."""
        files = sorted((self.home / "logs" / "manager").glob("worker*.pid"))
        return [pid for pid in map(process.running, files) if pid is not None]

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
    said = re.findall(r"stopping (?:the )?(\w+)", first.stderr)
    assert said == ["workers", "logger", "server", "Kafka", "Redis"]
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
    assert len(machine.left()) >= 8  # itself, Redis, Kafka, server, logger, manager, two workers, and what these start
    program.kill()
    eventually(lambda: not machine.left(), 40, "the end of all that it started")
    machine.stop()
    assert list((machine.home / "run").glob("*.pid")) == []


def test_make_down_stops_what_a_killed_run_left(machine: Machine) -> None:
    program = machine.background("--workers", "1")
    redis_pid = machine.process("redis")
    os.kill(redis_pid, signal.SIGSTOP)  # it gets no SIGTERM when its parent dies
    program.kill()
    eventually(lambda: len(machine.left()) == 1, 40, "the end of all but Redis")
    os.kill(redis_pid, signal.SIGCONT)
    machine.stop()
    assert machine.left() == []


def test_a_program_that_dies_is_started_again(machine: Machine) -> None:
    program = machine.background("--workers", "1")
    before = {name: machine.process(name) for name in ("server", "logger", "manager")}
    (worker,) = machine.workers()
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    files = {machine.home / "run" / f"{name}.pid": pid for name, pid in before.items()}
    eventually(lambda: all(process.running(file) not in (None, old) for file, old in files.items()), 20, "new ones")
    eventually(lambda: machine.workers() not in ([], [worker]), 40, "a worker of the new manager")
    said = (machine.home / "logs" / "start.log").read_text(encoding="utf-8")
    assert said.count("was ended by SIGKILL and is started again") == 3
    assert program.terminate(RUN_SECONDS) == 0


def test_make_down_stops_a_worker_that_has_lost_its_manager(machine: Machine) -> None:
    program = machine.background("--workers", "1")
    (worker,) = machine.workers()
    os.kill(worker, signal.SIGSTOP)
    program.kill()
    eventually(lambda: process.running(machine.home / "run" / "kafka.pid") is None, 40, "the end of Kafka")
    os.kill(worker, signal.SIGCONT)
    machine.stop()
    assert machine.left() == []


def test_more_workers_come_when_tasks_wait(machine: Machine) -> None:
    program = machine.background("--workers", "0", "--max", "1")
    assert "workers: 0 to 1, " in program.output
    assert machine.workers() == []
    kafka = {"KAFKA_BROKER": f"localhost:{machine.kafka_port}"}
    done = machine.command([sys.executable, "client.py", "ADD", "2", "3"], "", kafka)
    assert "5" in done.stdout.split(), done.stderr
    assert len(machine.workers()) == 1
    log = (machine.home / "logs" / "manager.log").read_text(encoding="utf-8")
    assert "from 0 to 1 workers: 1 task waits" in log
    assert program.terminate(RUN_SECONDS) == 0


def test_the_page_and_the_metrics_are_there_when_make_is_asked_for_them(machine: Machine) -> None:
    program = machine.background("--workers", "1", "--web")
    said = program.output
    metrics = re.search(r"metrics at (http://127\.0\.0\.1:\d+/metrics)", said)
    page = re.search(r"page at (http://127\.0\.0\.1:\d+)", said)
    assert metrics
    assert page
    assert "yadtq_" in eventually(lambda: fetched(metrics[1]), what="metrics")
    assert "<html" in eventually(lambda: fetched(page[1]), what="the page")
    eventually(lambda: (machine.home / "logs" / "audit.jsonl").stat().st_size, what="the audit trail")
    assert (machine.home / "logs" / "server.log").exists()
    assert program.terminate(RUN_SECONDS) == 0


@pytest.mark.parametrize(
    ("variables", "flags"),
    [((), ""), (("MAX=8",), "--max 8 "), (("WEB=1",), "--web "), (("WEB=0", "MAX="), "")],
)
def test_make_hands_its_variables_on(variables: tuple[str, ...], flags: str) -> None:
    shown = subprocess.run(
        ["make", "-n", "up", *variables], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    command = next(line for line in shown.splitlines() if "start.py" in line)
    assert " ".join(command.split()).endswith(f"start.py --workers 4 {flags}".strip())


def fetched(address: str) -> str:
    """What an address answers; AssertionError while nobody does."""
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return str(answer.read().decode())
    except OSError as error:
        raise AssertionError(error) from error


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


@pytest.mark.parametrize(
    "arguments", [("--workers", "65"), ("--workers", "x"), ("--max", "65"), ("--kafka-port", "0"), ("surplus",)]
)
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
