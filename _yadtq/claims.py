"""What passes between a program and the queue: messages to and from Kafka, claims, outcomes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import NamedTuple

from _yadtq.messages import Header, Message, Ours

PART_OUTCOMES, PART_BYTES = 128, 1_000_000  # of one call to Redis, and so of one event


class Claim(NamedTuple):
    """A task that this worker owns. args, kwargs: JSON text. max_retries, time_limit: None, the worker's or the task's.

    attempt: number of this start, from 1. failures: starts that raised. crashes: starts that died.
    token: what fences its outcome: generation-seq of the take that gave it.
    """

    id: str
    task: str
    args: str
    kwargs: str
    attempt: int
    failures: int
    crashes: int
    max_retries: int | None
    time_limit: float | None
    epoch: str
    token: str

    @property
    def name(self) -> str:
        """Names the claim within a worker, and in the `running` line of its heartbeat."""
        return f"{self.id}@{self.token}"


@dataclass(frozen=True, slots=True)
class Read:
    """What one poll has brought of one partition. first: `began` is where the partition's log begins.

    placement: number of the placing that the reader was following. Without messages it asks whether the place is right.
    whole: the contents of our own messages are wanted too.
    """

    partition: int
    began: int
    next: int
    placement: int
    messages: tuple[Message, ...] = ()
    first: bool = False
    whole: bool = False

    @property
    def weight(self) -> int:
        """Bytes that it costs a take, and, a little more, the take's event."""
        return sum(message.weight + self.whole * message.size for message in self.messages)

    def arguments(self) -> list[str | int]:
        began = f"first:{self.began}" if self.first else self.began
        parts = [part for header, group in groupby(self.messages, self._header) for part in _parts(header, group)]
        return [self.partition, began, self.next, len(parts), *chain.from_iterable(parts)]

    def _header(self, message: Message) -> Header | None:
        return message.header if isinstance(message, Ours) and not self.whole else None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish."""

    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(frozen=True, slots=True)
class Assigned:
    """These partitions are this worker's to read now; each waits to be placed.

    reader: number of the consumer that reads them; a later one has taken the place of all before. topic: id of the
    topic that it reads.
    """

    partitions: frozenset[int]
    reader: int = 0
    topic: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """Whether Kafka answers the reader: '' or one line."""

    problem: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What take says of a read: admitted · full · whole · moved · seek (go on at `expected`; None: at the start)."""

    partition: int
    word: str
    expected: int | None


@dataclass(frozen=True, slots=True)
class Taken:
    """The reply of take. due_seconds: until the next delayed task may start. left: tasks still ready."""

    epoch: str
    due_seconds: float | None
    left: int
    answers: tuple[Answer, ...]
    claims: tuple[Claim, ...]


class Outcome(NamedTuple):
    """How a claim ended. kind: success · failed · retry · crash · release.

    text: the result's or the failure's JSON, '' for crash and release. delay_seconds: for a retry.
    began_at, ended_at: monotonic seconds of this machine; began_at None: its handler was never started.
    """

    claim: Claim
    kind: str
    ended_at: float
    began_at: float | None = None
    text: str = ""
    reason: str = ""
    delay_seconds: float = 0.0

    def arguments(self, now: float, take: int) -> tuple[str | int, ...]:
        """For settle. take: place of the take that gave the claim, among those of the call."""
        began = "" if self.began_at is None else _ago(now, self.began_at)
        always = (self.claim.id, take, self.kind, began, _ago(now, self.ended_at), self.text)
        if self.kind in ("success", "failed"):
            return always
        return (*always, self.reason, round(self.delay_seconds * 1000))


def _parts(header: Header | None, messages: Iterable[Message]) -> Iterable[tuple[str | int, ...]]:
    """As take takes them: messages of ours with the same header together, and any other alone."""
    if header is None:
        return [message.arguments() for message in messages]
    ours = list(messages)
    size = sum(message.size for message in ours)
    mark = (header.epoch, header.generation, header.seq)
    return [("ours", size, *mark, len(ours), *(message.id for message in ours if isinstance(message, Ours)))]


def _ago(now: float, instant: float) -> int:
    return max(0, round((now - instant) * 1000))


def settlement(outcomes: Sequence[Outcome], now: float) -> list[str | int]:
    """Outcomes as settle takes them: the takes that gave their claims, each once, then each outcome."""
    takes: dict[tuple[str, str], int] = {}
    flat: list[str | int] = []
    for outcome in outcomes:
        take = takes.setdefault((outcome.claim.epoch, outcome.claim.token), len(takes) + 1)
        flat += outcome.arguments(now, take)
    return [len(takes), *chain.from_iterable(takes), len(outcomes), *flat]


def first_part(outcomes: list[Outcome]) -> list[Outcome]:
    """The oldest outcomes that one call to Redis may carry, at least one."""
    size = 0
    for count, outcome in enumerate(outcomes):
        size += len(outcome.text) + len(outcome.reason)
        if count and (count == PART_OUTCOMES or size > PART_BYTES):
            return outcomes[:count]
    return outcomes[:]
