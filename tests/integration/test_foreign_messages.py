"""What other programs publish to the task topic: tasks run, all else is rejected, and the next message goes on."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import kafka
import pytest
import redis

from _yadtq.messages import MESSAGE_LIMIT, RESERVED_PREFIX
from _yadtq.settings import Settings
from tests.conftest import StartWorker
from tests.integration.conftest import RECORDED, Wait
from tests.support.kafka_tools import send
from tests.support.notes import Notes
from tests.support.servers import ROOT
from tests.support.waiting import eventually
from yadtq import BadArguments, Call, TaskClient, TaskIdConflict

GOOD = '{"task-id": "d5750c0e-ed82", "task": "add", "args": [1, 2]}'

Send = Callable[..., list[int]]


@pytest.fixture
def worker(client: TaskClient, worker_process: StartWorker) -> None:
    """A worker that has joined, so that the topics exist."""
    worker_process(*RECORDED, retry_delay=0.1)
    eventually(client.workers)


@pytest.fixture
def publish(settings: Settings, worker: None) -> Send:
    """publish(*values): sends values without any header to partition 0, and returns their offsets."""
    return lambda *values: send(settings.kafka_broker, f"{settings.namespace}_tasks", values)


def test_the_seeds_message_runs_and_is_shown(
    settings: Settings, environment: dict[str, str], publish: Send, all_ended: Wait, client: TaskClient
) -> None:
    publish(GOOD)
    eventually(lambda: client.counts()["success"])

    query = [sys.executable, "client.py", "--query", "d5750c0e-ed82"]
    shown = subprocess.run(query, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False)
    with redis.Redis(settings.redis_host, settings.redis_port, decode_responses=True) as connection:
        record = connection.hgetall(f"{{{settings.namespace}}}:0:task:d5750c0e-ed82")

    assert shown.stdout.splitlines() == ["Task ID: d5750c0e-ed82", "Status: success", "Result: 3"]
    assert shown.returncode == 0
    wanted = {"status": "success", "task": "add", "args": "[1,2]", "kwargs": "{}", "result": "3", "attempt": "1"}
    assert record | wanted | {"worker_id": "worker1"} == record
    assert float(record["submitted_at"]) <= float(record["started_at"]) <= float(record["finished_at"])


BAD: list[tuple[str, str | bytes, str]] = [
    ("no JSON", "ADD 1 2", "not JSON"),
    ("no text", b"\xff\xfe\x00", "not JSON"),
    ("empty", b"", "not JSON"),
    ("cut", GOOD[:-5], "not JSON"),
    ("NaN", '{"task-id": "x", "task": "add", "args": [NaN]}', "NaN"),
    ("nested", "[" * 100_000, "not JSON"),
    ("list", "[1, 2]", "not an object, but list"),
    ("text", '"add"', "not an object, but str"),
    ("null", "null", "not an object"),
    ("no id", '{"task": "add", "args": [1, 2]}', "the field task-id is missing"),
    ("no task", '{"task-id": "x", "args": [1, 2]}', "the field task is missing"),
    ("no args", '{"task-id": "x", "task": "add"}', "the field args is missing"),
    ("id a number", '{"task-id": 7, "task": "add", "args": []}', "the field task-id is not a text"),
    ("id empty", '{"task-id": "", "task": "add", "args": []}', "task-id"),
    ("id long", '{"task-id": "%s", "task": "add", "args": []}' % ("x" * 201), "task-id"),
    ("id with an escape", '{"task-id": "x\\u001b[2J", "task": "add", "args": []}', "task-id"),
    ("id reserved", f'{{"task-id": "{RESERVED_PREFIX}0-0", "task": "add", "args": []}}', "no task id"),
    ("task with an escape", '{"task-id": "x", "task": "a\\u001b[2J", "args": []}', "no name of a task"),
    ("args an object", '{"task-id": "x", "task": "add", "args": {"a": 1}}', "the field args is not a list"),
    ("kwargs a list", '{"task-id": "x", "task": "add", "args": [], "kwargs": [1]}', "kwargs is not an object"),
    ("retries", '{"task-id": "x", "task": "add", "args": [], "max-retries": -1}', "max-retries"),
    ("limit", '{"task-id": "x", "task": "add", "args": [], "time-limit": 1e999}', "time-limit"),
    ("huge", '{"task-id": "x", "task": "add", "args": ["%s"]}' % ("x" * MESSAGE_LIMIT), "more than 1,000,000"),
]


def test_what_is_no_task_is_rejected_with_its_bytes_and_the_next_message_goes_on(
    publish: Send, all_ended: Wait, client: TaskClient
) -> None:
    good = [json.dumps({"task-id": f"good-{n}", "task": "add", "args": [n, 1]}) for n in range(len(BAD))]
    offsets = publish(*(value for (_, bad, _), fine in zip(BAD, good, strict=True) for value in (bad, fine)))

    rejected = all_ended([f"{RESERVED_PREFIX}0-{offset}" for offset in offsets[::2]])
    for task, (name, value, reason) in zip(rejected, BAD, strict=True):
        sent = value if isinstance(value, bytes) else value.encode()
        assert task.status == "rejected", name
        assert task.error is not None, name
        assert task.error.type == "MessageRejected", name
        assert reason in task.error.message, name
        assert task.error.message.isprintable(), name
        assert task.message == sent[:100_000], name
    ran = all_ended([f"good-{n}" for n in range(len(BAD))])
    assert [task.result for task in ran] == [n + 1 for n in range(len(BAD))]
    assert client.counts() | {"rejected": len(BAD), "success": len(BAD), "queued": 0} == client.counts()


def test_an_unknown_task_fails_with_the_names_of_those_there_are(publish: Send, all_ended: Wait) -> None:
    publish('{"task-id": "a", "task": "subtract", "args": [1, 2]}', '{"task-id": "b", "task": "sub", "args": [1, 2]}')
    unknown, known = all_ended(["a", "b"])
    assert (unknown.status, unknown.attempt, known.result) == ("failed", 1, -1)
    assert unknown.error is not None
    assert unknown.error.type == "UnknownTask"
    assert "sub" in unknown.error.message


def test_a_repeated_message_is_the_same_task(publish: Send, notes: Notes, all_ended: Wait, client: TaskClient) -> None:
    message = json.dumps({"task-id": "again", "task": "note", "args": [notes.path]})
    same = json.dumps({"args": [notes.path], "task": "note", "kwargs": {}, "task-id": "again"}, indent=2)
    publish(message, message, same)
    all_ended(["again"])
    publish(message, '{"task-id": "last", "task": "add", "args": [1]}')
    all_ended(["last"])
    assert notes.starts()["again"] == 1
    assert client.counts() | {"success": 2, "rejected": 0, "queued": 0} == client.counts()


def test_another_task_under_a_known_id_is_rejected(publish: Send, all_ended: Wait, client: TaskClient) -> None:
    _, other = publish(GOOD, GOOD.replace("[1, 2]", "[5, 6]"))
    first, second = all_ended(["d5750c0e-ed82", f"{RESERVED_PREFIX}0-{other}"])
    assert (first.status, first.result) == ("success", 3)
    assert (second.status, second.args) == ("rejected", [5, 6])
    assert "d5750c0e-ed82" in str(second.error)
    with pytest.raises(TaskIdConflict):
        client.submit("add", 7, 8, task_id="d5750c0e-ed82")
    assert client.submit("add", 1, 2, task_id="d5750c0e-ed82") == "d5750c0e-ed82"
    assert client.get_result("d5750c0e-ed82").result == 3


def test_a_message_that_bears_our_header_creates_nothing(
    settings: Settings, publish: Send, all_ended: Wait, client: TaskClient
) -> None:
    producer: Any = kafka.KafkaProducer(bootstrap_servers=settings.kafka_broker)
    header = [("epoch", b"0"), ("generation", b"1"), ("seq", b"1")]
    topic = f"{settings.namespace}_tasks"
    producer.send(topic, GOOD.encode(), b"d5750c0e-ed82", header, partition=0).get(timeout=10)
    strange = [("epoch", b"\xff"), ("trace", b"")]
    value = GOOD.replace("d5750c0e-ed82", "strange").encode()
    producer.send(topic, value, None, strange, partition=0).get(timeout=10)
    producer.close(timeout=5)
    assert [task.result for task in all_ended(["strange"])] == [3]
    assert [task.id for task in client.list()] == ["strange"]


def test_a_transaction_counts_when_it_is_committed(
    settings: Settings, publish: Send, all_ended: Wait, client: TaskClient
) -> None:
    """Its control records leave gaps between offsets; what was aborted was never submitted."""
    producer: Any = kafka.KafkaProducer(bootstrap_servers=settings.kafka_broker, transactional_id=settings.namespace)
    producer.init_transactions()
    topic = f"{settings.namespace}_tasks"
    for end, name in ((producer.commit_transaction, "kept"), (producer.abort_transaction, "dropped")):
        producer.begin_transaction()
        producer.send(topic, GOOD.replace("d5750c0e-ed82", name).encode(), partition=0).get(timeout=10)
        end()
    producer.close(timeout=5)
    eventually(lambda: client.stats().unread == 0, what="all that Kafka holds is read, to the last marker")
    publish(GOOD)
    assert [task.result for task in all_ended(["kept", "d5750c0e-ed82"])] == [3, 3]
    assert {task.id for task in client.list()} == {"kept", "d5750c0e-ed82"}


def test_what_a_client_of_ours_cannot_send_is_refused_before_anything_is_written(client: TaskClient) -> None:
    for arguments in (["x" * MESSAGE_LIMIT], [float("nan")], [object()]):
        with pytest.raises(BadArguments):
            client.submit_many([Call("add", (1,)), Call("add", tuple(arguments))])
    assert sum(client.counts().values()) == 0
