"""A log that was damaged on Kafka's disk: batches that nobody can read, and a partition that has lost its end."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from _yadtq.keys import Keys
from _yadtq.settings import Settings
from local.kafka_server import KafkaServer
from tests.conftest import StartWorker
from tests.integration.conftest import RECORDED
from tests.support import kafka_tools
from tests.support.notes import Notes
from tests.support.servers import kafka_at, start_for_run
from tests.support.waiting import eventually
from yadtq import TaskClient


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A Kafka whose disk these tests may damage."""
    kafka_server = kafka_at(tmp_path_factory.mktemp("damaged"))
    start_for_run(kafka_server)
    yield kafka_server
    kafka_server.stop()


@pytest.fixture
def kafka_broker(server: KafkaServer) -> str:
    return f"127.0.0.1:{server.place.port}"


def log_of(server: KafkaServer, topic: str, partition: int = 0) -> Path:
    """The file that holds the messages of a partition."""
    (found,) = server.place.home.rglob(f"{topic}-{partition}/00000000000000000000.log")
    return found


def foreign(task_id: str, notes: Notes) -> bytes:
    return json.dumps({"task-id": task_id, "task": "note", "args": [notes.path]}).encode()


def spoil(log: Path, before: bytes, after: bytes) -> None:
    """Overwrites the one place where `before` stands."""
    content = log.read_bytes()
    assert content.count(before) == 1
    with log.open("r+b") as file:
        file.seek(content.index(before))
        file.write(after)


def test_a_damaged_batch_is_rejected_and_what_comes_behind_it_runs(
    server: KafkaServer, settings: Settings, client: TaskClient, worker_process: StartWorker, notes: Notes
) -> None:
    worker = worker_process(*RECORDED)
    client.wait_for_result(client.submit("note", notes.path), 20)
    worker.terminate()
    topic = Keys(settings.namespace).tasks_topic
    (place,) = kafka_tools.send(settings.kafka_broker, topic, [foreign("damaged", notes)], 3)
    kafka_tools.send(settings.kafka_broker, topic, [foreign("behind", notes)], 3)
    spoil(log_of(server, topic, 3), b'"damaged"', b'"damXged"')

    worker = worker_process(*RECORDED)

    eventually(lambda: "behind" in notes.starts(), 20, "what lies behind the damaged batch")
    rejected = client.get_result(f"rejected-3-{place}")
    assert rejected.status == "rejected"
    assert rejected.error is not None
    assert rejected.error.message == (
        f"Kafka's batch of offsets {place} to {place} in partition 3 has a wrong checksum"
    )
    assert b'"damXged"' in rejected.message
    assert worker.output.count("came damaged: it is fetched again") == 1
    assert set(notes.starts().values()) == {1}


def test_a_partition_that_lost_its_end_is_read_from_there(
    server: KafkaServer, settings: Settings, client: TaskClient, worker_process: StartWorker, notes: Notes
) -> None:
    topic = Keys(settings.namespace).tasks_topic
    worker = worker_process(*RECORDED)
    client.wait_for_result(client.submit("note", notes.path), 20)
    kafka_tools.send(settings.kafka_broker, topic, [foreign(f"a{n}", notes) for n in range(3)], 5)
    eventually(lambda: "a2" in notes.starts())
    log = log_of(server, topic, 5)
    kept, end = log.stat().st_size, kafka_tools.ends(settings.kafka_broker, topic)[5]
    kafka_tools.send(settings.kafka_broker, topic, [foreign(f"b{n}", notes) for n in range(4)], 5)
    eventually(lambda: "b3" in notes.starts())

    server.stop()
    with log.open("r+b") as file:
        file.truncate(kept)
    start_for_run(server)
    kafka_tools.send(settings.kafka_broker, topic, [foreign(f"c{n}", notes) for n in range(2)], 5)

    eventually(lambda: {"c0", "c1"} <= set(notes.starts()), 30, "what was sent after the loss")
    assert set(notes.starts().values()) == {1}
    (line,) = [line for line in worker.output.splitlines() if "action=reposition" in line]
    assert f"partition 5 ends at offset {end}, and {end + 4} was next" in line
