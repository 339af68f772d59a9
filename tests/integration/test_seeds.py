"""docs/seeds.md, line by line: what it says works is run, or looked up where it is a name."""

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import kafka
import pytest
import redis

import tasks
import yadtq
from _yadtq.settings import Settings
from local.ports import free_port
from tests.conftest import StartWorker
from tests.support.pages import VERDICTS, Promise, promises
from tests.support.programs import RunningProgram
from tests.support.servers import JARS, ROOT
from tests.support.waiting import eventually
from yadtq import TaskClient

RUN = ("command", "shell", "worker", "start", "containers", "message", "printed")
LOOKED_UP = ("setting", "task", "status", "field", "library", "path")


def each(checked: str) -> list[Promise]:
    """What is checked in one way, each once."""
    return list({promise.what: promise for promise in promises(checked)}.values())


def run(arguments: str, environment: Mapping[str, str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Runs `python …` as a person types it, in the checkout."""
    program, *words = shlex.split(arguments)
    assert program == "python"
    return subprocess.run(
        [sys.executable, *words], input=text, env={**environment, "PATH": ""}, cwd=ROOT, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


def test_every_line_has_a_verdict_and_what_takes_its_place() -> None:
    assert {promise.seed for promise in promises()} == {"000", "001", "002", "003", "004"}
    for promise in promises():
        assert promise.verdict in VERDICTS, promise
        assert promise.checked in ("", *RUN, *LOOKED_UP), promise
        assert promise.here or promise.verdict == "works", promise
        assert promise.what or not promise.checked, promise


@pytest.fixture
def worker(worker_process: StartWorker, settings: Settings) -> None:
    worker_process()
    with TaskClient(settings) as client:
        eventually(lambda: [w for w in client.workers() if w.state == "online"], 30, "a worker online")


@pytest.mark.usefixtures("worker")
def test_commands_run_as_they_are_written(environment: dict[str, str]) -> None:
    given = run('python client.py --submit add "[1,2,3]"', environment)
    task_id = given.stdout.strip()
    assert run(f"python client.py wait {task_id}", environment).returncode == 0
    for promise in promises("command"):
        done = run(promise.what.replace("<task_id>", task_id), environment)
        assert done.returncode == 0, f"{promise.what}\n{done.stderr}"
        assert done.stdout.strip(), promise.what
    shown = run(f"python client.py --query {task_id}", environment).stdout
    assert shown == f"Task ID: {task_id}\nStatus: success\nResult: 6\n"


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("promise", each("printed"), ids=str)
def test_the_monitor_prints_lines_of_that_form(promise: Promise, environment: dict[str, str]) -> None:
    printed = run("python monitor.py", environment).stdout
    form = re.sub(r"\d+", r"\\d+", re.escape(promise.what).replace("worker1", r"[^ ]+", 1))
    assert re.search(f"^{form}", printed, re.MULTILINE), printed


@pytest.mark.usefixtures("worker")
def test_the_shell_understands_what_is_typed(environment: dict[str, str]) -> None:
    typed = [promise.what for promise in promises("shell")]
    lines = [line for line in typed if not line.startswith("python") and line != "Exit"]
    done = run(
        "python client.py", environment, "\n".join(["ADD 2 3", "SUB 5 2", "MUL 4 5", "Wait", *lines, "Exit", "ADD x"])
    )
    assert done.returncode == 0, done.stderr
    assert {"ADD 2 3", "SUB 5 2", "MUL 4 5", "Show-Tasks", "View _", "Workers"} <= set(lines)
    for result in ("5", "3", "20"):
        assert re.search(rf"completed +{result}\b", done.stdout), done.stdout


@pytest.mark.parametrize("promise", each("worker"), ids=str)
def test_a_worker_starts(promise: Promise, environment: dict[str, str], tmp_path: Path) -> None:
    program = RunningProgram(shlex.split(promise.what)[1:], tmp_path / "worker.log", environment)
    try:
        program.prints("action=join")
    finally:
        assert program.terminate() == 0


@pytest.mark.parametrize("promise", each("start"), ids=str)
def test_everything_starts_on_this_machine(promise: Promise, namespace: str, tmp_path: Path) -> None:
    (tmp_path / "jars").symlink_to(JARS)
    command = f"{promise.what} --home {tmp_path} --kafka-port {free_port()}"
    environment = {"REDIS_PORT": str(free_port()), "YADTQ_NAMESPACE": namespace}
    done = run(command, environment, "ADD 2 3\nShow-Tasks\nExit\n")
    assert done.returncode == 0, done.stderr
    assert re.search(r"add 2 3 +completed +5", done.stdout)


@pytest.mark.parametrize("promise", each("containers"), ids=str)
def test_container_commands_are_part_of_the_container_test(promise: Promise) -> None:
    tested = "".join(
        (ROOT / "tests" / path).read_text(encoding="utf-8")
        for path in ("e2e/test_containers.py", "support/containers.py")
    )
    words = set(shlex.split(promise.what)) & {
        "up",
        "down",
        "exec",
        "--scale",
        "--build",
        "-it",
        "client.py",
        "yadtq.py",
    }
    assert words
    assert not {word for word in words if f'"{word}"' not in tested}


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("promise", each("message"), ids=str)
def test_a_message_of_a_plain_producer_runs(promise: Promise, settings: Settings) -> None:
    with TaskClient(settings) as client:
        client.counts()
        producer = kafka.KafkaProducer(bootstrap_servers=settings.kafka_broker)
        producer.send(f"{settings.namespace}_tasks", promise.what.encode())
        producer.close(timeout=10)
        eventually(client.list, 20, "the message was read")
        assert client.wait_for_result("d5750c0e-ed82", 20).result == 3


@pytest.mark.usefixtures("worker")
def test_fields_are_called_so_in_redis(settings: Settings) -> None:
    with TaskClient(settings) as client:
        task_id = client.submit("add", 1, 2)
        client.wait_for_result(task_id, 20)
    with redis.Redis(settings.redis_host, settings.redis_port, decode_responses=True) as connection:
        record = connection.hgetall(f"{{{settings.namespace}}}:0:task:{task_id}")
    assert (record["status"], record["result"]) == ("success", "3")
    for promise in promises("field"):
        assert record[promise.what]


@pytest.mark.parametrize("promise", each("setting"), ids=str)
def test_settings_exist(promise: Promise) -> None:
    assert promise.what in {variable for setting in yadtq.SETTINGS for variable in setting.variables}


@pytest.mark.parametrize("promise", each("task"), ids=str)
def test_tasks_exist(promise: Promise) -> None:
    assert tasks.__name__ == "tasks"
    assert promise.what in {signature.name for signature in yadtq.registered_tasks()}


@pytest.mark.parametrize("promise", each("status"), ids=str)
def test_statuses_exist(promise: Promise) -> None:
    assert promise.what in {*yadtq.STATUSES, *yadtq.SHOWN.values()}


@pytest.mark.parametrize("promise", each("path"), ids=str)
def test_files_exist(promise: Promise) -> None:
    assert (ROOT / promise.what).is_file()


@pytest.mark.parametrize("promise", each("library"), ids=str)
def test_the_library_has_it(promise: Promise) -> None:
    found: object = yadtq
    for name in re.split(r"\(", promise.what)[0].split("."):
        found = getattr(found, name)
    assert callable(found)
