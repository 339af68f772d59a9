"""docker-compose.yml as a person uses it: real containers, the commands of the README, a real terminal.

The stack runs under a name, volumes and host ports of its own. It is removed at the end, whatever happened.
"""

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import containers
from tests.support.containers import CLIENT, Stack, execute, inspect, log_lines
from tests.support.terminal import Terminal
from tests.support.waiting import eventually
from yadtq import SETTINGS, Call, Settings, Task, TaskClient, Worker, YadtqError

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

WORKERS = 3
OPERATORS = ("server", "logger", "monitor")
SERVICES = ("kafka", "redis", "worker", "client", *OPERATORS)
LOGS = "/var/log/yadtq"
# One slot each, so that a few slow tasks fill every worker; a dead worker is noticed after 4 s.
IN_CONTAINERS = {"WORKER_CONCURRENCY": "1", "WORKER_TIMEOUT": "4"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Everything, with three workers, built and started as the README says."""
    missing = containers.missing_engine()
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    containers.refuse_to_disturb()
    running = Stack(IN_CONTAINERS)
    try:
        running.up("--build", "--scale", f"worker={WORKERS}")
        yield running
    finally:
        running.remove()


@pytest.fixture
def client(stack: Stack) -> Iterator[TaskClient]:
    """A program on this machine that uses the published ports. All three workers are there and idle."""
    stack.up("--no-build", "--scale", f"worker={WORKERS}")
    hosts = stack.containers("worker")
    with host_program(stack) as program:
        eventually(lambda: idle_in(program, hosts), 60, "all workers online and idle")
        yield program


def host_program(stack: Stack) -> TaskClient:
    return TaskClient(
        Settings.load(
            {},
            kafka_broker=f"127.0.0.1:{stack.ports['kafka']}",
            redis_host="127.0.0.1",
            redis_port=stack.ports["redis"],
        )
    )


def idle_in(client: TaskClient, hosts: list[str]) -> bool:
    """Whether the workers that are online are those of these containers, and none has anything to do."""
    try:
        counts = client.counts()
    except YadtqError as error:
        raise AssertionError(error) from error  # not yet: everything has only just been started
    return sorted(w.host for w in online(client)) == sorted(hosts) and not counts["queued"] + counts["processing"]


def online(client: TaskClient) -> list[Worker]:
    return [worker for worker in client.workers() if worker.state == "online"]


def host_of(client: TaskClient, task: Task) -> str:
    """The container that runs, or ran, a task."""
    return next(worker.host for worker in client.workers() if worker.worker_id == task.worker_id)


def once_running(client: TaskClient, task_id: str) -> Task:
    """The task, as soon as a worker runs it."""

    def look() -> Task:
        task = client.get_result(task_id)
        assert task.status == "processing"
        return task

    return eventually(look, 30, f"task {task_id} running")


def once_online(client: TaskClient, host: str) -> Worker:
    """The worker in a container, as soon as it is online."""

    def look() -> Worker:
        found = [worker for worker in online(client) if worker.host == host]
        assert found
        return found[0]

    return eventually(look, 30, f"a worker online in {host}")


def restarts(container: str) -> int:
    """How often Docker has started a container anew."""
    return int(inspect(container)["RestartCount"])


def audit(logger: str) -> list[dict[str, Any]]:
    """Every line of audit.jsonl, in the logger's container."""
    return [json.loads(line) for line in execute(logger, "cat", f"{LOGS}/audit.jsonl").splitlines()]


def actions(lines: list[dict[str, Any]], task_id: str) -> list[str]:
    """What happened to one task, in order."""
    return [each["action"] for line in lines for each in line.get("tasks", []) if each["id"] == task_id]


def succeeded(lines: list[dict[str, Any]]) -> set[str]:
    """The tasks of which an outcome was noted, and it is a success."""
    return {each["id"] for line in lines for each in line.get("tasks", []) if each["action"] == "success"}


def is_healthy(container: str) -> bool:
    return bool(inspect(container)["State"]["Health"]["Status"] == "healthy")


def of_services(stack: Stack, *services: str) -> dict[str, dict[str, Any]]:
    return {name: inspect(name) for service in services for name in stack.containers(service)}


def test_a_task_is_seen_in_its_three_states_in_the_shell(client: TaskClient) -> None:
    terminal = Terminal("docker", "exec", "-it", CLIENT, "python", "client.py")

    def list_shows(row: str) -> re.Match[str]:
        terminal.type("Show-Tasks")
        return terminal.see(row, 2)

    try:
        terminal.see(r"^yadtq> $|^yadtq>$")
        terminal.see(rf"queued 0 · in progress 0 · workers {WORKERS} · kafka ok · redis ok")
        for _ in range(WORKERS + 1):
            terminal.type("sleep 4")
        queued = eventually(lambda: list_shows(r"^(\w+) +sleep 4 +queued"), 4, "the fourth task of three slots queued")
        task_id = queued[1]
        eventually(lambda: list_shows(rf"^{task_id} +sleep 4 +in-progress"), 30, "it has begun")
        terminal.see(rf"^{task_id} +completed +sleep 4 = slept 4 s")
        terminal.type("ADD 2 3")
        terminal.see(r"completed +add 2 3 = 5")
        terminal.type("Exit")
    finally:
        code = terminal.close()
    assert code == 0
    assert "ADD 2 3" in execute(CLIENT, "cat", "/var/lib/yadtq/yadtq/history")


def test_tasks_are_spread_over_all_workers(stack: Stack, client: TaskClient) -> None:
    ids = client.submit_many(Call("sleep", (1,)) for _ in range(3 * WORKERS))
    hosts = {host_of(client, client.wait_for_result(task_id, 60)) for task_id in ids}
    assert hosts == set(stack.containers("worker"))


def test_a_killed_workers_task_ends_on_another_one(client: TaskClient) -> None:
    task_id = client.submit("sleep", 6)
    killed = host_of(client, once_running(client, task_id))
    containers.run("docker", "kill", killed)

    ended = client.wait_for_result(task_id, 60)

    assert ended.status == "success"
    assert host_of(client, ended) != killed
    assert [attempt.outcome for attempt in ended.attempts] == ["reclaim", "success"]
    assert ended.failures == 0


def test_a_stopped_worker_ends_its_task_first(client: TaskClient) -> None:
    task_id = client.submit("sleep", 6)
    stopped = host_of(client, once_running(client, task_id))
    containers.run("docker", "stop", "--time", "30", stopped)

    ended = client.get_result(task_id)

    assert (ended.status, ended.attempt) == ("success", 1)
    assert inspect(stopped)["State"]["ExitCode"] == 0


def test_yadtq_py_in_the_client_container_is_another_worker(client: TaskClient) -> None:
    here = inspect(CLIENT)["Config"]["Hostname"]
    with subprocess.Popen(["docker", "exec", CLIENT, "python", "yadtq.py"]) as extra:
        try:
            worker = once_online(client, here)
            ids = client.submit_many(Call("sleep", (2,)) for _ in range(WORKERS + 1))
            assert here in {host_of(client, client.wait_for_result(task_id, 60)) for task_id in ids}
            execute(CLIENT, "sh", "-c", f"kill -TERM {worker.process}")
            assert extra.wait(30) == 0
        finally:
            extra.kill()


def test_a_workers_log_has_one_readable_line_a_transition(stack: Stack, client: TaskClient) -> None:
    good, bad = client.submit("add", 2, 3), client.submit("div", 1, 0)
    for task_id in (good, bad):
        client.wait_for_result(task_id, 30)

    lines = [line for name in stack.containers("worker") for line in log_lines(name)]

    def said(task_id: str) -> list[str]:
        return sorted(line.split(maxsplit=1)[1] for line in lines if task_id in line)

    assert [bool(re.match(r"INFO +(→ action=take|← action=success) ", line)) for line in said(good)] == [True, True]
    assert re.match(r"INFO +→ action=take ", said(bad)[0])
    assert re.match(r"WARNING +! action=failed .*ZeroDivisionError", said(bad)[1])
    assert len(said(bad)) == 2
    assert not [line for line in lines if not re.match(r"20\d\d-\d\d-\d\dT[\d:.]+Z (INFO|WARNING) ", line)]


def test_the_shell_takes_one_command_and_keeps_its_exit_code(client: TaskClient) -> None:
    assert "5" in execute(CLIENT, "python", "client.py", "ADD", "2", "3")
    with pytest.raises(containers.CommandFailed, match="exit code 1"):
        execute(CLIENT, "python", "client.py", "DIV", "1", "0")


def test_the_monitors_page_answers_through_the_published_port(stack: Stack, client: TaskClient) -> None:
    task_id = client.submit("add", 2, 3)
    client.wait_for_result(task_id, 30)

    def look() -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{stack.ports['monitor']}/tasks", timeout=5) as answer:
            page: str = answer.read().decode()
        return task_id[:8] in page

    eventually(look, 30, "the task on the page")


def test_what_happened_is_in_the_files_of_logger_and_server(stack: Stack, client: TaskClient) -> None:
    (logger,) = stack.containers("logger")
    task_id = client.submit("add", 2, 3)
    client.wait_for_result(task_id, 30)

    eventually(lambda: actions(audit(logger), task_id) == ["register", "take", "success"], 20, "the events of the task")

    for file in ("server.log", "yadtq.log"):  # the client container sees them too
        lines = execute(CLIENT, "grep", task_id, f"{LOGS}/{file}").splitlines()
        assert len(lines) == 3, file
    assert "success" in execute(CLIENT, "python", "logger.py", "--task", task_id)


def test_a_killed_server_logger_and_monitor_come_back_and_miss_nothing(stack: Stack, client: TaskClient) -> None:
    killed = {service: stack.containers(service)[0] for service in OPERATORS}
    before = {name: restarts(name) for name in killed.values()}
    ids = client.submit_many(Call("add", (n, n)) for n in range(50))
    for name in before:
        containers.run("docker", "exec", "--detach", name, "sh", "-c", "kill -9 -1")  # its container ends with it
    ids += client.submit_many(Call("add", (n, n)) for n in range(50))
    assert {client.wait_for_result(task_id, 30).status for task_id in ids} == {"success"}

    eventually(lambda: all(restarts(name) == before[name] + 1 for name in before), 20, "all started anew")
    eventually(lambda: succeeded(audit(killed["logger"])) >= {*ids}, 30, "the outcome of every task noted")

    numbers = [line["seq"] for line in audit(killed["logger"]) if "seq" in line]
    assert numbers == list(range(1, len(numbers) + 1)), "no event is missing, and none is there twice"
    eventually(lambda: all(map(is_healthy, before)), 60, "all healthy again")
    assert {*stack.health().values()} == {"healthy"}


def test_nothing_runs_as_root_or_may_become_root(stack: Stack) -> None:
    for name, found in of_services(stack, *SERVICES).items():
        host = found["HostConfig"]
        assert execute(name, "id", "-u").strip() != "0", name
        assert host["CapDrop"] == ["ALL"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert host["RestartPolicy"]["Name"] == "unless-stopped", name
        assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}, name
    for name, found in of_services(stack, *SERVICES[1:]).items():  # Kafka's image writes its configuration
        assert found["HostConfig"]["ReadonlyRootfs"], name


def test_the_two_images_share_their_packages(stack: Stack) -> None:
    worker, client = (
        set(inspect(inspect(name)["Image"])["RootFS"]["Layers"]) for name in (stack.containers("worker")[0], CLIENT)
    )
    # The same steps up to 'until here'; then _yadtq (which the builder may share too), local, programs, bytecode.
    assert len(worker - client) <= 4


def test_ports_are_published_on_the_loopback_address_only(stack: Stack) -> None:
    published = {
        service: [
            (binding["HostIp"], int(binding["HostPort"]))
            for found in of_services(stack, service).values()
            for bindings in found["NetworkSettings"]["Ports"].values()
            for binding in bindings or []
        ]
        for service in SERVICES
    }
    assert published == {
        service: [("127.0.0.1", stack.ports[service])] if service in stack.ports else [] for service in SERVICES
    }


def test_what_the_compose_file_says_when_nothing_is_set(stack: Stack) -> None:
    config = containers.shipped_config()
    services = config["services"]
    published = {(p["host_ip"], p["published"]) for service in services.values() for p in service.get("ports", [])}
    images = {services[name]["image"] for name in ("kafka", "redis")}
    assert config["name"] == "yadtq"
    assert published == {("127.0.0.1", "9092"), ("127.0.0.1", "6379"), ("127.0.0.1", "8080")}
    assert images == {"apache/kafka:4.3.1", "redis:7"}
    assert services["client"]["container_name"] == CLIENT
    assert "container_name" not in services["worker"], "it could not be scaled"


def test_the_programs_settings_in_the_compose_file_exist(stack: Stack) -> None:
    services = containers.shipped_config()["services"]
    known = {variable for setting in SETTINGS for variable in setting.variables}
    given = {name: services[name]["environment"] for name in ("worker", "client", "manager", *OPERATORS)}
    assert not set().union(*given.values()) - known
    assert given["worker"] == given["client"] == given["manager"]
    assert "WORKER_ID" not in given["worker"], "every worker would have the same name"
    assert f"{given['worker']['DRAIN_SECONDS']}s" < services["worker"]["stop_grace_period"] == "30s"
    assert {name for name in given if "ENCRYPTION_KEY" in given[name]} == {"worker", "client", "manager"}
    assert {name for name in given if "MONITOR_TOKEN" in given[name]} == {"monitor"}
    assert [name for name, service in services.items() if "healthcheck" not in service] == []


def test_tasks_survive_the_removal_of_all_containers(stack: Stack) -> None:
    with host_program(stack) as before:
        task_id = before.submit("add", 40, 2)
        assert before.wait_for_result(task_id, 30).result == 42

    stack.compose("down")
    stack.up("--no-build", "--scale", f"worker={WORKERS}")

    assert "Result: 42" in execute(CLIENT, "python", "client.py", "--query", task_id)
    with host_program(stack) as after:
        assert after.wait_for_result(after.submit("add", 1, 1), 60).result == 2


def test_a_manager_starts_workers_as_the_work_grows(stack: Stack, client: TaskClient) -> None:
    stack.compose("--profile", "elastic", "up", "-d", "--scale", "worker=0")
    (host,) = stack.containers("manager")
    once_online(client, host)
    ids = client.submit_many(Call("sleep", (1,)) for _ in range(30))

    eventually(lambda: sum(worker.host == host for worker in online(client)) >= 2, 60, "a second worker")

    shown = execute(host, "python", "manager.py", "status")
    assert {client.wait_for_result(task_id, 60).status for task_id in ids} == {"success"}
    stack.compose("--profile", "elastic", "stop", "manager")
    assert "elastic2" in shown
    assert inspect(host)["State"]["ExitCode"] == 0
    assert not [worker for worker in online(client) if worker.host == host]
