"""The sweeper: publishes registered tasks that Kafka has no message of. Their client died before, or the topic is lost.

A message may still be on its way for a delivery time-out after the registration. So: first the ends of all partitions
are noted; when everything up to them has been read, a task that was registered a delivery time-out before that
instant, and is still only registered, has no message. It is published with the mark of its own registration: a reset
meanwhile makes the message void, and a client that takes the task back is obeyed (rules mark, sweepepoch).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from _yadtq.log import Log
from _yadtq.messages import Header, Submission
from _yadtq.topic import Standing

if TYPE_CHECKING:  # they bring redis and kafka with them
    from _yadtq.broker import Broker
    from _yadtq.store import Store

DELIVERY_MS = 16_000  # twice what a client waits for Kafka's acknowledgement
AT_ONCE, MOST = 100, 2000  # tasks that are published together, and in one step
SAID = 5  # of those that are published together, by name


@dataclass(frozen=True, slots=True)
class Noted:
    """What must have been read before anything is known to be missing. instant: milliseconds."""

    instant: int
    edition: str
    ends: dict[int, int]

    def is_read(self, standing: Standing) -> bool:
        return all(standing.positions.get(partition, 0) >= end for partition, end in self.ends.items())


class Sweeper:
    """Used by the relay's thread."""

    def __init__(self, store: "Store", broker: "Broker", log: Log) -> None:
        self._store, self._broker, self._log = store, broker, log
        self._noted: Noted | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether tasks may be missing from Kafka: sweep again soon."""
        return self._noted is not None

    def sweep(self) -> int:
        """One step. Returns how many tasks were published."""
        noted = self._noted
        if noted is None:
            now, _, waiting = self._store.unpublished(None, DELIVERY_MS, 1)
            if waiting:
                self._noted = Noted(now, self._store.standing().edition, self._broker.ends())
            return 0
        standing = self._store.standing()
        if standing.edition != noted.edition:  # what was noted is of another topic: begin again
            self._noted = None
        if standing.edition != noted.edition or not noted.is_read(standing):
            return 0
        self._noted = None
        if standing.topic not in ("", self._broker.topic_id()):  # '': nobody has read it so far, and it is empty
            return 0  # it was made anew just now, and nothing of it has been read
        return self._publish(noted.instant)

    def _publish(self, instant: int) -> int:
        """Publishes what is still only registered, the oldest first, in parts."""
        published = passed = 0
        while passed < MOST:
            _, epoch, lost = self._store.unpublished(instant, DELIVERY_MS, AT_ONCE, passed)
            messages = [(task.id, task.value(), _header(epoch, mark)) for task, mark in lost]
            outcomes = self._broker.publish_tasks(messages)
            sent = [task for (task, _), error in zip(lost, outcomes, strict=True) if error is None]
            self._say(sent)
            published += len(sent)
            if len(lost) < AT_ONCE or any(outcomes):
                break
            passed += AT_ONCE
        return published

    def _say(self, tasks: Sequence[Submission]) -> None:
        for task in tasks[:SAID]:
            self._log.warning("publish", task.id, f"{task.task} was registered, and Kafka has no message of it: sent")
        if len(tasks) > SAID:
            self._log.warning("publish", text=f"and {len(tasks) - SAID} more tasks like it")


def _header(epoch: str, mark: str) -> list[tuple[str, bytes]]:
    generation, _, seq = mark.partition("-")
    return Header(epoch, generation, seq).pairs()
