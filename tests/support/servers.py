"""The servers that integration tests use: embedded ones, started once a run on free ports, or those of a developer."""

import contextlib
import os
from pathlib import Path

import kafka
import pytest
import redis

from local.embedded_server import EmbeddedServer, Place
from local.errors import StartFailed
from local.kafka_jars import kafka_jars
from local.kafka_server import KafkaServer
from local.ports import free_port
from local.redis_server import RedisServer

ROOT = Path(__file__).resolve().parents[2]
JARS = ROOT / ".yadtq" / "jars"

# host:port of a running server to use instead of an embedded one.
KAFKA_VARIABLE, REDIS_VARIABLE = "YADTQ_TEST_KAFKA", "YADTQ_TEST_REDIS"


def kafka_at(folder: Path, port: int = 0) -> KafkaServer:
    """An embedded Kafka that is not started yet. port 0: a free one. Raises StartFailed when its jars cannot be had."""
    jars = kafka_jars(JARS)
    return KafkaServer(Place(folder / "kafka", folder / "kafka.log", port or free_port()), jars)


def redis_at(folder: Path, port: int = 0) -> RedisServer:
    """An embedded Redis that is not started yet. port 0: a free one."""
    return RedisServer(Place(folder / "redis", folder / "redis.log", port or free_port()))


def start_for_run(server: EmbeddedServer) -> None:
    """Starts a server that the whole run needs; without it no result would mean anything, so the run ends."""
    try:
        server.start()
        server.wait_ready()
    except StartFailed as error:
        pytest.exit(f"the test run needs {server.name}: {error}", returncode=1)


def own_server(variable: str) -> tuple[str, int] | None:
    """The address of a developer's server that an environment variable names."""
    host, _, port = os.environ.get(variable, "").rpartition(":")
    return (host, int(port)) if host else None


def remove_queue(namespace: str, broker: str, redis_address: tuple[str, int]) -> None:
    """Deletes the topics and keys of a test's queue. It keeps the servers small; no test relies on it."""
    with contextlib.suppress(kafka.errors.KafkaError):
        admin = kafka.KafkaAdminClient(bootstrap_servers=broker)
        try:
            topics = [topic for topic in admin.list_topics() if topic.startswith(namespace)]
            if topics:
                admin.delete_topics(topics)
        finally:
            admin.close()
    host, port = redis_address
    with contextlib.suppress(redis.RedisError), redis.Redis(host, port) as connection:
        keys = list(connection.scan_iter(match=f"*{{{namespace}}}*", count=1000))
        for start in range(0, len(keys), 1000):
            connection.unlink(*keys[start : start + 1000])
