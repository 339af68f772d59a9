"""Redis comes back with less than it had, or with nothing: what the event log knows is made good, and runs once.

These tests have a Kafka and a Redis of their own.
"""

import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from _yadtq.settings import Settings
from tests.conftest import StartWorker
from tests.integration.conftest import RECORDED, Figure, Wait
from tests.support.chaos_servers import ChaosRedis, chaos_redis
from tests.support.notes import Notes
from tests.support.programs import RunningProgram
from tests.support.servers import ROOT, kafka_at, start_for_run
from tests.support.waiting import eventually
from yadtq import Call, QueueMissing, SubmissionRefused, TaskClient

LONG_SECONDS = 6.0


@pytest.fixture(scope="module")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """This file's Kafka instead of the run's."""
    server = kafka_at(tmp_path_factory.mktemp("kafka"))
    start_for_run(server)
    yield f"127.0.0.1:{server.place.port}"
    server.stop()


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosRedis]:
    """This file's Redis instead of the run's."""
    server = chaos_redis(tmp_path_factory.mktemp("redis"))
    start_for_run(server)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def redis_address(own_redis: ChaosRedis) -> tuple[str, int]:
    return ("127.0.0.1", own_redis.place.port)


@pytest.fixture
def namespace() -> str:
    """The name of a queue that only this test uses. It ends with the servers."""
    return f"t{secrets.token_hex(5)}"


@pytest.fixture
def worker(worker_process: StartWorker) -> RunningProgram:
    return worker_process(*RECORDED, concurrency=2)


def replace(server: ChaosRedis, files: Path | None) -> None:
    """Redis is killed, and comes back with other files."""
    server.kill()
    server.replace(files)
    server.start()
    server.wait_ready()


def submit(client: TaskClient, notes: Notes, count: int, seconds: float = 0.0) -> list[str]:
    return client.submit_many([Call("note", (notes.path, seconds)) for _ in range(count)])


def told(client: TaskClient) -> bool:
    """Whether Kafka has every event."""
    return client.stats().outbox == 0


def stop_relay(server: ChaosRedis, client: TaskClient, settings: Settings) -> None:
    """Nobody sends events any more: the relay's lease is somebody's who does nothing, and the worker knows it."""
    with server.connection() as connection:
        connection.hset(f"{{{settings.namespace}}}:meta", mapping={"relay": "nobody", "relay_until": 1 << 50})
    for _ in range(2):
        wait_for_heartbeat(client, client.workers()[0].last_seen)


def wait_for_heartbeat(client: TaskClient, after: float) -> None:
    eventually(lambda: client.workers()[0].last_seen > after)


def run(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Runs a program of the checkout: exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_what_the_event_log_knows_happens_once(
    own_redis: ChaosRedis,
    client: TaskClient,
    worker: RunningProgram,
    notes: Notes,
    all_ended: Wait,
    figure: Figure,
    tmp_path: Path,
) -> None:
    before = submit(client, notes, 30)
    all_ended(before)
    own_redis.copy(tmp_path / "older")
    after = submit(client, notes, 30)
    all_ended(after)
    (long,) = submit(client, notes, 1, LONG_SECONDS)
    notes.wait_for(61)
    eventually(lambda: told(client), what="Kafka has every event")

    replace(own_redis, tmp_path / "older")
    assert all(task.status == "success" for task in all_ended([*before, *after]))
    (task,) = all_ended([long])
    assert (task.status, task.attempt, task.history) == ("success", 1, ())
    later = submit(client, notes, 10)
    all_ended(later)
    assert notes.starts() == dict.fromkeys([*before, *after, long, *later], 1)
    assert worker.output.count("action=join") == 1
    assert "events that it had forgotten were restored" in worker.output
    figure(next(line for line in worker.output.splitlines() if "restored" in line)[25:])


def test_what_only_the_lost_redis_knew_runs_again(
    own_redis: ChaosRedis,
    client: TaskClient,
    settings: Settings,
    worker: RunningProgram,
    notes: Notes,
    all_ended: Wait,
    tmp_path: Path,
) -> None:
    """A worker whose claims are in no event log: it kills what Redis does not know, and all ends well."""
    all_ended(submit(client, notes, 3))
    eventually(lambda: told(client), what="Kafka has every event")
    stop_relay(own_redis, client, settings)
    own_redis.copy(tmp_path / "older")
    tasks = submit(client, notes, 2, LONG_SECONDS)
    notes.wait_for(5)
    replace(own_redis, tmp_path / "older")
    for task in all_ended(tasks, 60):
        assert (task.status, task.failures, task.crashes) == ("success", 0, 0)
        starts = notes.begun(task.id)
        assert len({start.attempt for start in starts}) == len(starts)
    assert notes.overlaps() == []
    assert "Redis came back without" in worker.output


def test_a_lost_redis_is_said_and_rebuilt(
    own_redis: ChaosRedis,
    client: TaskClient,
    environment: dict[str, str],
    worker: RunningProgram,
    notes: Notes,
    all_ended: Wait,
    figure: Figure,
) -> None:
    gone = submit(client, notes, 5)
    all_ended(gone)
    assert client.reset() == len(gone)
    tasks = submit(client, notes, 40)
    results = {task.id: (task.status, task.result, task.finished_at) for task in all_ended(tasks)}
    (long,) = submit(client, notes, 1, LONG_SECONDS)
    notes.wait_for(46)
    eventually(lambda: told(client), what="Kafka has every event")

    replace(own_redis, None)
    worker.prints("server.py --rebuild", 10)
    with pytest.raises(QueueMissing, match=r"server\.py --rebuild"):
        client.counts()
    code, said = run(environment, "client.py", "Show-Tasks")
    assert (code, said.count("\n")) == (1, 1)
    assert "python server.py --rebuild" in said
    with pytest.raises(SubmissionRefused, match=r"never runs: Redis .* --rebuild"):
        submit(client, notes, 1)

    code, said = run(environment, "server.py", "--rebuild")
    assert code == 0
    figure(said.strip().replace("\n", " · "))
    assert {t.id: (t.status, t.result, t.finished_at) for t in all_ended(tasks)} == results
    (task,) = all_ended([long])
    assert (task.status, task.attempt) == ("success", 1)
    all_ended(submit(client, notes, 10))
    assert not [task for task in client.list(limit=1000) if task.id in gone]
    assert set(notes.starts().values()) == {1}
    assert run(environment, "server.py", "--rebuild")[0] == 0  # there is nothing to do
    assert worker.output.count("action=join") == 1
