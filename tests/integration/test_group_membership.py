"""A worker that its consumer group has lost sight of reads on."""

import kafka
import pytest
from kafka.admin import MemberToRemove

from _yadtq import consumer as consumer_module
from _yadtq.broker import Broker
from _yadtq.claims import Assigned
from _yadtq.consumer import Consumer
from _yadtq.inbox import Inbox
from _yadtq.log import Log
from _yadtq.lookout import Lookout
from _yadtq.settings import Settings
from _yadtq.store import Store
from tests.conftest import StartWorker
from tests.integration.conftest import RECORDED, Wait
from tests.support.kafka_tools import members, wait_for_readers
from tests.support.notes import Notes
from tests.support.waiting import eventually
from yadtq import Call, TaskClient


def remove_members(broker: str, group: str) -> None:
    """Throws all readers out of a group, as Kafka does with those that it has not heard of for too long."""
    known = [MemberToRemove(member_id=member) for member, _ in members(broker, group).values()]
    admin = kafka.KafkaAdminClient(bootstrap_servers=broker)
    try:
        admin.remove_group_members(group, known)
    finally:
        admin.close()


def test_a_worker_that_the_group_threw_out_reads_on(
    settings: Settings, client: TaskClient, worker_process: StartWorker, notes: Notes, all_ended: Wait
) -> None:
    worker_process(*RECORDED)
    group = f"{settings.namespace}_workers"
    wait_for_readers(settings.kafka_broker, group, 1)
    ids = client.submit_many([Call("note", (notes.path,))] * 24)
    all_ended(ids)
    for _ in range(3):
        remove_members(settings.kafka_broker, group)
        ids += client.submit_many([Call("note", (notes.path,))] * 24)
        assert {task.status for task in all_ended(ids)} == {"success"}
        wait_for_readers(settings.kafka_broker, group, 1)
    assert set(notes.starts().values()) == {1}


class Forgetful(Broker):
    """Says that the group knows nobody, the first two times that it is asked."""

    asked = 0

    def members(self) -> set[tuple[str, frozenset[int]]] | None:
        self.asked += 1
        return set() if self.asked <= 2 else super().members()


def test_a_reader_that_the_group_does_not_know_joins_anew(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "PROBE_SECONDS", 0.1)
    inbox, broker, store = Inbox(), Forgetful(settings), Store(settings)
    consumer = Consumer(settings, broker, Lookout(store, broker, Log()), inbox.put)
    consumer.start()
    assigned: list[Assigned] = []

    def twice() -> bool:
        assigned.extend(message for message in inbox.messages(0) if isinstance(message, Assigned))
        return len(assigned) == 2

    eventually(twice)
    eventually(lambda: broker.asked > 8)
    assert not [message for message in inbox.messages(0) if isinstance(message, Assigned)]
    assert {len(each.partitions) for each in assigned} == {12}
    consumer.stop(5)
    broker.close()
    store.close()
    assert not consumer.is_alive()
