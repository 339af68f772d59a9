"""What stands between a program and Kafka: the surface of Broker, and of the consumer that the real reader drives."""

from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import kafka
from kafka import errors as kafka_errors

from _yadtq.claims import Outgoing
from _yadtq.consumer import Consumer
from _yadtq.errors import ServerUnreachable
from _yadtq.intake import Order
from _yadtq.keys import Keys
from _yadtq.lookout import Lookout
from _yadtq.settings import Settings
from _yadtq.topic import Topic
from tests.simulation.kafka_log import LATE_SECONDS, Flight, Member, Record
from tests.simulation.plan import NAMESPACE
from tests.simulation.stage import Actor, Event, Process

if TYPE_CHECKING:
    from tests.simulation.world import World

TOPIC_ID = "simulated"
IDLE_SECONDS = 1.0  # a poll that finds nothing lasts at least so long: there is nothing to see meanwhile
MOST_RECORDS = 4  # of one partition in one poll


class SimulatedBroker:
    """Topics, publishing and offsets, for one process."""

    def __init__(self, settings: Settings, world: "World", process: Process) -> None:
        self.keys = Keys(settings.namespace)
        self._world, self._process = world, process

    def close(self) -> None:
        """Nothing is open."""

    def create_topics(self) -> None:
        self._reach()

    def has_history(self) -> bool:
        self._reach()
        return bool(self._world.kafka.events)

    def events_end(self) -> int:
        self._reach()
        return len(self._world.kafka.events)

    def ends(self) -> dict[int, int]:
        self._reach()
        return self._world.kafka.ends()

    def readable_ends(self) -> dict[int, int]:
        return self.ends()

    def topic_id(self) -> str:
        self._reach()
        return TOPIC_ID

    def topic(self) -> Topic:
        ends = self.ends()
        return Topic(self.keys.tasks_topic, TOPIC_ID, dict.fromkeys(ends, 0), ends)

    def members(self) -> set[tuple[str, frozenset[int]]] | None:
        self._reach()
        log = self._world.kafka
        return None if log.unbalanced else {(member.name, member.assigned) for member in log.members}

    def publish_tasks(self, tasks: Sequence[tuple[str, bytes, Sequence[tuple[str, bytes]]]]) -> list[Exception | None]:
        log = self._world.kafka
        messages = [Outgoing(name.encode(), value, list(header)) for name, value, header in tasks]
        outcomes = self._publish([(each, log.partition_of(each.key)) for each in messages])
        return [outcome if isinstance(outcome, Exception) else None for outcome in outcomes]

    def publish_events(self, events: Sequence[tuple[str, str]]) -> list[int | Exception]:
        if self._world.no_events_until > self._world.stage.now:
            self._world.stage.wait(0.5)
            raise ServerUnreachable("kafka", "simulated: Kafka takes no events")
        return self._publish([(Outgoing(entry.encode(), event.encode()), None) for entry, event in events])

    def _publish(self, messages: list[tuple[Outgoing, int | None]]) -> list[int | Exception]:
        """One message after the other. What is on its way when the process dies may still arrive."""
        if not messages:
            return []
        self._reach()
        sent: list[int | Exception] = []
        for message, partition in messages:
            flight = Flight(message.key, message.value, list(message.headers), partition, self._world.stage.now)
            actor = self._world.stage.actor
            self._world.under_way[actor] = flight
            self._world.stage.point()
            fate = self._world.faults.of_message(self._process)
            if fate == "die":
                self._world.kill(self._process)
                self._world.stage.point()
            del self._world.under_way[actor]
            sent.append(self._send(flight, fate))
        if any(isinstance(outcome, Exception) for outcome in sent):
            self._world.stage.wait(self._world.rng.choice((0.01, 0.3, LATE_SECONDS)))
        return sent

    def _send(self, flight: Flight, fate: str) -> int | Exception:
        """What the producer learns."""
        world, name, record = self._world, (flight.key or b"").decode(), None
        if fate:
            world.trace(f"{self._process.name}: message {name} is {fate}")
        if fate == "late":
            soonest = world.stage.now + world.rng.choice((0.0, LATE_SECONDS / 4, LATE_SECONDS / 2))
            world.kafka.flights.append(Flight(flight.key, flight.value, flight.headers, flight.partition, soonest))
        elif fate != "refused":
            for _ in range(2 if fate == "twice" else 1):
                record = world.kafka.append(flight)
                world.trace(f"{self._process.name}: message {name} is in Kafka at {record.offset}")
        if record is None or fate == "unacknowledged":
            return kafka_errors.KafkaTimeoutError(f"simulated: {fate}")
        return record.offset

    def _reach(self) -> None:
        """Raises where Kafka cannot be reached."""
        self._world.stage.point()
        if max(self._process.no_kafka_until, self._world.no_kafka_until) > self._world.stage.now:
            self._world.stage.wait(0.5)
            raise ServerUnreachable("kafka", "simulated: Kafka does not answer")


class KafkaReader:
    """The part of kafka.KafkaConsumer that the reader of a worker uses."""

    def __init__(self, world: "World", process: Process, name: str) -> None:
        self._world, self._process = world, process
        self._fetcher = SimpleNamespace(PartitionRecords=None)
        self._member = Member(name, self._is_silent)
        self._listener: Any = None
        self._topic = ""
        self._position: dict[int, int | None] = {}  # of what is assigned, as far as this reader knows
        self._paused: set[int] = set()
        self._seen = -1

    def _is_silent(self) -> bool:
        now, process = self._world.stage.now, self._process
        return process.gone or max(process.stopped_until, process.no_kafka_until) > now

    # -- the group

    def subscribe(self, topics: list[str], listener: Any) -> None:
        self._topic, self._listener = topics[0], listener
        self._world.kafka.join(self._member)

    def close(self, timeout_ms: int) -> None:
        self._world.kafka.leave(self._member)

    def assignment(self) -> set[Any]:
        return {self._at(number) for number in sorted(self._position)}

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(self._world.kafka.partitions))

    def _follow_group(self) -> None:
        """Learns what the group has decided since the last poll."""
        member = self._member
        if member.evicted:
            member.evicted = False
            self._world.trace(f"{self._process.name}: was thrown out of the group")
            self._listener.on_partitions_lost(self.assignment())
            self._position.clear()
            self._paused.clear()
            self._world.kafka.join(member)
        for number in sorted(self._position.keys() - member.assigned):
            del self._position[number]
            self._paused.discard(number)
        for number in sorted(member.assigned - self._position.keys()):
            self._position[number] = None

    # -- reading

    def poll(self, timeout_ms: int) -> dict[Any, list[Record]]:
        log = self._world.kafka
        if log.version == self._seen and not self._process.nudged:
            self._world.stage.wait(max(timeout_ms / 1000, IDLE_SECONDS), self._has_news)
        else:
            self._world.stage.point()
        self._process.nudged = False
        if max(self._process.no_kafka_until, self._world.no_kafka_until) > self._world.stage.now:
            self._world.stage.wait(IDLE_SECONDS)
            return {}  # the real one waits without a word
        self._seen = log.version
        self._follow_group()
        unplaced = [n for n, offset in self._position.items() if offset is None and n not in self._paused]
        if unplaced:
            raise kafka_errors.NoOffsetForPartitionError([self._at(number) for number in unplaced])
        return {self._at(number): rows for number in sorted(self._position) if (rows := self._fetch(number))}

    def _has_news(self) -> bool:
        return self._process.nudged or self._world.kafka.version != self._seen

    def _fetch(self, number: int) -> list[Record]:
        position, log = self._position[number], self._world.kafka.tasks[number]
        if position is None or number in self._paused:
            return []
        if position > len(log):
            raise kafka_errors.OffsetOutOfRangeError({self._at(number): position})
        rows = log[position : position + self._world.rng.randint(1, MOST_RECORDS)]
        self._position[number] = position + len(rows)
        if position + len(rows) < len(log):
            self._seen = -1  # there is more
        return rows

    def beginning_offsets(self, partitions: list[Any]) -> dict[Any, int]:
        self._world.stage.point()
        return dict.fromkeys(partitions, 0)

    def position(self, partition: Any, timeout_ms: int) -> int | None:
        if partition.partition not in self._position:
            raise kafka_errors.IllegalStateError("simulated: not assigned")
        return self._position[partition.partition]

    def seek(self, partition: Any, offset: int) -> None:
        if partition.partition in self._position:
            self._position[partition.partition] = offset
            self._seen = -1

    def pause(self, *partitions: Any) -> None:
        self._paused |= {each.partition for each in partitions}

    def resume(self, *partitions: Any) -> None:
        resumed = self._paused & {each.partition for each in partitions}
        self._paused -= resumed
        self._seen = -1 if resumed else self._seen

    def paused(self) -> set[Any]:
        return {self._at(number) for number in sorted(self._paused)}

    def commit_async(self, offsets: dict[Any, Any]) -> None:
        """A mirror for tools that show lag; the queue never reads it."""

    def _at(self, number: int) -> Any:
        return kafka.TopicPartition(self._topic, number)


class SimulatedArrivals:
    """What a reader brings, by its poll: on the stage nothing is gained by waiting in another way."""

    def __init__(self, consumer: KafkaReader, awake: object) -> None:
        self._consumer = consumer

    def poll(self) -> dict[Any, list[Record]]:
        return self._consumer.poll(round(IDLE_SECONDS * 1000))


class EventReader:
    """The part of kafka.KafkaConsumer that reads the event log."""

    def __init__(self, world: "World", process: Process) -> None:
        self._world, self._process = world, process
        self._fetcher = SimpleNamespace(PartitionRecords=None)  # where messages that are damaged are told from others
        self._position = 0

    def assign(self, partitions: list[Any]) -> None:
        """There is only one."""

    def seek(self, partition: Any, offset: int) -> None:
        self._position = offset

    def position(self, partition: Any) -> int:
        return self._position

    def beginning_offsets(self, partitions: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(partitions, 0)

    def poll(self, timeout_ms: int) -> dict[Any, list[Record]]:
        self._world.stage.point()
        if max(self._process.no_kafka_until, self._world.no_kafka_until) > self._world.stage.now:
            self._world.stage.wait(timeout_ms / 1000)
            return {}
        rows = self._world.kafka.events[self._position : self._position + self._world.rng.randint(1, 20)]
        self._position += len(rows)
        return {kafka.TopicPartition(Keys(NAMESPACE).events_topic, 0): rows}

    def close(self, timeout_ms: int) -> None:
        """Nothing is open."""


class SimulatedConsumer(Consumer):
    """The real reader thread of a worker, as a thread of the stage."""

    def __init__(self, world: "World", broker: Any, store: Any, log: Any, post: Callable[[object], None]) -> None:
        super().__init__(store.settings, broker, Lookout(store, broker, log), post)
        self._world, self._process = world, world.stage.actor.process
        self._stopping, self._evicted = Event(world.stage), Event(world.stage)  # type: ignore[assignment]  # same surface
        self._actor: Actor | None = None

    def start(self) -> None:
        self._actor = self._world.stage.spawn(self._process, f"{self._process.name}'s reader", self.run)

    def is_alive(self) -> bool:
        return self._actor is not None and not self._actor.finished

    def obey(self, orders: Iterable[Order]) -> None:
        before = self._orders.qsize()
        super().obey(orders)
        self._process.nudged = self._process.nudged or self._orders.qsize() > before

    def leave(self) -> None:
        super().leave()
        self._process.nudged = True

    def stop(self, seconds: float) -> None:
        self.leave()
        if self.is_alive():
            self._world.stage.wait(seconds, lambda: not self.is_alive())
