"""What tests ask Kafka for directly, past YADTQ: foreign messages, the group's members, the event log."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import kafka
from kafka.admin import NewTopic

from tests.support.waiting import eventually


def send(broker: str, topic: str, values: Iterable[bytes | str], partition: int = 0) -> list[int]:
    """Publishes values to one partition, in order, as any other program would. Returns their offsets."""
    producer = kafka.KafkaProducer(bootstrap_servers=broker, max_request_size=8 << 20)
    try:
        sent: list[Any] = [
            producer.send(topic, value.encode() if isinstance(value, str) else value, partition=partition)
            for value in values
        ]
        return [future.get(timeout=10).offset for future in sent]
    finally:
        producer.close(timeout=5)


def cut(broker: str, topic: str, starts: Mapping[int, int]) -> None:
    """Deletes the first messages of partitions, up to an offset each."""
    with admin_of(broker) as admin:
        admin.delete_records({kafka.TopicPartition(topic, number): start for number, start in starts.items()})


def delete_topic(broker: str, topic: str) -> None:
    with admin_of(broker) as admin:
        admin.delete_topics([topic])


def make_topic(broker: str, topic: str, partitions: int = 12) -> None:
    """Makes a topic as a person would, and waits until every partition has a leader."""
    with admin_of(broker) as admin:
        admin.create_topics([NewTopic(topic, partitions, 1)])
        admin.wait_for_topics([topic])


def add_partitions(broker: str, topic: str, count: int) -> None:
    """Gives a topic so many partitions."""
    with admin_of(broker) as admin:
        admin.create_partitions({topic: count})


def ends(broker: str, topic: str, partitions: int = 12) -> list[int]:
    """The end offset of each partition of a topic."""
    consumer = kafka.KafkaConsumer(bootstrap_servers=broker, enable_auto_commit=False, group_id=None)
    try:
        wanted = [kafka.TopicPartition(topic, number) for number in range(partitions)]
        found = consumer.end_offsets(wanted)
        return [found[partition] for partition in wanted]
    finally:
        consumer.close(timeout_ms=2000)


def members(broker: str, group: str) -> dict[str, tuple[str, frozenset[int]]]:
    """The readers of a group: client id → (member id, its partitions). A member that joins anew has a new id."""
    try:
        with admin_of(broker) as admin:
            described = admin.describe_groups([group])[group]
    except kafka.errors.CoordinatorNotAvailableError:
        return {}  # a Kafka that had no group before
    return {
        member["client_id"]: (
            member["member_id"],
            frozenset(
                partition
                for topic in (member["member_assignment"] or {}).get("assigned_partitions", [])
                for partition in topic["partitions"]
            ),
        )
        for member in described["members"]
    }


def wait_for_readers(broker: str, group: str, count: int, partitions: int = 12) -> dict[str, frozenset[int]]:
    """Waits until a group has so many members that share all partitions evenly: client id → its partitions."""

    def shared() -> dict[str, frozenset[int]] | None:
        found = {name: part for name, (_, part) in members(broker, group).items()}
        sizes = sorted(len(part) for part in found.values())
        even = len(sizes) == count and sum(sizes) == partitions and sizes[-1] - sizes[0] <= 1
        return found if even else None

    found = eventually(shared, 30, f"{count} readers of {group}")
    assert found is not None
    return found


def partitions_of(broker: str, topic: str) -> int:
    """How many partitions a topic has."""
    with admin_of(broker) as admin:
        (described,) = admin.describe_topics([topic])
        return len(described["partitions"])


def read_events(broker: str, topic: str) -> tuple[dict[str, dict[str, Any]], int]:
    """The event log from its start to its present end, freed of repeats: entry id → event; and how many repeats."""
    rows = whole_topic(broker, topic)
    events: dict[str, dict[str, Any]] = {}
    for key, value in rows:
        events.setdefault(key.decode(), json.loads(value))
    return events, len(rows) - len(events)


def whole_topic(broker: str, topic: str, partitions: int = 1) -> list[tuple[bytes, bytes]]:
    """All messages (key, value) of a topic up to its present end, those of one partition in their order."""
    consumer = kafka.KafkaConsumer(bootstrap_servers=broker, enable_auto_commit=False, group_id=None)
    try:
        wanted = [kafka.TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(wanted)
        consumer.seek_to_beginning(*wanted)
        ends = consumer.end_offsets(wanted)
        rows: list[tuple[bytes, bytes]] = []
        while any((consumer.position(partition) or 0) < ends[partition] for partition in wanted):
            for partition, batch in consumer.poll(timeout_ms=500).items():
                rows += [(row.key, row.value) for row in batch if row.offset < ends[partition]]
        return rows
    finally:
        consumer.close(timeout_ms=2000)


@contextmanager
def admin_of(broker: str) -> Iterator[Any]:
    """What changes topics."""
    admin = kafka.KafkaAdminClient(bootstrap_servers=broker)
    try:
        yield admin
    finally:
        admin.close()
