"""The sweeper: publishes what was registered and never published, because its client died in between.

A message may still be on its way for a delivery time-out after the registration. So: first the ends of all partitions
are noted; when everything up to them has been read, a task that was registered a delivery time-out before that
instant, and is still only registered, has no message. It is published with the mark of its own registration: a reset
meanwhile makes the message void, and a client that takes the task back is obeyed (rules mark, sweepepoch).
"""

from typing import TYPE_CHECKING

from _yadtq.errors import ServerUnreachable
from _yadtq.log import Log
from _yadtq.messages import Header

if TYPE_CHECKING:  # they bring redis and kafka with them
    from _yadtq.broker import Broker
    from _yadtq.store import Store

DELIVERY_MS = 16_000  # twice what a client waits for Kafka's acknowledgement
AT_ONCE = 100
CUT = (
    "the task topic ends before the place up to which it was read: it was cut or made anew; nothing is published again"
)


class Sweeper:
    """Used by the relay's thread."""

    def __init__(self, store: "Store", broker: "Broker", log: Log) -> None:
        self._store, self._broker, self._log = store, broker, log
        self._noted: tuple[int, dict[int, int]] | None = None  # instant in ms, partition → end offset

    def sweep(self) -> int:
        """One step. Returns how many tasks were published."""
        if self._noted is None:
            now, _, waiting = self._store.unpublished(None, DELIVERY_MS, 1)
            if waiting:
                self._noted = (now, self._broker.ends())
            return 0
        instant, ends = self._noted
        positions = self._store.positions()
        if any(positions.get(partition, 0) < end for partition, end in ends.items()):
            return 0
        self._noted = None
        current = self._broker.ends()
        if any(position > current.get(partition, 0) for partition, position in positions.items()):
            raise ServerUnreachable("kafka", CUT)
        _, epoch, lost = self._store.unpublished(instant, DELIVERY_MS, AT_ONCE)
        messages = [(task.id, task.value(), _header(epoch, mark)) for task, mark in lost]
        outcomes = self._broker.publish_tasks(messages)
        for (task, _), error in zip(lost, outcomes, strict=True):
            if error is None:
                self._log.warning("publish", task.id, f"{task.task} was registered and never published; it is now")
        return sum(error is None for error in outcomes)


def _header(epoch: str, mark: str) -> list[tuple[str, bytes]]:
    generation, _, seq = mark.partition("-")
    return Header(epoch, generation, seq).pairs()
