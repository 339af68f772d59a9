"""logger.py while Kafka dies and comes back. This file has a Kafka of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from _yadtq.settings import Settings
from local.kafka_server import KafkaServer
from tests.support.event_sender import EventSender
from tests.support.loggers import Loggers
from tests.support.servers import kafka_at, start_for_run
from tests.support.waiting import eventually


@pytest.fixture
def kafka_server(tmp_path: Path) -> Iterator[KafkaServer]:
    server = kafka_at(tmp_path)
    start_for_run(server)
    yield server
    server.stop()


def test_a_logger_outlives_kafka(kafka_server: KafkaServer, tmp_path: Path) -> None:
    settings = Settings.load({}, kafka_broker=f"127.0.0.1:{kafka_server.place.port}", namespace="t")
    loggers = Loggers(tmp_path / "logs", settings.environment())
    ready = tmp_path / "ready"
    logger = loggers.start(READY_FILE=str(ready))
    try:
        logger.prints("has no topic t_events: the first worker or client makes it (trying again)")
        assert not ready.exists()
        with_events(settings, range(1, 20))
        eventually(lambda: len(loggers.lines("yadtq.log")) == 20)
        eventually(ready.exists)
        kafka_server.stop()
        logger.prints("Kafka does not answer")
        eventually(lambda: not ready.exists())
        kafka_server.start()
        kafka_server.wait_ready()
        with_events(settings, range(15, 40))
        eventually(lambda: len(loggers.lines("audit.jsonl")) == 40)
        eventually(ready.exists)
        assert logger.output.count("Kafka does not answer") == 1
        assert logger.terminate() == 0
        assert loggers.assert_equal_to_the_topic(settings.kafka_broker, "t_events") == 6
    finally:
        loggers.stop()


def with_events(settings: Settings, numbers: range) -> None:
    """Sends events, the first ones behind the marker of their generation, which is sent again."""
    sender = EventSender(settings)
    sender.begin(1)
    sender.events(numbers)
    sender.close()
