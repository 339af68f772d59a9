"""What a worker has read from Kafka and the queue has not admitted yet. Pure: it is told, and says what to do.

The queue's positions rule: a read counts only if it began where the queue is. A reader that is elsewhere is placed
anew; what it had read from the old place still arrives, and is known by the number of its placing and dropped.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from _yadtq.claims import Answer, Read

MOST_MESSAGES = 500  # of one take, so that it holds Redis for a few milliseconds at most
MOST_BYTES = 1_000_000  # of one take: its event must fit into a message of Kafka


@dataclass(frozen=True, slots=True)
class Place:
    """Tell the reader: continue there (None: where the log begins)."""

    partition: int
    offset: int | None
    placement: int


@dataclass(frozen=True, slots=True)
class Done:
    """Tell the reader: so many messages are dealt with; all below `admitted` is in the queue."""

    count: int
    partition: int
    admitted: int | None


Order = Place | Done


class Intake:
    """The reads of one reader, in order. One thread uses it."""

    def __init__(self) -> None:
        self._pending: list[Read] = []
        self._full = False  # the last answer: the queue takes no more for now
        self._number = 0  # of the newest placing of all
        self._placements: dict[int, int] = {}  # partition → number of its newest placing
        self._next: dict[int, Read] = {}  # partition → its newest read

    def assign(self, partitions: Iterable[int], positions: Mapping[int, int]) -> list[Order]:
        """The group gave these partitions to the reader, the queue's positions are known: start there."""
        return [self._place(partition, positions.get(partition)) for partition in sorted(partitions)]

    def add(self, read: Read) -> list[Order]:
        """A read has arrived."""
        if read.placement != self._placements.get(read.partition):
            return [Done(len(read.messages), read.partition, None)]
        self._next[read.partition] = read
        self._pending.append(read)
        return []

    def pending(self, messages: int = MOST_MESSAGES, weight: int = MOST_BYTES) -> list[Read]:
        """The oldest reads that wait for admission, of so many messages and bytes together, but at least one."""
        chosen: list[Read] = []
        for read in self._pending:
            messages, weight = messages - len(read.messages), weight - read.weight
            if chosen and (messages < 0 or weight < 0):
                break
            chosen.append(read)
        return chosen

    @property
    def has_more(self) -> bool:
        """Whether reads wait that the next take can carry: none was refused because the queue is full."""
        return bool(self._pending) and not self._full

    def looks(self) -> list[Read]:
        """A question for each partition of which nothing waits: is the reader where the queue is?"""
        busy = {read.partition for read in self._pending}
        return [
            Read(read.partition, read.next, read.next, read.placement)
            for partition, read in self._next.items()
            if partition not in busy
        ]

    def answer(self, asked: list[Read], answers: tuple[Answer, ...]) -> list[Order]:
        """What take has said of the reads that it was asked about, in the same order."""
        orders: list[Order] = []
        kept: dict[int, Read] = {}
        for read, answer in zip(asked, answers, strict=True):
            if answer.word in ("full", "whole"):
                kept[id(read)] = replace(read, whole=read.whole or answer.word == "whole")
            elif answer.word == "admitted" or answer.expected == read.next:  # the latter: a repeated call
                orders.append(Done(len(read.messages), read.partition, read.next))
            else:
                orders.append(Done(len(read.messages), read.partition, None))
                if read.placement == self._placements.get(read.partition):
                    orders.append(self._place(read.partition, answer.expected))
        answered = {id(read) for read in asked} - kept.keys()
        self._full = any(answer.word == "full" for answer in answers)
        waiting, self._pending = self._pending, []
        for read in waiting:
            if id(read) in answered:
                continue
            if read.placement == self._placements.get(read.partition):
                self._pending.append(kept.get(id(read), read))
            else:
                orders.append(Done(len(read.messages), read.partition, None))
        return orders

    def forget(self, partition: int) -> None:
        """The reader has lost its place in a partition."""
        self._placements.pop(partition, None)
        self._next.pop(partition, None)

    def _place(self, partition: int, offset: int | None) -> Place:
        self._number += 1
        self._placements[partition] = self._number
        self._next.pop(partition, None)
        return Place(partition, offset, self._number)
