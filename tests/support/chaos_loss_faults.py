"""Faults after which a server has less, or something else, than it had: Redis went back in time, the topic is new."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import kafka

from tests.support.chaos_arena import Arena, Stories, Story, tasks_topic
from tests.support.chaos_server_faults import started
from tests.support.chaos_servers import ChaosRedis, TcpProxy, chaos_redis
from tests.support.faults import DOWN_SECONDS, LOOK_SECONDS, Step
from tests.support.kafka_tools import admin_of, ends, partitions_of
from tests.support.ledger import now
from tests.support.programs import RunningProgram

MORE_PARTITIONS = 2
UNREACHABLE = 3  # exit code of server.py
ANYTHING = 0.0  # it may have forgotten whatever happened since


# -- Redis


def redis_restore(arena: Arena, step: Step) -> Story:
    since, kept = now(), arena.folder / "kept"
    arena.redis.copy(kept)
    yield step.seconds
    began = now()
    arena.redis.kill()
    arena.redis.replace(kept)
    yield DOWN_SECONDS
    yield from started(arena.redis)
    _note_loss(arena, step, began, since)


def redis_replica(arena: Arena, step: Step) -> Story:
    """The replica answers at the address of the one that it replaces; later it hands its files over, up to date."""
    replica, link = chaos_redis(arena.folder, "replica"), TcpProxy(("127.0.0.1", arena.redis.place.port))
    yield from started(replica)
    yield from _replicates(arena.redis, replica, link)
    link.mute(True)
    since = now()
    yield step.seconds
    began = now()
    arena.redis.kill()
    link.close()
    with replica.connection() as connection:
        connection.replicaof("NO", "ONE")
    stand_in = TcpProxy(("127.0.0.1", replica.place.port), arena.redis.place.port)
    _note_loss(arena, step, began, since)
    yield step.seconds
    began = now()
    stand_in.close()
    replica.stop()
    replica.copy(arena.folder / "kept")
    shutil.rmtree(replica.place.home)
    arena.redis.replace(arena.folder / "kept")
    yield from started(arena.redis)
    arena.note_outage("redis-stop", began, arena.everybody())


def _replicates(primary: ChaosRedis, replica: ChaosRedis, link: TcpProxy) -> Story:
    """Makes a server the replica of another one; goes on when it has all that the other one has."""
    with primary.connection() as connection:
        connection.config_set("repl-diskless-sync-delay", 0)
    with replica.connection() as connection:
        connection.replicaof("127.0.0.1", str(link.port))
        while connection.info("replication")["master_link_status"] != "up":
            yield LOOK_SECONDS


def redis_lost(arena: Arena, step: Step) -> Story:
    began = now()
    arena.redis.kill()
    arena.redis.replace(None)
    yield step.seconds
    yield from started(arena.redis)
    yield from _rebuilt(arena)
    _note_loss(arena, step, began, ANYTHING)


def _rebuilt(arena: Arena) -> Story:
    """As a person would do it: again, when a server was away meanwhile."""
    code = UNREACHABLE
    while code == UNREACHABLE:
        environment = arena.environment(arena.settings)
        program = RunningProgram(["server.py", "--rebuild"], arena.folder / "rebuild.log", environment)
        while program.process.poll() is None:
            yield LOOK_SECONDS
        code = program.process.returncode
    if code != 0:
        arena.problems.append(f"server.py --rebuild ended with exit code {code}: {program.output[-500:]}")


def _note_loss(arena: Arena, step: Step, began: float, since: float) -> None:
    """Every worker's claims are in question, however soon Redis is back."""
    arena.note(step.kind, began, workers=arena.everybody(), mends="outage", forgets_since=since)


# -- Kafka


def topic_recreated(arena: Arena, step: Step) -> Story:
    began, topic = now(), tasks_topic(arena)
    with _topics(arena) as admin:
        partitions, before = partitions_of(arena.settings.kafka_broker, topic), _identity(admin, topic)
        admin.delete_topics([topic])
        yield step.seconds
        while _identity(admin, topic) in ("", before):  # one of ours may be the first to create it
            _create(admin, topic, partitions)
            yield LOOK_SECONDS
    arena.note(step.kind, began, mends="outage")


def topic_truncated(arena: Arena, step: Step) -> Story:
    began, topic, broker = now(), tasks_topic(arena), arena.settings.kafka_broker
    with _topics(arena) as admin:
        found = ends(broker, topic, partitions_of(broker, topic))
        admin.delete_records({kafka.TopicPartition(topic, number): end for number, end in enumerate(found)})
    arena.note(step.kind, began, mends="outage")
    yield 0.0


def topic_partitions(arena: Arena, step: Step) -> Story:
    began, topic = now(), tasks_topic(arena)
    with _topics(arena) as admin:
        admin.create_partitions({topic: partitions_of(arena.settings.kafka_broker, topic) + MORE_PARTITIONS})
    arena.note(step.kind, began, mends="outage")
    yield 0.0


@contextmanager
def _topics(arena: Arena) -> Iterator[Any]:
    with admin_of(arena.settings.kafka_broker) as admin:
        yield admin


def _identity(admin: Any, topic: str) -> str:
    """The id of a topic; '' when there is none of this name."""
    (described,) = admin.describe_topics([topic])
    return "" if described["error_code"] else str(described["topic_id"])


def _create(admin: Any, topic: str, partitions: int) -> None:
    try:
        admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1}})
    except kafka.errors.TopicAlreadyExistsError:
        return  # the old one is not gone yet, or somebody else was first


STORIES: Stories = {
    "redis-restore": redis_restore,
    "redis-replica": redis_replica,
    "redis-lost": redis_lost,
    "topic-recreated": topic_recreated,
    "topic-truncated": topic_truncated,
    "topic-partitions": topic_partitions,
}
