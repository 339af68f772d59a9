"""Kafka: topics, publishing, offsets. With publisher.py, consumer.py and event_log.py it imports the kafka package."""

import gc
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import kafka
from kafka import errors as kafka_errors
from kafka.admin import NewTopic, OffsetSpec

from _yadtq.claims import Outgoing
from _yadtq.errors import ServerUnreachable
from _yadtq.keys import Keys
from _yadtq.log import visible
from _yadtq.publisher import BATCH_BYTES, DELIVERY_SECONDS, Publisher
from _yadtq.selector import QuickSelector
from _yadtq.settings import Settings
from _yadtq.tls import answers_plainly, certificate_problem, speaks_tls
from _yadtq.topic import Topic

CONNECT_SECONDS = 4.0
EVENT_BYTES = 8 << 20  # most of one event: a batch of outcomes with results
EVENT_DAYS = 30
API_VERSIONS = b"\0\0\0\x0a\0\x12\0\0\0\0\0\x01\xff\xff"  # a request that every broker answers
HUNG_UP = "socket disconnected"  # the broker has closed a connection, in kafka-python's words
REFUSED = "refuses this login: set KAFKA_USERNAME and KAFKA_PASSWORD, or another KAFKA_SASL_MECHANISM"
REFUSED_LOGIN = (
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.IllegalSaslStateError,
)
SILENT = (
    kafka_errors.KafkaTimeoutError,
    kafka_errors.KafkaConnectionError,
    kafka_errors.NodeNotReadyError,
    OSError,
)  # nobody answers

logging.getLogger("kafka").setLevel(logging.CRITICAL)  # its states are told in our own words, one line a change


def connection(settings: Settings) -> dict[str, Any]:
    """What every client of Kafka is given to connect."""
    options: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in settings.kafka_broker.split(",")],
        "bootstrap_timeout_ms": int(CONNECT_SECONDS * 1000),
        "reconnect_backoff_max_ms": 1000,
        "security_protocol": settings.kafka_security_protocol,
        "selector": QuickSelector,
    }
    if "SSL" in settings.kafka_security_protocol and settings.kafka_ca_file:
        options["ssl_cafile"] = settings.kafka_ca_file
    if settings.kafka_security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_username
        options["sasl_plain_password"] = settings.kafka_password
    return options


def connected(kind: Any, settings: Settings, **options: Any) -> Any:
    """A client of Kafka, of one of kafka-python's kinds, that has reached a broker.

    When a constructor of theirs fails, it leaves a thread that goes on trying, and descriptors: they are ended here.
    It also keeps to itself why, but for its log: what its connections failed of is raised instead.
    """
    made: list[Any] = []
    reasons: list[Exception] = []

    def network(**given: Any) -> Any:
        client = kind.DEFAULT_CONFIG["kafka_client"](**given)
        client.cluster.config["allow_auto_create_topics"] = False  # kafka-python does not hand its own option down
        made.append(client)
        _note_failures(client, reasons)
        return client

    try:
        return kind(**connection(settings), kafka_client=network, **options)
    except BaseException as error:
        for each in made:
            each.close()
        problem = misconfiguration(settings, reasons) if isinstance(error, kafka_errors.KafkaError) else ""
        made.clear()
        reasons.clear()
        gc.collect()  # kafka-python leaves the sockets of failed connections to the collector, which may come late
        if problem:
            raise ServerUnreachable("kafka", f"Kafka at {settings.kafka_broker} {problem}") from error
        raise


def _note_failures(client: Any, reasons: list[Exception]) -> None:
    """Notes why connections of a client fail until it has reached a broker; a refused login is not tried again."""
    manager = client._manager
    connect = manager.get_connection

    def noted(*given: Any, **options: Any) -> Any:
        if reasons and not manager.bootstrapped and isinstance(reasons[-1], REFUSED_LOGIN):
            raise reasons[-1]
        made = connect(*given, **options)
        if not manager.bootstrapped:
            made.init_future.add_errback(reasons.append)
            made.close_future.add_errback(reasons.append)
        return made

    manager.get_connection = noted


class Broker:
    """Topics, publishing and offsets. Connects when it is first used."""

    def __init__(self, settings: Settings) -> None:
        self.keys = Keys(settings.namespace)
        self._settings = settings
        self._lock = threading.Lock()
        self._publisher = Publisher(self._producer)
        self._admin: Any = None

    def close(self) -> None:
        self._publisher.close()
        with self._lock:
            if self._admin is not None:
                self._admin.close()
            self._admin = None

    def publish_tasks(self, tasks: Sequence[tuple[str, bytes, Sequence[tuple[str, bytes]]]]) -> list[Exception | None]:
        """Publishes tasks: id, message and header of each. Returns, for each, None or why it is not sure."""
        outgoing = [Outgoing(task_id.encode(), value, header) for task_id, value, header in tasks]
        outcomes = self.publish(self.keys.tasks_topic, outgoing)
        return [outcome if isinstance(outcome, Exception) else None for outcome in outcomes]

    def publish_events(self, events: Sequence[tuple[str, str]]) -> list[int | Exception]:
        """Publishes entries of the event log: key and JSON of each. Returns and raises as `publish` does."""
        return self.publish(self.keys.events_topic, [Outgoing(key.encode(), event.encode()) for key, event in events])

    def publish(self, topic: str, messages: Sequence[Outgoing]) -> list[int | Exception]:
        """See Publisher.publish."""
        return self._publisher.publish(topic, messages)

    def ends(self) -> dict[int, int]:
        """Partition of the task topic → its end offset."""
        return self._offsets(self.keys.tasks_topic, OffsetSpec.LATEST)

    def readable_ends(self) -> dict[int, int]:
        """The same, but before what belongs to a transaction that is not yet ended."""
        return self._offsets(self.keys.tasks_topic, OffsetSpec.LATEST, "read_committed")

    def topic_id(self) -> str:
        """The id of the task topic, '' when Kafka gives none. A topic of ours that is gone is made again."""
        return str(self._existing()["topic_id"] or "")

    def topic(self) -> Topic:
        """The task topic as it is now; made again when it is gone."""
        found = self._existing()
        starts, ends = (self._offsets_of(found, which) for which in (OffsetSpec.EARLIEST, OffsetSpec.LATEST))
        return Topic(found["name"], str(found["topic_id"] or ""), starts, ends)

    def ends_if_reachable(self) -> dict[int, int] | None:
        """The same, or None when Kafka does not answer."""
        try:
            return self.ends()
        except ServerUnreachable:
            return None

    def delete_tasks(self, below: Mapping[int, int]) -> dict[int, int]:
        """Deletes the messages below an offset of each partition of the task topic. Returns how many, by partition."""
        starts = self._offsets(self.keys.tasks_topic, OffsetSpec.EARLIEST)
        due = {partition: offset for partition, offset in below.items() if offset > starts.get(partition, offset)}
        for partition, offset in due.items():  # one at a time: an error of several does not say what it is
            with self._lock, self._guarded():
                self._connected_admin().delete_records({kafka.TopicPartition(self.keys.tasks_topic, partition): offset})
        return {partition: offset - starts[partition] for partition, offset in due.items()}

    def has_history(self) -> bool:
        """Whether the event log holds anything: then a queue existed, whatever Redis says."""
        return self.events_end() > 0

    def events_end(self) -> int:
        """The end offset of the event log; 0 when there is none."""
        return max(self._offsets(self.keys.events_topic, OffsetSpec.LATEST).values(), default=0)

    def event_topic(self) -> Topic:
        """The topic of the event log as it is now. Raises ServerUnreachable also when there is none: it is not made."""
        (found,) = self._described(self.keys.events_topic)
        starts, ends = (self._offsets_of(found, which) for which in (OffsetSpec.EARLIEST, OffsetSpec.LATEST))
        if not ends:
            name = self.keys.events_topic
            line = f"Kafka at {self._settings.kafka_broker} has no topic {name}: the first worker or client makes it"
            raise ServerUnreachable("kafka", line)
        return Topic(found["name"], str(found["topic_id"] or ""), starts, ends)

    def members(self) -> set[tuple[str, frozenset[int]]] | None:
        """The readers of the group: client id and partitions of each. None while it shares them out."""
        with self._lock, self._guarded():
            group = self._connected_admin().describe_groups([self.keys.group])[self.keys.group]
        if group["group_state"].endswith("Rebalance"):
            return None
        return {
            (
                member["client_id"],
                frozenset(
                    partition
                    for topic in (member["member_assignment"] or {}).get("assigned_partitions", [])
                    for partition in topic["partitions"]
                ),
            )
            for member in group["members"]
        }

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

    # -- connections -----------------------------------------------------------------------------------------------

    def _described(self, *topics: str) -> list[dict[str, Any]]:
        with self._lock, self._guarded():
            found: list[dict[str, Any]] = self._connected_admin().describe_topics(list(topics))
            return found

    def _existing(self) -> dict[str, Any]:
        """The description of the task topic. A topic of ours that is gone is made again."""
        topics = (self.keys.tasks_topic, self.keys.events_topic)
        found = self._described(*topics)
        if any(topic["error_code"] for topic in found):
            self.create_topics()
            found = self._described(*topics)
        return next(topic for topic in found if topic["name"] == self.keys.tasks_topic)

    def _offsets(self, topic: str, which: Any, isolation: str = "read_uncommitted") -> dict[int, int]:
        return self._offsets_of(self._described(topic)[0], which, isolation)

    def _offsets_of(self, described: dict[str, Any], which: Any, isolation: str = "read_uncommitted") -> dict[int, int]:
        """Of each partition in the description of a topic; of none, when there is no such topic."""
        with self._lock, self._guarded():
            if described["error_code"] not in (0, kafka_errors.UnknownTopicOrPartitionError.errno):
                kind: Any = kafka_errors.for_code(described["error_code"])  # type: ignore[no-untyped-call]  # not typed
                raise kind(described["name"])  # without it the topic would seem to be empty
            partitions = [
                kafka.TopicPartition(described["name"], p["partition_index"]) for p in described["partitions"]
            ]
            if not partitions:
                return {}
            found = self._connected_admin().list_partition_offsets(dict.fromkeys(partitions, which), isolation)
            return {partition.partition: offset.offset for partition, offset in found.items()}

    def _connected_admin(self) -> Any:
        if self._admin is None:
            self._admin = connected(kafka.KafkaAdminClient, self._settings, request_timeout_ms=4000)
        return self._admin

    def _producer(self) -> Any:
        with self._lock, self._guarded():
            return connected(
                kafka.KafkaProducer,
                self._settings,
                allow_auto_create_topics=False,
                acks="all",
                # An idempotent producer never sends again after a message in flight has expired (kafka-python 3.0).
                # Repeats do no harm here, and one request at a time keeps the order; it is as fast.
                enable_idempotence=False,
                max_in_flight_requests_per_connection=1,
                linger_ms=0,
                batch_size=BATCH_BYTES,
                max_request_size=EVENT_BYTES,
                delivery_timeout_ms=int(DELIVERY_SECONDS * 1000),
                request_timeout_ms=int(DELIVERY_SECONDS * 1000) // 2,
                max_block_ms=5000,
                metrics_enabled=False,  # nobody reads them, and they cost a third of a millisecond a request
            )

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (kafka_errors.KafkaError, OSError) as error:
            if self._admin is not None:
                self._admin.close()
                self._admin = None
            raise unreachable(self._settings, error) from error


def misconfiguration(settings: Settings, reasons: Sequence[Exception]) -> str:
    """What no waiting mends, and what to set: from that which connections failed of. '' when Kafka seems to be away."""
    for reason in reversed(reasons):
        if isinstance(reason, kafka_errors.IllegalSaslStateError):
            return "has no login on this port: set KAFKA_SECURITY_PROTOCOL to PLAINTEXT or SSL, or KAFKA_BROKER"
        if isinstance(reason, REFUSED_LOGIN):
            return REFUSED
        problem = certificate_problem(reason, "KAFKA_BROKER", "KAFKA_CA_FILE")
        if problem:
            return problem
    host, _, port = settings.kafka_broker.split(",")[0].strip().rpartition(":")
    tls = settings.kafka_security_protocol.endswith("SSL")
    if not tls and speaks_tls(host.strip("[]"), int(port)):
        return "speaks TLS: set KAFKA_SECURITY_PROTOCOL to SSL, or to SASL_SSL where it wants a user"
    if tls and answers_plainly(host.strip("[]"), int(port), API_VERSIONS):
        return "does not speak TLS: set KAFKA_SECURITY_PROTOCOL to PLAINTEXT or SASL_PLAINTEXT, or KAFKA_BROKER"
    if not any(HUNG_UP in str(reason) for reason in reasons):
        return ""
    if "SASL" in settings.kafka_security_protocol:  # kafka-python loses an answer that comes together with the end
        return REFUSED
    return "hangs up on who has not logged in: set KAFKA_SECURITY_PROTOCOL to SASL_SSL or SASL_PLAINTEXT, and a user"


def unreachable(settings: Settings, error: Exception) -> ServerUnreachable:
    """One line: what happened, to what, what to do."""
    if isinstance(error, ServerUnreachable):
        return error
    where = f"Kafka at {settings.kafka_broker}"
    name = type(error).__name__
    if isinstance(error, kafka_errors.AuthorizationError):
        keys = Keys(settings.namespace)
        group = isinstance(error, kafka_errors.GroupAuthorizationFailedError)
        what = f"the group {keys.group}" if group else f"the topics {keys.tasks_topic} and {keys.events_topic}"
        return ServerUnreachable(
            "kafka",
            f"{where} lacks rights for the user {settings.kafka_username!r} on {what}: give it those of "
            "docs/security.md, or set KAFKA_USERNAME and KAFKA_PASSWORD",
        )
    if isinstance(error, SILENT):
        return ServerUnreachable(
            "kafka", f"Kafka does not answer at {settings.kafka_broker}: start it or set KAFKA_BROKER"
        )
    return ServerUnreachable("kafka", f"{where}: {name}: {visible(str(error)[:200])}")
