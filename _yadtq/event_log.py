"""The event log in Kafka: how it is written and read. Which of its entries count: history.py, event_reader.py."""

import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import kafka
from kafka import errors as kafka_errors

from _yadtq.broker import EVENT_BYTES, Broker, connected, unreachable
from _yadtq.damaged import Doubted, tolerate
from _yadtq.errors import ServerUnreachable
from _yadtq.events import StrangeEntry, entry_of
from _yadtq.history import Entry, Row, marker, stamped
from _yadtq.settings import Settings

READ_SECONDS = 10.0  # without an entry that must be there
IDLE_SECONDS = 1.0  # in which nothing came


class EventLog:
    """Appends to the log, and reads it."""

    def __init__(self, settings: Settings, broker: Broker) -> None:
        self._settings, self._broker = settings, broker
        self._doubted: Doubted = set()

    def append(self, generation: str, entries: Sequence[tuple[str, str]]) -> tuple[int, int, Exception | None]:
        """Sends entries of the outbox: id and JSON of each.

        Returns how many Kafka has, none missing before the last of them, the offset behind them, and what went wrong.
        """
        outcomes = self._broker.publish_events([stamped(generation, *entry) for entry in entries])
        offset, sent = 0, 0
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                return sent, offset, outcome
            offset, sent = outcome + 1, sent + 1
        return sent, offset, None

    def begin(self, generation: int, before: int, kept: int) -> int:
        """Appends the marker of a generation: see there. Returns its offset."""
        (outcome,) = self._broker.publish_events([marker(generation, before, kept)])
        if isinstance(outcome, Exception):
            raise ServerUnreachable("kafka", f"Kafka has not taken an event: {outcome}; it is tried again")
        return outcome

    def read(self, first: int, end: int) -> Iterator[Entry]:
        """The entries from an offset on, or from where the log begins now, up to the offset `end`.

        What is no event is passed over; EventReader, which the logger and the server use, tells of it.
        """
        if first >= end:
            return
        with self._consumer() as (consumer, partition):
            tolerate(consumer._fetcher, self._doubted)
            consumer.seek(partition, max(first, consumer.beginning_offsets([partition])[partition]))
            while consumer.position(partition) < end:
                rows = consumer.poll(timeout_ms=int(READ_SECONDS * 1000)).get(partition, [])
                if not rows:
                    raise ServerUnreachable("kafka", "Kafka does not give the event log: it is read again")
                for row in rows:
                    if row.offset < end:
                        yield from _entries(row)

    def follow(self, first: int) -> Generator[tuple[list[Row], int]]:
        """The messages from an offset on, as they come, and the offset behind them; none when none came for a second.

        Ends when Kafka has no such offset any more. It does not notice that Kafka is away, or the topic another one:
        its caller asks for that. Raises ServerUnreachable when it cannot connect.
        """
        with self._consumer() as (consumer, partition):
            tolerate(consumer._fetcher, self._doubted)
            consumer.seek(partition, first)
            while True:
                try:
                    rows = consumer.poll(timeout_ms=int(IDLE_SECONDS * 1000)).get(partition, [])
                except (kafka_errors.OffsetOutOfRangeError, kafka_errors.LogTruncationError):
                    return
                yield [_row(each) for each in rows], rows[-1].offset + 1 if rows else consumer.position(partition)

    @contextmanager
    def _consumer(self) -> Iterator[Any]:
        """A reader of the log, and its partition. What fails of it is a ServerUnreachable."""
        partition = kafka.TopicPartition(self._broker.keys.events_topic, 0)
        consumer: Any = None
        try:
            consumer = connected(
                kafka.KafkaConsumer,
                self._settings,
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",
                max_partition_fetch_bytes=EVENT_BYTES,
                allow_auto_create_topics=False,
            )
            consumer.assign([partition])
            yield consumer, partition
        except (kafka_errors.KafkaError, OSError) as error:
            raise unreachable(self._settings, error) from error
        finally:
            if consumer is not None:
                consumer.close(timeout_ms=2000)


def _row(record: Any) -> Row:
    return Row(record.offset, record.key, record.value, (record.timestamp or 0) / 1000)


def _entries(record: Any) -> Iterator[Entry]:
    """The entry of a message, none of one that is no event: it must not keep Redis from being led back."""
    try:
        yield entry_of(_row(record))
    except StrangeEntry as error:
        logging.getLogger("yadtq").debug("offset %d of the event log is no event: %s", record.offset, error)
