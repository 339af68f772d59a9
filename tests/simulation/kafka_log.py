"""Kafka in memory: two logs, messages that are still on their way, and a consumer group."""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

SESSION_SECONDS = 6.0
LATE_SECONDS = 2.0  # a message that its client gave up arrives within so long, or never


@dataclass(frozen=True, slots=True)
class Record:
    """A message of a log. timestamp: nobody decides by it."""

    offset: int
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]
    timestamp: int = 0

    @property
    def serialized_value_size(self) -> int:
        return len(self.value)


@dataclass(frozen=True, slots=True)
class Flight:
    """A message on its way. partition: None for the event log."""

    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]
    partition: int | None
    not_before: float


@dataclass(eq=False)
class Member:
    """A reader of the group. is_silent: whether Kafka does not hear of it now."""

    name: str
    is_silent: Callable[[], bool]
    assigned: frozenset[int] = frozenset()
    silent_since: float = math.inf
    evicted: bool = False


@dataclass
class KafkaLog:
    """version: rises with everything that a reader of tasks may have waited for."""

    partitions: int
    tasks: list[list[Record]] = field(default_factory=list)
    events: list[Record] = field(default_factory=list)
    flights: list[Flight] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    version: int = 0
    unbalanced: bool = False

    def __post_init__(self) -> None:
        self.tasks = [[] for _ in range(self.partitions)]

    # -- the logs

    def partition_of(self, key: bytes | None) -> int:
        return zlib.crc32(key or b"") % self.partitions

    def append(self, message: Flight) -> Record:
        """The message is in the log now."""
        log = self.events if message.partition is None else self.tasks[message.partition]
        record = Record(len(log), message.key, message.value, message.headers)
        log.append(record)
        self.version += message.partition is not None
        return record

    def ends(self) -> dict[int, int]:
        return {number: len(log) for number, log in enumerate(self.tasks)}

    # -- the group

    def join(self, member: Member) -> None:
        self.members.append(member)
        self.unbalanced = True

    def leave(self, member: Member) -> None:
        if member in self.members:
            self.members.remove(member)
            self.unbalanced = True
        member.assigned = frozenset()

    def rebalance(self, turn: int) -> None:
        """Shares the partitions out. turn: who gets the first one."""
        self.unbalanced = False
        self.version += 1
        for place, member in enumerate(self.members):
            numbers = range(self.partitions)
            member.assigned = frozenset(n for n in numbers if (n + turn) % len(self.members) == place)

    def silent_members(self, now: float) -> list[Member]:
        """Those of which Kafka has not heard for a whole session."""
        found = []
        for member in self.members:
            member.silent_since = min(member.silent_since, now) if member.is_silent() else math.inf
            if now - member.silent_since > SESSION_SECONDS:
                found.append(member)
        return found

    def evict(self, member: Member) -> None:
        self.leave(member)
        member.evicted = True
        self.version += 1
