"""What a worker has read from Kafka and the queue has not admitted yet. Pure: it is told, and says what to do.

The queue's positions rule: a read counts only if it began where the queue is. A reader that is elsewhere is placed
anew; what it had read from the old place still arrives, and is known by the number of its placing and dropped.
A reader is of one topic, and of one edition of it: of another one, it begins anew as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from _yadtq.claims import Answer, Assigned, Read
from _yadtq.topic import Standing

MOST_MESSAGES = 500  # of one take, so that it holds Redis for two milliseconds at most
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


@dataclass(frozen=True, slots=True)
class Anew:
    """Tell the reader with this number: let another one take your place. You read what is not the topic any more."""

    reader: int


Order = Place | Done | Anew


class Intake:
    """The reads of one reader, in order. One thread uses it."""

    def __init__(self) -> None:
        self.edition = ""  # that the reads are of
        self._reader = 0
        self._pending: list[Read] = []
        self._full = False  # the last answer: the queue takes no more for now
        self._number = 0  # of the newest placing of all
        self._placements: dict[int, int] = {}  # partition → number of its newest placing
        self._next: dict[int, Read] = {}  # partition → its newest read

    def assign(self, assigned: Sequence[Assigned], standing: Standing) -> list[Order]:
        """The group gave partitions to the reader, and it is known where the queue is: start there.

        When the queue reads another topic than the reader, or reads it from elsewhere since, nothing is placed. Only
        the newest reader counts: what an earlier one was given may still have waited for Redis.
        """
        newest = max(each.reader for each in assigned)
        orders: list[Order] = []
        if newest != self._reader:
            orders += self._drop()
            self._reader = newest
        for each in (each for each in assigned if each.reader == newest):
            is_other = each.topic and standing.topic and each.topic != standing.topic
            if is_other or (self._placements and standing.edition != self.edition):
                return [*orders, *self._anew()]
            self.edition = standing.edition
            orders += [
                self._place(partition, standing.positions.get(partition)) for partition in sorted(each.partitions)
            ]
        return orders

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
        if any(answer.word == "moved" for answer in answers):
            return self._anew()
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

    def _anew(self) -> list[Order]:
        return [*self._drop(), Anew(self._reader)]

    def _drop(self) -> list[Order]:
        """All that was read is void."""
        dropped, self._pending = self._pending, []
        self._placements, self._next, self._full = {}, {}, False
        return [Done(len(read.messages), read.partition, None) for read in dropped]

    def _place(self, partition: int, offset: int | None) -> Place:
        self._number += 1
        self._placements[partition] = self._number
        self._next.pop(partition, None)
        return Place(partition, offset, self._number)
