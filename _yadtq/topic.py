"""The task topic, as Kafka has it and as the queue has read it. Pure: compares the two, and says what to change.

A topic that was deleted and made anew has another id. One that was cut begins behind the place where the queue reads,
or ends before it. Whenever positions are changed for such a reason there is a new *edition*, named by the token of the
call that changed them: what was read of the one before, by whomever, is not admitted any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass

SHOWN = 3  # partitions that a line names

Partitions = Mapping[int, int]  # partition → offset


@dataclass(frozen=True, slots=True)
class Topic:
    """The task topic as Kafka has it. id: '' from a broker that gives none. starts, ends: where each partition does."""

    name: str
    id: str
    starts: Partitions
    ends: Partitions


@dataclass(frozen=True, slots=True)
class Standing:
    """What the queue has read. topic: id, '' before the first look. edition: '' the first.

    partitions: how many the topic had. positions: next offset to be read. floors: see `reset`.
    """

    topic: str
    edition: str
    partitions: int
    positions: Partitions
    floors: Partitions


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one stored offset. kind: position · floor. before: None when nothing is stored."""

    kind: str
    partition: int
    before: int | None
    after: int


@dataclass(frozen=True, slots=True)
class Repositioning:
    """What the queue has to change so that it reads the topic from the right place. line: for a person; '' none.

    is_certain: nothing that Kafka says for a moment only, while its brokers agree on something, could look like it.
    """

    standing: Standing
    topic: Topic
    changes: tuple[Change, ...]
    line: str
    is_certain: bool

    @property
    def suspicion(self) -> object:
        """What it rests on: two looks that find the same have an equal one."""
        changed = frozenset((c.kind, c.partition, c.before) for c in self.changes if c.kind == self.changes[0].kind)
        return self.standing.topic, self.standing.edition, self.topic.id, changed

    def lowered(self) -> set[int]:
        """Partitions of the same topic that have lost their end."""
        if self.standing.topic != self.topic.id:
            return set()
        return {
            c.partition for c in self.changes if c.kind == "position" and c.before is not None and c.after < c.before
        }


def compare(standing: Standing, topic: Topic) -> Repositioning | None:
    """What to change; None when the queue reads where it should."""
    if standing.topic and topic.id and standing.topic != topic.id:
        changes = tuple(Change("position", p, standing.positions.get(p), start) for p, start in topic.starts.items())
        line = f"{topic.name} was deleted or made anew: it is read from its start{_ALL_OURS}"
        return Repositioning(standing, topic, changes, line, is_certain=False)
    places = {p: at for p, at in standing.positions.items() if p in topic.starts}
    head = [Change("position", p, at, topic.starts[p]) for p, at in places.items() if at < topic.starts[p]]
    tail = [Change("position", p, at, topic.ends[p]) for p, at in places.items() if at > topic.ends[p]]
    floors = [Change("floor", p, at, topic.ends[p]) for p, at in standing.floors.items() if at > topic.ends.get(p, at)]
    if head or tail or floors:
        line = _cut(topic.name, head, tail)
        return Repositioning(standing, topic, (*head, *tail, *floors), line, is_certain=False)
    if len(topic.starts) > standing.partitions or (topic.id and not standing.topic):
        return _grown(standing, topic)
    return None


_ALL_OURS = "; registered tasks whose message is gone are published again"


def _cut(name: str, head: list[Change], tail: list[Change]) -> str:
    parts = [
        f"partition {each.partition} {verb} at offset {each.after:,}, and {each.before:,} was next"
        for verb, changes in (("begins", head), ("ends", tail))
        for each in changes
    ]
    more = f" and {len(parts) - SHOWN} more" if len(parts) > SHOWN else ""
    return f"{name} was cut: {'; '.join(parts[:SHOWN])}{more}. It is read from there{_ALL_OURS}" if parts else ""


def _grown(standing: Standing, topic: Topic) -> Repositioning:
    """More partitions, or the first look at all."""
    known, count = standing.partitions, len(topic.starts)
    fresh = [p for p in topic.starts if p >= known and p not in standing.positions] if known else []
    changes = tuple(Change("position", p, None, topic.starts[p]) for p in fresh)
    line = f"{topic.name} has {count} partitions now, and had {known}: the new ones are read from their start"
    return Repositioning(standing, topic, changes, line if count > known > 0 else "", is_certain=True)
