"""The entries of the event log, and which of them count.

An entry is void when it lies behind a marker that ended its generation, or behind an entry of a newer one: a late relay
has sent what Redis had forgotten when that began (rule void). A marker names the generation that it ends, the newest
that its sender knew: the sender may have died, and its marker come late, into a queue that has gone on without it.
What counts may be there twice, after a crash; `seq` tells.
"""

import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

REORDERED = 10_000  # entries that are looked through for one that is missing


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One event. generation: in which it was sent. token: names the call that it tells of, and the claims of that call.

    A marker, with which a generation begins, has the seq 0.
    """

    seq: int
    generation: int
    token: str
    event: str = field(compare=False)


class Row(NamedTuple):
    """A message of the event log as Kafka has it, whoever sent it. sent_at: seconds since 1970, as its sender says."""

    offset: int
    key: bytes | None
    value: bytes | None
    sent_at: float


def stamped(generation: str, entry: str, event: str) -> tuple[str, str]:
    """An entry of the outbox, as it is sent: key and value."""
    return f"{generation}-{entry.rpartition('-')[2]}", f'{{"generation":{generation},"token":"{entry}",{event[1:]}'


def marker(generation: int, before: int, kept: int) -> tuple[str, str]:
    """With which a generation begins: key and value.

    before: the newest generation that it ends. kept: seq up to which Redis itself had kept all.
    """
    told = {"generation": generation, "action": "generation", "before": before, "kept": kept}
    return f"{generation}-0", json.dumps(told)


class History:
    """The entries that count and that Redis has forgotten, in their order. Pure: entries go in as the log has them.

    generation: which Redis was in. kept: seq up to which it knows all. gaps: numbers that the log lacks, first and last
    of each. began: generation → up to which seq all was known when it began. newest: the highest generation seen, of
    markers whose sender gave up too.
    strange: calls of later generations under numbers that Redis has given to others: it is of a branch that was left.
    """

    def __init__(self, generation: int, kept: int) -> None:
        self.newest, self.reached = generation, kept
        self._lives = generation  # the oldest generation whose entries count from here on
        self.strange = self._first = 0
        self._before, self._kept = generation, kept
        self.gaps: list[tuple[int, int]] = []
        self.began: dict[int, int] = {}
        self._highest = 0
        self._waiting: list[Entry] = []  # a heap

    def add(self, entry: Entry) -> Iterator[Entry]:
        """Takes the next entry of the log; gives those whose turn it is."""
        if entry.generation < self._lives:
            return
        self._first = self._first or entry.generation
        self.newest = max(self.newest, entry.generation)
        if entry.seq == 0:
            told = json.loads(entry.event)
            self._lives = max(self._lives, int(told["before"]) + 1)
            self.began[entry.generation] = max(self._highest, int(told["kept"]), self._kept)
            return
        self._lives = entry.generation
        self._highest = max(self._highest, entry.seq)
        self.strange += (
            self._before > 0 and entry.seq <= self._kept and int(entry.token.partition("-")[0]) > self._before
        )
        if entry.seq > self.reached:
            heapq.heappush(self._waiting, entry)
        yield from self._due(REORDERED)

    def rest(self) -> Iterator[Entry]:
        """At the end of the log."""
        yield from self._due(0)

    def _due(self, most: int) -> Iterator[Entry]:
        while self._waiting and (len(self._waiting) > most or self._waiting[0].seq <= self.reached + 1):
            entry = heapq.heappop(self._waiting)
            if entry.seq <= self.reached:
                continue  # sent twice
            if entry.seq > self.reached + 1:
                self.gaps.append((self.reached + 1, entry.seq - 1))
            self.reached = entry.seq
            yield entry

    def oldest(self, generation: int) -> int:
        """The first generation of a log that was read from its beginning: 0 when that was cut off.

        generation: the one that begins now; the first, when the log is empty.
        """
        return 0 if self.gaps and self.gaps[0][0] == 1 else self._first or generation

    def forgotten(self) -> str:
        """Which numbers nobody knows any more, as the script `open` takes them."""
        return " ".join([str(self.reached), *(f"{first}-{last}" for first, last in self.gaps)])
