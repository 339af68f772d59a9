"""Kafka went back in time: the task topic is deleted, made anew, cut, or given more partitions, while tasks wait."""

import json
from collections.abc import Sequence

import pytest

from _yadtq.keys import Keys
from _yadtq.settings import Settings
from _yadtq.store import Store
from tests.conftest import StartWorker
from tests.integration.conftest import RECORDED, Figure, Wait
from tests.support import kafka_tools
from tests.support.notes import Notes
from tests.support.programs import RunningProgram
from tests.support.waiting import eventually
from yadtq import SubmissionRefused, TaskClient

NOTICED_SECONDS = 40.0  # on a busy machine; else: a look each 3 s, another one after 1 s, and a new consumer


class Other:
    """A program of somebody else that sends tasks to the topic."""

    def __init__(self, settings: Settings, notes: Notes) -> None:
        self.broker, self.topic = settings.kafka_broker, Keys(settings.namespace).tasks_topic
        self._notes = notes

    def send(self, *ids: str, partition: int = 0) -> None:
        values = [json.dumps({"task-id": each, "task": "note", "args": [self._notes.path]}) for each in ids]
        kafka_tools.send(self.broker, self.topic, values, partition)


@pytest.fixture
def other(settings: Settings, notes: Notes) -> Other:
    return Other(settings, notes)


def ran(notes: Notes, ids: Sequence[str]) -> None:
    """Waits until these tasks have run, and that each has run once."""
    eventually(lambda: set(ids) <= set(notes.starts()), NOTICED_SECONDS, f"{len(ids)} tasks have run")
    assert {notes.starts()[each] for each in ids} == {1}


def said(worker: RunningProgram) -> list[str]:
    """What it has said about the topic."""
    return [line for line in worker.output.splitlines() if "action=reposition" in line]


def test_a_topic_that_is_deleted_while_tasks_wait_loses_none(
    settings: Settings,
    client: TaskClient,
    worker_process: StartWorker,
    notes: Notes,
    all_ended: Wait,
    figure: Figure,
) -> None:
    workers = [worker_process(*RECORDED, concurrency=1, ready_tasks=1) for _ in range(2)]
    ids = [client.submit("note", notes.path, 0.5) for _ in range(30)]
    notes.wait_for(3)
    kafka_tools.delete_topic(settings.kafka_broker, Keys(settings.namespace).tasks_topic)
    later = eventually(lambda: submitted(client, notes), 20, "a submission that is accepted again")

    tasks = all_ended([*ids, later], 60)

    assert {(task.status, task.attempt) for task in tasks} == {("success", 1)}
    assert set(notes.starts().values()) == {1}
    lines = [line for worker in workers for line in said(worker)]
    assert [line for line in lines if "was deleted or made anew: it is read from its start" in line] == lines
    assert len(lines) == 1
    published = [line for worker in workers for line in worker.output.splitlines() if "action=publish" in line]
    assert published
    figure(f"the task topic was deleted while tasks waited: {len(published)} lines of the sweeper")


def submitted(client: TaskClient, notes: Notes) -> str:
    """The id of a task, or '' when it was refused."""
    try:
        return client.submit("note", notes.path)
    except SubmissionRefused:
        return ""


def test_a_topic_that_was_made_anew_is_read_from_its_start(
    settings: Settings, worker_process: StartWorker, other: Other, notes: Notes
) -> None:
    worker = worker_process(*RECORDED)
    worker.prints("action=join")
    eventually(lambda: kafka_tools.members(settings.kafka_broker, Keys(settings.namespace).group))
    other.send(*(f"before{n}" for n in range(5)))
    ran(notes, [f"before{n}" for n in range(5)])
    kafka_tools.delete_topic(other.broker, other.topic)
    kafka_tools.make_topic(other.broker, other.topic, partitions=3)

    other.send("first", "second")

    ran(notes, ["first", "second"])
    assert len(said(worker)) == 1
    other.send(*(f"after{n}" for n in range(7)))  # beyond where the other topic was read
    ran(notes, [f"after{n}" for n in range(7)])
    store = Store(settings)
    assert store.standing().positions == {0: 9, 1: 0, 2: 0}
    store.close()
    assert len(said(worker)) == 1


def test_what_was_cut_off_is_passed_over(
    settings: Settings, client: TaskClient, worker_process: StartWorker, other: Other, notes: Notes
) -> None:
    worker = worker_process(*RECORDED)
    client.wait_for_result(client.submit("note", notes.path), 20)
    other.send("read")
    ran(notes, ["read"])
    read = kafka_tools.ends(other.broker, other.topic)[0]
    worker.terminate()
    other.send("lost1", "lost2", "kept")
    kafka_tools.cut(other.broker, other.topic, {0: read + 2})

    worker = worker_process(*RECORDED)

    ran(notes, ["kept"])
    (line,) = said(worker)
    assert f"partition 0 begins at offset {read + 2}, and {read} was next. It is read from there;" in line
    other.send("next", partition=1)
    ran(notes, ["next"])
    assert len(said(worker)) == 1
    assert not {"lost1", "lost2"} & set(notes.starts())


def test_new_partitions_are_read_from_their_start(
    settings: Settings, worker_process: StartWorker, other: Other, notes: Notes
) -> None:
    workers = [worker_process(*RECORDED) for _ in range(2)]
    kafka_tools.wait_for_readers(other.broker, Keys(settings.namespace).group, 2)
    store = Store(settings)
    eventually(lambda: store.standing().partitions == 12)  # somebody has looked before
    store.close()
    kafka_tools.add_partitions(other.broker, other.topic, 14)

    other.send("in12", "in12 too", partition=12)
    other.send("in13", partition=13)

    ran(notes, ["in12", "in12 too", "in13"])
    (line,) = eventually(lambda: [line for worker in workers for line in said(worker)], NOTICED_SECONDS, "a line")
    assert f"{other.topic} has 14 partitions now, and had 12: the new ones are read from their start" in line
