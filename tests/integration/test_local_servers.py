"""The embedded servers: they serve, keep what they were given, and say in one line why they do not start."""

import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kafka
import pytest
import redis

from local.embedded_server import EmbeddedServer
from local.errors import StartFailed
from tests.support.servers import kafka_at, redis_at


def test_the_servers_of_a_run_speak_their_protocols(kafka_broker: str, redis_address: tuple[str, int]) -> None:
    producer = kafka.KafkaProducer(bootstrap_servers=kafka_broker)
    sent: Any = producer.send(f"hello-{secrets.token_hex(5)}", b"world")
    assert sent.get(timeout=10).offset == 0
    producer.close(timeout=5)
    with redis.Redis(*redis_address) as connection:
        assert connection.config_get("appendonly", "appendfsync", "maxmemory-policy", "bind") == {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "bind": "127.0.0.1",
        }


def test_redis_keeps_its_data_over_a_restart(tmp_path: Path) -> None:
    server = redis_at(tmp_path)
    for seen in (None, b"1"):
        server.start()
        server.wait_ready()
        with redis.Redis("127.0.0.1", server.place.port) as connection:
            assert connection.get("kept") == seen
            connection.set("kept", "1")
        server.stop()
        assert not server.is_running()
        assert not server.answers()


def test_kafka_keeps_its_data_over_a_restart(tmp_path: Path) -> None:
    server = kafka_at(tmp_path)
    for offset in range(2):
        server.start()
        server.wait_ready()
        producer = kafka.KafkaProducer(bootstrap_servers=f"127.0.0.1:{server.place.port}")
        sent: Any = producer.send("kept", b"x", partition=0)
        assert sent.get(timeout=10).offset == offset
        producer.close(timeout=5)
        server.stop()
        assert not server.is_running()


@pytest.mark.parametrize(("make", "setting"), [(redis_at, "REDIS_HOST"), (kafka_at, "KAFKA_BROKER")])
def test_a_port_in_use_is_said_in_one_line(
    make: Callable[[Path, int], EmbeddedServer], setting: str, tmp_path: Path
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        server = make(tmp_path, other.getsockname()[1])
        with pytest.raises(StartFailed, match=rf"port {server.place.port}, .* in use.*{setting}"):
            server.start()


def test_a_kafka_that_ends_while_it_starts_is_said_with_its_log(tmp_path: Path) -> None:
    server = kafka_at(tmp_path)
    data = server.place.home / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("version=99\n", encoding="ascii")
    server.start()
    with pytest.raises(StartFailed, match=r"Kafka ended while it started.*kafka\.log"):
        server.wait_ready()
    server.stop()
    assert "version" in server.place.log.read_text(encoding="utf-8")
