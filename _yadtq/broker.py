"""Kafka: topics, publishing, reading. The only file that imports the kafka package.

`Broker` belongs to a process and may be used from every thread. `Reader` is one thread that owns one consumer; what it
reads goes into the inbox that it was given, and what it is told goes through its own queue.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import kafka
from kafka import errors as kafka_errors
from kafka.admin import NewTopic, OffsetSpec
from kafka.structs import OffsetAndMetadata

from _yadtq.claims import Assigned, Connection, Outgoing, OutOfRange, Read
from _yadtq.errors import ServerUnreachable
from _yadtq.intake import Order, Place
from _yadtq.keys import Keys
from _yadtq.messages import read_message
from _yadtq.settings import Settings

DELIVERY_SECONDS = 8.0  # after so long a message that Kafka has not acknowledged counts as not delivered
CONNECT_SECONDS = 4.0
EVENT_BYTES = 8 << 20  # most of one event: a batch of outcomes with results
EVENT_DAYS = 30
READ_AHEAD = 2000  # messages handed in and not yet answered, at which reading pauses
READ_BATCH_BYTES = 1 << 20  # of one Read: what a take carries to Redis at most, but for one larger message
COMMIT_SECONDS = 1.0
SESSION_MS, HEARTBEAT_MS = 6000, 500  # measured: takeover 6 s after a SIGKILL, 0.3 s to join or to leave

logging.getLogger("kafka").setLevel(logging.CRITICAL)  # its states are told in our own words, one line a change


def connection(settings: Settings) -> dict[str, Any]:
    """What every client of Kafka is given to connect."""
    options: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in settings.kafka_broker.split(",")],
        "bootstrap_timeout_ms": int(CONNECT_SECONDS * 1000),
        "reconnect_backoff_max_ms": 1000,
        "security_protocol": settings.kafka_security_protocol,
    }
    if "SSL" in settings.kafka_security_protocol and settings.kafka_ca_file:
        options["ssl_cafile"] = settings.kafka_ca_file
    if settings.kafka_security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_username
        options["sasl_plain_password"] = settings.kafka_password
    return options


class Broker:
    """Topics, publishing and offsets. Connects when it is first used."""

    def __init__(self, settings: Settings) -> None:
        self.keys = Keys(settings.namespace)
        self._settings = settings
        self._lock = threading.Lock()
        self._producer: Any = None
        self._admin: Any = None

    def close(self) -> None:
        with self._lock:
            if self._producer is not None:
                self._producer.close(timeout=2)
            if self._admin is not None:
                self._admin.close()
            self._producer = self._admin = None

    def publish_tasks(self, tasks: Sequence[tuple[str, bytes, Sequence[tuple[str, bytes]]]]) -> list[Exception | None]:
        """Publishes tasks: id, message and header of each. Returns and raises as `publish` does."""
        return self.publish(self.keys.tasks_topic, [Outgoing(i.encode(), value, header) for i, value, header in tasks])

    def publish_events(self, events: Sequence[tuple[str, str]]) -> list[Exception | None]:
        """Publishes entries of the outbox: id and JSON of each. Returns and raises as `publish` does."""
        return self.publish(
            self.keys.events_topic, [Outgoing(entry.encode(), event.encode()) for entry, event in events]
        )

    def publish(self, topic: str, messages: Sequence[Outgoing]) -> list[Exception | None]:
        """Sends messages and waits for Kafka's acknowledgement of each. Returns, for each, None or why it is not sure.

        An error means that the message may be there or not. Raises ServerUnreachable when none was sent at all.
        """
        producer = self._connected_producer()
        waiting: list[Any] = []
        for message in messages:
            try:
                waiting.append(
                    producer.send(topic, key=message.key, value=message.value, headers=list(message.headers))
                )
            except (kafka_errors.KafkaError, OSError) as error:
                waiting.append(error)
        results = [_outcome(future) for future in waiting]
        if any(isinstance(r, kafka_errors.KafkaError) and not getattr(r, "retriable", False) for r in results):
            self._drop_producer(producer)
        return results

    def ends(self) -> dict[int, int]:
        """Partition of the task topic → its end offset."""
        return self._offsets(self.keys.tasks_topic, OffsetSpec.LATEST)

    def ends_if_reachable(self) -> dict[int, int] | None:
        """The same, or None when Kafka does not answer."""
        try:
            return self.ends()
        except ServerUnreachable:
            return None

    def has_history(self) -> bool:
        """Whether the event log holds anything: then a queue existed, whatever Redis says."""
        return any(self._offsets(self.keys.events_topic, OffsetSpec.LATEST).values())

    def problem(self) -> str:
        """'' when a broker answers, else one line."""
        try:
            with self._lock, self._guarded():
                self._connected_admin().describe_cluster()
        except ServerUnreachable as error:
            return str(error)
        return ""

    def create_topics(self) -> None:
        """Makes the topics that do not exist yet."""
        s = self._settings
        forever = {"retention.ms": "-1", "retention.bytes": "-1"}
        some_days = {"retention.ms": str(EVENT_DAYS * 86_400_000), "max.message.bytes": str(EVENT_BYTES + 4096)}
        wanted = {
            self.keys.tasks_topic: NewTopic(self.keys.tasks_topic, s.partitions, s.replication, topic_configs=forever),
            self.keys.events_topic: NewTopic(self.keys.events_topic, 1, s.replication, topic_configs=some_days),
        }
        with self._lock, self._guarded():
            admin = self._connected_admin()
            missing = [topic for name, topic in wanted.items() if name not in set(admin.list_topics())]
            for topic in missing:
                try:
                    admin.create_topics([topic], timeout_ms=5000)
                except kafka_errors.TopicAlreadyExistsError:
                    continue  # another program was faster
            if missing:
                admin.wait_for_topics(list(wanted), timeout_ms=5000)

    def reader(self, post: Callable[[object], None], client_id: str) -> "Reader":
        """A thread, not started, that reads the task topic as a member of the consumer group."""
        return Reader(self._settings, self, post, client_id)

    # -- connections -----------------------------------------------------------------------------------------------

    def _offsets(self, topic: str, which: Any) -> dict[int, int]:
        with self._lock, self._guarded():
            admin = self._connected_admin()
            described = admin.describe_topics([topic])[0]
            partitions = [kafka.TopicPartition(topic, p["partition_index"]) for p in described["partitions"]]
            if not partitions:
                return {}
            found = admin.list_partition_offsets(dict.fromkeys(partitions, which))
            return {partition.partition: offset.offset for partition, offset in found.items()}

    def _connected_admin(self) -> Any:
        if self._admin is None:
            self._admin = kafka.KafkaAdminClient(**connection(self._settings), request_timeout_ms=4000)
        return self._admin

    def _connected_producer(self) -> Any:
        with self._lock:
            if self._producer is None:
                with self._guarded():
                    self._producer = kafka.KafkaProducer(
                        **connection(self._settings),
                        allow_auto_create_topics=False,
                        acks="all",
                        linger_ms=0,
                        batch_size=256 << 10,
                        max_request_size=EVENT_BYTES,
                        delivery_timeout_ms=int(DELIVERY_SECONDS * 1000),
                        request_timeout_ms=int(DELIVERY_SECONDS * 1000) // 2,
                        max_block_ms=5000,
                    )
            return self._producer

    def _drop_producer(self, producer: Any) -> None:
        """A producer that has met a fatal error sends nothing any more; the next call makes a new one."""
        with self._lock:
            if self._producer is producer:
                self._producer = None
        producer.close(timeout=0)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (kafka_errors.KafkaError, OSError) as error:
            if self._admin is not None:
                self._admin.close()
                self._admin = None
            raise unreachable(self._settings, error) from error


def unreachable(settings: Settings, error: Exception) -> ServerUnreachable:
    """One line: what happened, to what, what to do."""
    where = f"Kafka at {settings.kafka_broker}"
    name = type(error).__name__
    if "Authentication" in name:
        return ServerUnreachable("kafka", f"{where} refuses this user or password: set KAFKA_USERNAME, KAFKA_PASSWORD")
    if "Authorization" in name:
        return ServerUnreachable("kafka", f"{where} does not allow this user to do that ({name}): see docs/security.md")
    if isinstance(error, (kafka_errors.KafkaTimeoutError, kafka_errors.KafkaConnectionError, OSError)):
        return ServerUnreachable(
            "kafka", f"Kafka does not answer at {settings.kafka_broker}: start it or set KAFKA_BROKER"
        )
    return ServerUnreachable("kafka", f"{where}: {name}: {str(error)[:200]}")


def _outcome(future: Any) -> Exception | None:
    if isinstance(future, Exception):
        return future
    try:
        future.get(timeout=DELIVERY_SECONDS + 1)
    except (kafka_errors.KafkaError, OSError) as error:
        return error
    return None


# -- reading --------------------------------------------------------------------------------------------------------


class Reader(threading.Thread):
    """Reads the partitions that the consumer group gives to this worker. The owner answers each Read it posts."""

    def __init__(self, settings: Settings, broker: Broker, post: Callable[[object], None], client_id: str) -> None:
        super().__init__(name="kafka-reader", daemon=True)
        self._settings, self._broker, self._post, self._client_id = settings, broker, post, client_id
        self._topic, self._group = Keys(settings.namespace).tasks_topic, Keys(settings.namespace).group
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._consumer: Any = None
        self._position: dict[int, int] = {}  # partition → where the next read begins; absent: not placed
        self._placement: dict[int, int] = {}  # partition → number of its last placing
        self._first: set[int] = set()  # placed at the beginning of the log, nothing read yet
        self._announced: set[int] = set()
        self._confirmed: dict[int, int] = {}  # admitted, not yet committed to the group
        self._committed_at = 0.0
        self._outstanding = 0
        self._problem = ""

    # -- told by the owner, from its own thread ----------------------------------------------------------------------

    def obey(self, orders: Iterable[Order]) -> None:
        """Do these things before the next poll."""
        for order in orders:
            self._orders.put(order)

    def leave(self) -> None:
        """Leaves the group, so that others read its partitions at once. Does not wait."""
        self._stopping.set()

    def stop(self, seconds: float) -> None:
        """Leaves the group and waits so long for the thread's end."""
        self.leave()
        if self.ident is not None:
            self.join(seconds)

    # -- the thread --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._consumer is None:
                    self._connect()
                self._look()
                self._tell("")
            except kafka_errors.OffsetOutOfRangeError as error:
                self._out_of_range(error)
            except (kafka_errors.KafkaError, OSError) as error:
                self._tell(str(unreachable(self._settings, error)))
                self._disconnect()
                self._stopping.wait(0.5)
        self._disconnect()

    def _connect(self) -> None:
        self._broker.create_topics()
        self._consumer = kafka.KafkaConsumer(
            **connection(self._settings),
            allow_auto_create_topics=False,
            group_id=self._group,
            client_id=self._client_id,
            enable_auto_commit=False,
            auto_offset_reset="none",  # type: ignore[arg-type]  # the stubs do not know it
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            max_poll_records=500,
            metadata_max_age_ms=30_000,
        )
        self._consumer.subscribe([self._topic])

    def _disconnect(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._position.clear()
        self._first.clear()
        self._announced.clear()
        if consumer is None:
            return
        try:
            self._commit(consumer)
            consumer.close(timeout_ms=2000)
        except (kafka_errors.KafkaError, OSError) as error:
            logging.getLogger("yadtq").debug("the consumer did not close: %s", error)

    def _tell(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._post(Connection(problem))

    def _look(self) -> None:
        """One round: do what was told, follow the assignment, poll, hand in."""
        while not self._orders.empty():
            order = self._orders.get()
            if isinstance(order, Place):
                self._place(order.partition, order.offset, order.placement)
            else:
                self._answered(order.count, order.partition, order.admitted)
        waiting = bool(self._announced - self._position.keys())
        room = self._outstanding < READ_AHEAD
        if room and self._consumer.paused():
            self._consumer.resume(*(tp for tp in self._consumer.paused() if tp.partition in self._position))
        elif not room:
            self._consumer.pause(*self._consumer.assignment())
        try:
            records = self._consumer.poll(timeout_ms=20 if waiting or not room else 200)
        except kafka_errors.NoOffsetForPartitionError:
            records = {}  # a partition that was just assigned: it is placed below
        self._follow_assignment()
        for partition, rows in records.items():
            self._hand_in(partition.partition, rows)
        if time.monotonic() - self._committed_at > COMMIT_SECONDS:
            self._commit(self._consumer)

    def _follow_assignment(self) -> None:
        assigned = {tp.partition for tp in self._consumer.assignment()}
        for gone in self._announced - assigned:
            self._position.pop(gone, None)
            self._first.discard(gone)
            self._confirmed.pop(gone, None)
        fresh = assigned - self._announced
        self._announced = assigned
        if fresh:
            for partition in fresh:  # nothing is fetched before its owner says where
                self._consumer.pause(self._partition(partition))
                self._consumer.seek(self._partition(partition), 0)
            self._post(Assigned(frozenset(fresh)))

    def _hand_in(self, partition: int, rows: list[Any]) -> None:
        began = self._position.get(partition)
        if began is None:
            return  # polled before it was placed
        first = partition in self._first
        self._first.discard(partition)
        for batch in _batches(rows):
            following = batch[-1].offset + 1
            messages = tuple(read_message(row.offset, row.key, row.value, row.headers) for row in batch)
            self._outstanding += len(messages)
            self._post(Read(partition, began, following, self._placement[partition], messages, first))
            began, first = following, False
        self._position[partition] = began

    def _place(self, partition: int, offset: int | None, placement: int) -> None:
        if partition not in self._announced or self._consumer is None:
            return  # it was taken away meanwhile
        tp = self._partition(partition)
        if offset is None:
            offset = self._consumer.beginning_offsets([tp])[tp]
            self._first.add(partition)
        self._consumer.seek(tp, offset)
        self._consumer.resume(tp)
        self._position[partition], self._placement[partition] = offset, placement
        self._post(Read(partition, offset, offset, placement, (), partition in self._first))

    def _answered(self, count: int, partition: int, admitted: int | None) -> None:
        self._outstanding -= count
        if admitted is not None and partition in self._announced:
            self._confirmed[partition] = admitted

    def _commit(self, consumer: Any) -> None:
        """Mirrors what is admitted to the group, for tools that show lag. The queue itself does not read it."""
        self._committed_at = time.monotonic()
        if self._confirmed:
            consumer.commit_async(
                {self._partition(p): OffsetAndMetadata(offset, "", -1) for p, offset in self._confirmed.items()}
            )
            self._confirmed = {}

    def _out_of_range(self, error: Any) -> None:
        for tp, offset in dict(error.args[0]).items():
            self._position.pop(tp.partition, None)
            self._consumer.pause(tp)
            self._post(OutOfRange(tp.partition, int(offset)))

    def _partition(self, number: int) -> Any:
        return kafka.TopicPartition(self._topic, number)


def _batches(rows: list[Any]) -> Iterator[list[Any]]:
    """Records in order, in parts of bounded size."""
    part: list[Any] = []
    size = 0
    for row in rows:
        if part and size + row.serialized_value_size > READ_BATCH_BYTES:
            yield part
            part, size = [], 0
        part.append(row)
        size += max(0, row.serialized_value_size)
    if part:
        yield part
