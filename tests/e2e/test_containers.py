"""docker-compose.yml as a person uses it: real containers, the commands of the README, a real terminal.

The stack runs under a name, volumes and host ports of its own. It is removed at the end, whatever happened.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import containers
from tests.support.containers import CLIENT, Stack, execute, inspect, log_lines
from tests.support.terminal import Terminal
from tests.support.waiting import eventually
from yadtq import SETTINGS, Call, Settings, Task, TaskClient, Worker

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

WORKERS = 3
# One slot each, so that a few slow tasks fill every worker; a dead worker is noticed after 4 s.
IN_CONTAINERS = {"WORKER_CONCURRENCY": "1", "WORKER_TIMEOUT": "4"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Kafka, Redis, a client and three workers, built and started as the README says."""
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
    with host_program(stack) as program:
        eventually(lambda: idle_in(program, stack.containers("worker")), 60, "all workers online and idle")
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
    counts = client.counts()
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


def test_nothing_runs_as_root_or_may_become_root(stack: Stack) -> None:
    for name, found in of_services(stack, "kafka", "redis", "worker", "client").items():
        host = found["HostConfig"]
        assert execute(name, "id", "-u").strip() != "0", name
        assert host["CapDrop"] == ["ALL"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert host["RestartPolicy"]["Name"] == "unless-stopped", name
        assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}, name
    for name, found in of_services(stack, "redis", "worker", "client").items():
        assert found["HostConfig"]["ReadonlyRootfs"], name


def test_the_two_images_share_their_packages(stack: Stack) -> None:
    worker, client = (
        set(inspect(inspect(name)["Image"])["RootFS"]["Layers"]) for name in (stack.containers("worker")[0], CLIENT)
    )
    # The same steps up to 'until here'; then _yadtq (which the builder may share too), the programs, their bytecode.
    assert len(worker - client) <= 3


def test_ports_are_published_on_the_loopback_address_only(stack: Stack) -> None:
    published = {
        service: [
            (binding["HostIp"], int(binding["HostPort"]))
            for found in of_services(stack, service).values()
            for bindings in found["NetworkSettings"]["Ports"].values()
            for binding in bindings or []
        ]
        for service in ("kafka", "redis", "worker", "client")
    }
    assert published == {
        "kafka": [("127.0.0.1", stack.ports["kafka"])],
        "redis": [("127.0.0.1", stack.ports["redis"])],
        "worker": [],
        "client": [],
    }


def test_what_the_compose_file_says_when_nothing_is_set(stack: Stack) -> None:
    config = containers.shipped_config()
    services = config["services"]
    published = {(p["host_ip"], p["published"]) for service in services.values() for p in service.get("ports", [])}
    images = {services[name]["image"] for name in ("kafka", "redis")}
    assert config["name"] == "yadtq"
    assert published == {("127.0.0.1", "9092"), ("127.0.0.1", "6379")}
    assert images == {"apache/kafka:4.3.1", "redis:7"}
    assert services["client"]["container_name"] == CLIENT
    assert "container_name" not in services["worker"], "it could not be scaled"


def test_the_programs_settings_in_the_compose_file_exist(stack: Stack) -> None:
    services = containers.shipped_config()["services"]
    given = services["worker"]["environment"]
    assert given == services["client"]["environment"]
    assert given.keys() <= {variable for setting in SETTINGS for variable in setting.variables}
    assert "WORKER_ID" not in given, "every worker would have the same name"
    assert f"{given['DRAIN_SECONDS']}s" < services["worker"]["stop_grace_period"] == "30s"


def test_tasks_survive_the_removal_of_all_containers(stack: Stack) -> None:
    with host_program(stack) as before:
        task_id = before.submit("add", 40, 2)
        assert before.wait_for_result(task_id, 30).result == 42

    stack.compose("down")
    stack.up("--no-build", "--scale", f"worker={WORKERS}")

    assert "Result: 42" in execute(CLIENT, "python", "client.py", "--query", task_id)
    with host_program(stack) as after:
        assert after.wait_for_result(after.submit("add", 1, 1), 60).result == 2
