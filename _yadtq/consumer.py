"""Reading from Kafka: one thread that owns one consumer of the group.

What it reads goes into the inbox that it was given; what it is told goes through its own queue of orders.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import kafka
from kafka import errors as kafka_errors
from kafka.structs import OffsetAndMetadata

from _yadtq.arrivals import Arrivals
from _yadtq.broker import Broker, connected, unreachable
from _yadtq.claims import Assigned, Connection, Read
from _yadtq.damaged import Damaged, Doubted, tolerate
from _yadtq.errors import ServerUnreachable, YadtqError
from _yadtq.intake import Anew, Done, Order, Place
from _yadtq.keys import Keys
from _yadtq.lookout import Lookout
from _yadtq.messages import Message, Rejected, read_message
from _yadtq.settings import Settings
from _yadtq.topic import Topic

READ_AHEAD = 2000  # messages handed in and not yet answered, at which reading pauses
READ_BATCH_BYTES = 1 << 20  # of one Read: what a take carries to Redis at most, but for one larger message
COMMIT_SECONDS = 1.0
PROBE_SECONDS = 3.0  # how often: is Kafka there, and is the topic still the one that is read?
UNEASY_SECONDS = 1.0  # the same, when it does not seem so
RECONNECT_SECONDS = 0.5
STALLED_PROBES = 4  # in which nothing came of a partition that has more, or it was not placed
UNPLACED = -1
METADATA_MS = 3000  # new partitions are seen after so long
SESSION_MS, HEARTBEAT_MS = 6000, 500  # measured: takeover 6 s after a SIGKILL, 0.3 s to join or to leave


class OutOfStep(Exception):
    """This consumer does not read what it should: another one must take its place."""


class _Listener(kafka.ConsumerRebalanceListener):
    """Notes that the group has thrown this member out: it was not heard of for too long."""

    def __init__(self, evicted: threading.Event) -> None:
        self._evicted = evicted

    def on_partitions_revoked(self, revoked: object) -> None:
        """What stays assigned keeps its place."""

    def on_partitions_assigned(self, assigned: object) -> None:
        """Seen after the poll."""

    def on_partitions_lost(self, lost: object) -> None:
        self._evicted.set()


class Consumer(threading.Thread):
    """Reads the partitions that the consumer group gives to this worker. The owner answers each Read it posts."""

    def __init__(self, settings: Settings, broker: Broker, lookout: Lookout, post: Callable[[object], None]) -> None:
        super().__init__(name="kafka-consumer", daemon=True)
        self._settings, self._broker, self._lookout, self._post = settings, broker, lookout, post
        self._topic, self._group = Keys(settings.namespace).tasks_topic, Keys(settings.namespace).group
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._consumer: Any = None
        self._arrivals: Any = None  # of the consumer
        self._awake = threading.Event()  # there is something to do
        self._reader = 0  # number of the consumer
        self._position: dict[int, int] = {}  # partition → where the next read begins; absent: not placed
        self._placement: dict[int, int] = {}  # partition → number of its last placing
        self._first: set[int] = set()  # placed at the beginning of the log, nothing read yet
        self._announced: set[int] = set()
        self._confirmed: dict[int, int] = {}  # admitted, not yet committed to the group
        self._committed_at = 0.0
        self._outstanding = 0
        self._problem: str | None = None  # nothing is known yet
        self._heard_at, self._probed_at, self._probe_at = 0.0, 0.0, 0.0
        self._out_of_step = 0  # probes in a row
        self._topic_id = ""  # what is read is of this topic, or of a later one
        self._edition: str | None = None  # of the last look
        self._resting: dict[int, float] = {}  # partitions out of range → when they are announced again
        self._still: dict[int, tuple[int, int]] = {}  # partition with more → position, probes that found it there
        self._held_back = False  # since the last probe: reading has paused
        self._doubted: Doubted = set()
        self._evicted = threading.Event()

    # -- told by the owner, from its own thread ----------------------------------------------------------------------

    def obey(self, orders: Iterable[Order]) -> None:
        """Do these things before the next poll, and soon, unless they only say that all goes well."""
        for order in orders:
            self._orders.put(order)
            if not isinstance(order, Done) or self._outstanding >= READ_AHEAD:  # it waits for this
                self._awake.set()

    def leave(self) -> None:
        """Leaves the group, so that others read its partitions at once. Does not wait."""
        self._stopping.set()
        self._awake.set()

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
                self._probe()
            except kafka_errors.OffsetOutOfRangeError as error:
                self._out_of_range(error.args[0])
            except kafka_errors.LogTruncationError as error:
                found = error.divergent_offsets.items()
                self._lookout.differs({tp.partition: end.offset for tp, end in found if end is not None})
                self._out_of_range(error.divergent_offsets)
            except OutOfStep:
                self._disconnect()
                self._stopping.wait(RECONNECT_SECONDS)
            except Exception as error:  # any: without this thread nobody reads its partitions
                known = isinstance(error, ServerUnreachable)
                self._tell(str(error if known else unreachable(self._settings, error)))
                self._disconnect()
                self._stopping.wait(RECONNECT_SECONDS)
        self._disconnect()

    def _connect(self) -> None:
        self._reader += 1
        self._topic_id = self._broker.topic_id()  # first: nothing of an earlier topic is read under this name
        self._consumer = connected(
            kafka.KafkaConsumer,
            self._settings,
            allow_auto_create_topics=False,
            group_id=self._group,
            client_id=self._settings.worker_id,
            enable_auto_commit=False,
            auto_offset_reset="none",
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            isolation_level="read_committed",  # a transaction that another producer has aborted was never submitted
            metadata_max_age_ms=METADATA_MS,
        )
        tolerate(self._consumer._fetcher, self._doubted)
        self._arrivals = Arrivals(self._consumer, self._awake)
        self._consumer.subscribe([self._topic], listener=_Listener(self._evicted))
        # Only then does it join. A leader of the group that learns of the topic while it joins joins again, and may
        # lose track of that (kafka-python 3.0).
        if not self._consumer.partitions_for_topic(self._topic):
            raise kafka_errors.UnknownTopicOrPartitionError(self._topic)
        self._heard_at = time.monotonic()
        if self._problem is None:
            self._tell("")

    def _disconnect(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._position.clear()
        self._first.clear()
        self._announced.clear()
        self._resting.clear()
        self._still.clear()
        self._out_of_step = 0
        if consumer is None:
            return
        try:
            self._commit(consumer)
            consumer.close(timeout_ms=2000)
        except Exception as error:  # it is given up in any case
            logging.getLogger("yadtq").debug("the consumer did not close: %s", error)

    def _tell(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._post(Connection(problem))

    def _probe(self) -> None:
        """Every few seconds: is Kafka there, does it know this reader, is the topic the one that is read, does it come?

        The consumer itself waits without a word when it is not so. Raises OutOfStep when it must begin anew.
        """
        now = time.monotonic()
        if now < self._probe_at:
            return
        self._probed_at, self._probe_at = now, now + PROBE_SECONDS
        try:
            if now - self._heard_at >= PROBE_SECONDS:
                self._check_membership()
            self._check_topic()
        except ServerUnreachable as error:
            if error.server == "kafka":  # of Redis, whoever decides hears for himself
                self._tell(str(error))
        except YadtqError as error:
            logging.getLogger("yadtq").debug("the topic was not compared: %s", error)
        if self._lookout.is_uneasy:
            self._probe_at = now + UNEASY_SECONDS

    def _check_membership(self) -> None:
        """Raises OutOfStep when the group has twice seen this reader with other partitions than it reads."""
        members = self._broker.members()
        self._tell("")
        mine = (self._settings.worker_id, frozenset(tp.partition for tp in self._consumer.assignment()))
        self._out_of_step = 0 if members is None or mine in members else self._out_of_step + 1
        if self._out_of_step > 1:
            raise OutOfStep

    def _check_topic(self) -> None:
        """Raises OutOfStep when the queue reads another topic than this reader, or reads it from elsewhere now."""
        standing, topic = self._lookout.look()
        edition, self._edition = self._edition, standing.edition
        is_moved = edition is not None and edition != standing.edition
        if is_moved or (not self._lookout.is_uneasy and self._topic_id != topic.id):
            raise OutOfStep
        self._notice_stall(topic)

    def _notice_stall(self, topic: Topic) -> None:
        """Raises OutOfStep when nothing has come of a partition for several probes, though Kafka holds more of it.

        So it does when nobody says where a partition is to be read on.
        """
        held_back, self._held_back = self._held_back, False
        still = {p: at for p, at in self._position.items() if at < topic.ends.get(p, 0) and not held_back}
        still |= dict.fromkeys(self._announced - self._position.keys(), UNPLACED)
        before = self._still
        self._still = {p: (at, before[p][1] + 1 if before.get(p, ())[:1] == (at,) else 1) for p, at in still.items()}
        stalled = [p for p, (_, probes) in self._still.items() if probes >= STALLED_PROBES]
        if not stalled:
            return
        ends = self._broker.readable_ends()
        for partition in stalled:
            at, end = self._still.pop(partition)[0], ends.get(partition, 0)
            name = f"partition {partition} of {topic.name}"
            if at == UNPLACED:
                self._tell(f"it was not said where {name} is to be read on: connecting anew")
                raise OutOfStep
            if at < end:
                self._tell(f"nothing comes of {name}, which holds {end - at:,} more messages: connecting anew")
                raise OutOfStep

    def _look(self) -> None:
        """One round: do what was told, follow the assignment, poll, hand in."""
        while not self._orders.empty():
            self._do(self._orders.get())
        room = self._outstanding < READ_AHEAD
        if room and self._consumer.paused():
            self._consumer.resume(*(tp for tp in self._consumer.paused() if tp.partition in self._position))
        elif not room:
            self._consumer.pause(*self._consumer.assignment())
            self._held_back = True
        try:
            records = self._arrivals.poll()
        except kafka_errors.NoOffsetForPartitionError as error:
            records = {}  # just assigned, or evicted and back within one poll: placed (again) below
            self._forget({tp.partition for tp in error.args[0]})
        self._follow_assignment()
        if records:
            self._heard_at = time.monotonic()
            self._tell("")
        for partition, rows in records.items():
            self._hand_in(partition.partition, rows)
        if time.monotonic() - self._committed_at > COMMIT_SECONDS:
            self._skip_markers()
            self._commit(self._consumer)

    def _do(self, order: Order) -> None:
        match order:
            case Place(partition, offset, placement):
                self._place(partition, offset, placement)
            case Done(count, partition, admitted):
                self._answered(count, partition, admitted)
            case Anew(reader):
                if reader == self._reader:
                    raise OutOfStep

    def _follow_assignment(self) -> None:
        assigned = {tp.partition for tp in self._consumer.assignment()}
        if self._evicted.is_set():  # what it has again since then has lost its place
            self._evicted.clear()
            self._forget(set(self._announced))
        self._forget(self._announced - assigned)
        now = time.monotonic()
        self._resting = {partition: until for partition, until in self._resting.items() if until > now}
        fresh = assigned - self._announced - self._resting.keys()
        self._announced |= fresh
        if fresh:
            for partition in fresh:  # nothing is fetched before its owner says where
                self._consumer.pause(self._partition(partition))
                self._consumer.seek(self._partition(partition), 0)
            self._post(Assigned(frozenset(fresh), self._reader, self._topic_id))

    def _forget(self, partitions: set[int]) -> None:
        """These have no place any more."""
        self._announced = self._announced - partitions
        for partition in partitions:
            self._position.pop(partition, None)
            self._first.discard(partition)
            self._confirmed.pop(partition, None)

    def _hand_in(self, partition: int, rows: list[Any]) -> None:
        began = self._position.get(partition)
        if began is None:
            return  # polled before it was placed
        first = partition in self._first
        self._first.discard(partition)
        for batch in _batches(rows):
            following = batch[-1].offset + 1
            messages = tuple(_message(row) for row in batch)
            self._outstanding += len(messages)
            self._post(Read(partition, began, following, self._placement[partition], messages, first))
            began, first = following, False
        self._position[partition] = began

    def _skip_markers(self) -> None:
        """Says where a partition ends in what is no message (the end of a transaction): all before it has been read."""
        for partition, began in self._position.items():
            try:
                reached = self._consumer.position(self._partition(partition), timeout_ms=0)
            except kafka_errors.IllegalStateError:
                continue  # it was taken away just now
            if reached is not None and reached > began:
                self._position[partition] = reached
                self._post(Read(partition, began, reached, self._placement[partition], (), partition in self._first))
                self._first.discard(partition)

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

    def _out_of_range(self, found: Iterable[Any]) -> None:
        """The log of these partitions does not reach what is read next: they are placed anew, after a look at it."""
        partitions = {tp.partition for tp in found}
        self._consumer.pause(*(self._partition(partition) for partition in partitions))
        self._forget(partitions)
        self._resting.update(dict.fromkeys(partitions, time.monotonic() + UNEASY_SECONDS))
        self._probe_at = min(self._probe_at, self._probed_at + UNEASY_SECONDS)

    def _partition(self, number: int) -> Any:
        return kafka.TopicPartition(self._topic, number)


def _message(row: Any) -> Message:
    if isinstance(row.value, Damaged):
        return Rejected(row.offset, len(row.value), row.value, row.value.reason)
    return read_message(row.offset, row.key, row.value, row.headers)


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
