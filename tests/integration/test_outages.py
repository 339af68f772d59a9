"""Servers that come up late, go away and come back: one clear line, then everything works by itself.

These tests have a Kafka and a Redis of their own, which they stop and start again with their data.
"""

import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from _yadtq.settings import Settings
from local.kafka_server import KafkaServer
from local.redis_server import RedisServer
from tests.conftest import StartWorker
from tests.integration.conftest import RECORDED, Figure, Wait
from tests.support.notes import Notes
from tests.support.programs import RunningProgram
from tests.support.proxy import RedisProxy
from tests.support.servers import ROOT, kafka_at, redis_at
from tests.support.submitters import Load, Submitted, Submitters
from tests.support.waiting import eventually
from yadtq import Call, TaskClient

UNREACHABLE = 3  # exit code of client.py


@dataclass(frozen=True, slots=True)
class Pair:
    """A Kafka and a Redis that a test may stop and start."""

    kafka: KafkaServer
    redis: RedisServer

    def start(self, *servers: KafkaServer | RedisServer) -> None:
        """Starts these (both, when none is named) unless they run, and waits until they answer."""
        stopped = [server for server in servers or (self.kafka, self.redis) if not server.is_running()]
        for server in stopped:
            server.start()
        for server in stopped:
            server.wait_ready()

    def stop(self) -> None:
        """Stops both."""
        self.redis.stop()
        self.kafka.stop()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The servers of this file."""
    folder = tmp_path_factory.mktemp("pair")
    servers = Pair(kafka_at(folder), redis_at(folder))
    yield servers
    servers.stop()


@pytest.fixture
def namespace() -> str:
    """The name of a queue that only this test uses. It ends with the servers."""
    return f"t{secrets.token_hex(5)}"


@pytest.fixture
def running(pair: Pair) -> Pair:
    """The servers of this file, running."""
    pair.start()
    return pair


@pytest.fixture(scope="module")
def kafka_broker(pair: Pair) -> str:
    """This file's Kafka instead of the run's."""
    return f"127.0.0.1:{pair.kafka.place.port}"


@pytest.fixture(scope="module")
def redis_address(pair: Pair) -> tuple[str, int]:
    """This file's Redis instead of the run's."""
    return ("127.0.0.1", pair.redis.place.port)


def run_client(environment: dict[str, str], *arguments: str) -> tuple[int, list[str], float]:
    """Runs client.py: exit code, what it printed, seconds."""
    began = time.monotonic()
    command = [sys.executable, "client.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, (done.stdout + done.stderr).splitlines(), time.monotonic() - began


def errors_of(worker: RunningProgram) -> list[str]:
    return [line for line in worker.output.splitlines() if " ERROR " in line]


def test_servers_that_come_up_late(
    pair: Pair, environment: dict[str, str], worker_process: StartWorker, figure: Figure
) -> None:
    pair.stop()
    worker = worker_process()
    for server, line in ((pair.redis, "Redis does not answer"), (pair.kafka, "Kafka does not answer")):
        worker.prints(line, 10)
        code, said, seconds = run_client(environment, "--submit", "add", "[1,2]")
        assert code == UNREACHABLE
        assert len(said) == 1
        assert line in said[0] or server is pair.redis
        assert seconds <= 10
        figure(f"without {server.name}: one line after {seconds:.1f} s")
        pair.start(server)
    began = time.monotonic()

    def works() -> bool:
        code, said, _ = run_client(environment, "--submit", "add", "[1,2]")
        return code == 0 and run_client(environment, "wait", said[0])[0] == 0

    eventually(works, 30)
    figure(f"both there: a task ran {time.monotonic() - began:.1f} s later")
    assert worker.process.poll() is None
    assert 2 <= len(errors_of(worker)) <= 4
    eventually(lambda: "it works again" in worker.output)


@pytest.fixture
def submitters(environment: dict[str, str], notes: Notes, tmp_path: Path) -> Iterator[Submitters]:
    """Two clients that submit one task after the other."""
    started = Submitters(2, Load("note", [notes.path, 0.01], batch=1, pause=0.01), tmp_path, environment)
    yield started
    started.stop()


def assert_kept(reports: list[Submitted], notes: Notes, all_ended: Wait) -> None:
    """What was accepted has ended well, what was refused has never begun, and nothing has begun twice."""
    accepted = [task_id for report in reports for task_id in report.ids]
    tasks = all_ended(accepted, 40)
    starts = notes.starts()
    refused = {task_id for r in reports if r.error == "SubmissionRefused" for task_id in r.asked}
    unknown = {task_id for r in reports if r.error == "SubmissionUnknown" for task_id in r.asked}
    unreached = {task_id for r in reports if r.error == "ServerUnreachable" for task_id in r.asked}
    assert {report.error for report in reports} <= {"", "SubmissionRefused", "SubmissionUnknown", "ServerUnreachable"}
    assert {task.status for task in tasks} == {"success"}
    assert not (refused | unreached) & starts.keys()
    assert starts.keys() <= set(accepted) | unknown
    assert set(starts.values()) == {1}


def test_redis_goes_away_and_comes_back_under_load(
    running: Pair,
    client: TaskClient,
    worker_process: StartWorker,
    submitters: Submitters,
    notes: Notes,
    all_ended: Wait,
    figure: Figure,
) -> None:
    workers = [worker_process(*RECORDED, worker_timeout=30) for _ in range(2)]
    eventually(lambda: client.counts()["success"] > 100, 30)

    running.redis.stop()
    for worker in workers:
        worker.prints("Redis does not answer", 10)
    submitters.wait_for_calls(4)
    running.start(running.redis)
    back = time.monotonic()
    begun = len(notes.begun())
    notes.wait_for(begun + 1)
    figure(f"Redis is back: tasks begin again {time.monotonic() - back:.1f} s later")
    notes.wait_for(begun + 100)

    assert_kept(submitters.stop(), notes, all_ended)
    assert [worker.output.count("action=join") for worker in workers] == [1, 1]


def test_a_worker_says_whether_it_is_ready(running: Pair, worker_process: StartWorker, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    worker = worker_process(*RECORDED, ready_file=ready)
    eventually(ready.exists)
    for server in (running.redis, running.kafka):
        server.stop()
        eventually(lambda: not ready.exists(), 15, f"it is not ready without {server.name}")
        running.start()
        eventually(ready.exists, 20, f"it is ready again with {server.name}")
    worker.terminate()
    assert not ready.exists()


def test_kafka_and_then_redis_go_away_and_come_back_in_the_other_order(
    running: Pair,
    client: TaskClient,
    worker_process: StartWorker,
    submitters: Submitters,
    notes: Notes,
    all_ended: Wait,
    figure: Figure,
) -> None:
    workers = [worker_process(*RECORDED, worker_timeout=30) for _ in range(2)]
    eventually(lambda: client.counts()["success"] > 100, 30)

    running.kafka.stop()
    for worker in workers:
        worker.prints("Kafka does not answer", 10)
    running.redis.stop()
    for worker in workers:
        worker.prints("Redis does not answer", 10)
    running.start(running.redis)
    running.start(running.kafka)
    back = time.monotonic()
    begun = len(notes.begun())
    notes.wait_for(begun + 1, 60)
    figure(f"Kafka is back: tasks begin again {time.monotonic() - back:.1f} s later")
    notes.wait_for(begun + 100)

    assert_kept(submitters.stop(), notes, all_ended)
    assert [worker.output.count("action=join") for worker in workers] == [1, 1]
    eventually(lambda: client.stats().outbox == 0, 20, "the outbox is empty")


def outbox_of(settings: Settings) -> int:
    with redis.Redis(settings.redis_host, settings.redis_port) as connection:
        return int(connection.xlen(f"{{{settings.namespace}}}:events"))


def test_work_goes_on_while_kafka_is_away(
    running: Pair,
    settings: Settings,
    client: TaskClient,
    worker_process: StartWorker,
    notes: Notes,
    all_ended: Wait,
) -> None:
    """What was read is run, and its end is kept in Redis until Kafka can have it."""
    worker_process(*RECORDED, concurrency=1)
    ids = client.submit_many([Call("note", (notes.path, 0.1))] * 30)
    eventually(lambda: client.stats().unread == 0)
    running.kafka.stop()
    assert {task.status for task in all_ended(ids)} == {"success"}
    assert outbox_of(settings) > 0
    running.start(running.kafka)
    eventually(lambda: outbox_of(settings) == 0, 30, "the outbox is empty")
    all_ended([client.submit("note", notes.path)])


def test_redis_is_away_for_longer_than_a_lease(
    running: Pair, client: TaskClient, worker_process: StartWorker, notes: Notes, all_ended: Wait
) -> None:
    """What ran is stopped in time, and starts again when Redis is back; it was no failure and no crash."""
    worker = worker_process(*RECORDED, worker_timeout=3)
    task_id = client.submit("note_slow_first", notes.path, 60)
    notes.wait_for(1)
    running.redis.stop()
    worker.prints("action=lost", 10)
    running.start(running.redis)
    (task,) = all_ended([task_id])
    assert (task.status, task.attempt, task.failures, task.crashes) == ("success", 2, 0, 0)
    assert notes.overlaps() == []


def test_a_redis_that_accepts_and_never_answers_is_one_line(
    running: Pair, environment: dict[str, str], proxy: RedisProxy
) -> None:
    proxy.mute()
    code, said, seconds = run_client(environment | {"REDIS_PORT": str(proxy.port)}, "--submit", "add", "[1,2]")
    assert (code, len(said)) == (UNREACHABLE, 1)
    assert "Redis does not answer" in said[0]
    assert seconds <= 10


def test_a_slow_redis_costs_time_and_nothing_else(
    running: Pair,
    client: TaskClient,
    proxy: RedisProxy,
    worker_process: StartWorker,
    notes: Notes,
    all_ended: Wait,
) -> None:
    proxy.delay(0.1)
    worker_process(*RECORDED, redis_port=proxy.port)
    ids = client.submit_many([Call("note", (notes.path, 0.01))] * 10)
    assert {(task.status, task.attempt) for task in all_ended(ids)} == {("success", 1)}
    assert set(notes.starts().values()) == {1}


def test_wrong_credentials_are_one_line(running: Pair, settings: Settings, environment: dict[str, str]) -> None:
    with redis.Redis(settings.redis_host, settings.redis_port) as connection:
        connection.config_set("requirepass", "right")
        try:
            for wrong in ({}, {"REDIS_PASSWORD": "wrong"}):
                code, said, seconds = run_client(environment | wrong, "--submit", "add", "[1,2]")
                assert (code, len(said)) == (UNREACHABLE, 1)
                assert "refuses this user or password" in said[0]
                assert seconds <= 10
            code, said, _ = run_client(environment | {"REDIS_PASSWORD": "right"}, "--submit", "add", "[1,2]")
            assert code == 0, said
        finally:
            connection.config_set("requirepass", "")
    sasl = {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_USERNAME": "x", "KAFKA_PASSWORD": "y"}
    code, said, seconds = run_client(environment | sasl, "--submit", "add", "[1,2]")
    assert (code, len(said)) == (UNREACHABLE, 1)
    assert "Kafka" in said[0]
    assert seconds <= 10
