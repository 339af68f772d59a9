"""The lookout: notices that the task topic is not any more what the queue has read, and has it read the right one.

Every reader has one, and looks every few seconds: whoever notices first repairs it, and says it. Two at once do no
harm: the script changes only exactly what its caller saw.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from _yadtq.log import Log
from _yadtq.topic import Repositioning, Standing, Topic, compare

if TYPE_CHECKING:  # they bring redis and kafka with them
    from _yadtq.broker import Broker
    from _yadtq.store import Store


LOOKS, TAIL_LOOKS = 2, 6  # that must find the same, one a second; before a tail is taken for cut, who read it may speak


class Lookout:
    """Used by the thread that reads. is_uneasy: look again soon."""

    def __init__(self, store: "Store", broker: "Broker", log: Log) -> None:
        self._store, self._broker, self._log = store, broker, log
        self.is_uneasy = False
        self._suspected: Repositioning | None = None
        self._looks = 0  # in a row that have found the same
        self._ends: dict[int, int] = {}  # partition → where Kafka says that what was read differs from what it has

    def differs(self, ends: dict[int, int]) -> None:
        """Kafka says that it holds something else than what was read, from these offsets on."""
        self._ends.update(ends)

    def look(self) -> tuple[Standing, Topic]:
        """One look. Returns what the queue stands at after it, and the topic, which is made again when it is gone.

        Raises ServerUnreachable, QueueMissing.
        """
        standing = self._store.standing()  # first: a position that is read later may be beyond an end read before
        topic = self._broker.topic()
        found = compare(standing, self._corrected(standing, topic))
        self._suspect(found)
        self.is_uneasy = self._suspected is not None and self._looks < self._looks_needed(self._suspected)
        if self._suspected is None or self.is_uneasy:
            return standing, topic
        moved, edition = self._store.reposition(self._suspected)
        if moved and self._suspected.line:
            self._log.warning("reposition", text=self._suspected.line)
        self._suspected, self._ends = None, {}
        return replace(standing, topic=topic.id if moved else standing.topic, edition=edition), topic

    def _suspect(self, found: Repositioning | None) -> None:
        before = self._suspected
        if before is not None and found is not None and before.suspicion == found.suspicion:
            self._suspected, self._looks = _lower(found, before), self._looks + 1
        else:
            self._suspected, self._looks = found, 1

    def _looks_needed(self, found: Repositioning) -> int:
        if found.is_certain:
            return 1
        return TAIL_LOOKS if found.lowered() - self._ends.keys() else LOOKS

    def _corrected(self, standing: Standing, topic: Topic) -> Topic:
        """A log that was cut may have grown beyond the position again: the reader knows where it differs."""
        self._ends = {p: end for p, end in self._ends.items() if standing.positions.get(p, 0) > end}
        if standing.topic != topic.id:
            return topic
        return replace(topic, ends={p: min(end, self._ends.get(p, end)) for p, end in topic.ends.items()})


def _lower(found: Repositioning, suspected: Repositioning) -> Repositioning:
    """The same, but back to the lower end of the two: what was written between two looks is read."""
    changes = {(change.kind, change.partition): change for change in suspected.changes}
    for change in found.changes:
        before = changes.get((change.kind, change.partition), change)
        is_lowered = change.before is not None and change.after < change.before
        changes[change.kind, change.partition] = min(change, before, key=lambda c: c.after) if is_lowered else change
    return replace(found, changes=tuple(changes.values()))
