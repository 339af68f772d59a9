"""Sends messages to Kafka and waits until it keeps them, with the producer that broker.py connects."""

import itertools
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kafka import errors as kafka_errors

from _yadtq.claims import Outgoing

DELIVERY_SECONDS = 8.0  # after so long a message that Kafka has not acknowledged counts as not delivered
BATCH_BYTES = 256 << 10  # of what is sent to one partition at a time


class Publisher:
    """One long-lived producer, made when it is first used and again after a fatal error. Thread-safe.

    make: connects one. Raises ServerUnreachable.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._producer: Any = None
        self._turns = itertools.count(secrets.randbelow(1 << 16))  # clients do not all begin at the same partition

    def close(self) -> None:
        with self._lock:
            if self._producer is not None:
                _end(self._producer, 2)
            self._producer = None

    def publish(self, topic: str, messages: Sequence[Outgoing]) -> list[int | Exception]:
        """Sends messages and waits for Kafka's acknowledgement of each. Returns, for each, its offset or why not.

        An error means that the message may be there or not. Raises ServerUnreachable when none was sent at all.
        """
        producer = self._connected()
        waiting: list[Any] = []
        for run in _runs(messages):
            waiting += self._sent(producer, topic, run)
        results = [_outcome(future) for future in waiting]
        if any(isinstance(r, kafka_errors.KafkaError) and not getattr(r, "retriable", False) for r in results):
            self._drop(producer)
        return results

    def _sent(self, producer: Any, topic: str, run: Sequence[Outgoing]) -> list[Any]:
        """A future or an error of each message. All go to one partition: Kafka and its readers handle them as one."""
        try:
            partitions = sorted(producer.partitions_for(topic))
        except (kafka_errors.KafkaError, OSError) as error:
            return [error] * len(run)
        partition = partitions[next(self._turns) % len(partitions)]
        waiting: list[Any] = []
        for message in run:
            try:
                waiting.append(
                    producer.send(
                        topic, key=message.key, value=message.value, headers=list(message.headers), partition=partition
                    )
                )
            except (kafka_errors.KafkaError, OSError, ValueError) as error:  # the last: the partition is gone
                waiting.append(error)
        return waiting

    def _connected(self) -> Any:
        with self._lock:
            if self._producer is None:
                self._producer = self._make()
            return self._producer

    def _drop(self, producer: Any) -> None:
        """A producer that has met a fatal error sends nothing any more; the next call makes a new one."""
        with self._lock:
            if self._producer is producer:
                self._producer = None
        _end(producer, 0)


def _runs(messages: Sequence[Outgoing]) -> Iterator[Sequence[Outgoing]]:
    """Messages in runs that fit into one batch each: large ones go to several partitions, and so in one request."""
    first = size = 0
    for number, message in enumerate(messages):
        if size and size + len(message.value) > BATCH_BYTES:
            yield messages[first:number]
            first, size = number, 0
        size += len(message.value)
    if first < len(messages):
        yield messages[first:]


def _end(producer: Any, seconds: float) -> None:
    """Closes a producer, whatever it could not send."""
    try:
        producer.close(timeout=seconds)
    except kafka_errors.KafkaError:  # then it has not ended its thread
        producer._sender.force_close()


def _outcome(future: Any) -> int | Exception:
    if isinstance(future, Exception):
        return future
    try:
        return int(future.get(timeout=DELIVERY_SECONDS + 1).offset)
    except (kafka_errors.KafkaError, OSError) as error:
        return error
