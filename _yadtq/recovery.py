"""How a queue begins, and how Redis is led back after a restart.

A server that was restarted, or that took another's place, may have forgotten something: it was restored from an older
file, or is a replica that was late. Nobody guesses. The scripts refuse to act on it until someone has

  begin    been elected (one at a time), and has appended the marker of a new generation to the event log,
  apply    made happen again what the log up to that marker tells and Redis does not know,
  open     raised the generation. Then each worker confirms what it holds, before anything is handed out.

A queue is founded in the same steps, in an empty Redis with an empty log. An empty Redis while the log is not empty has
lost its data, or is the wrong one: that takes a person (`server.py --rebuild`).
"""

import secrets
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from _yadtq.errors import Outdated, QueueMissing, RedisRestarted
from _yadtq.history import Entry, History

if TYPE_CHECKING:  # they bring redis and kafka with them
    from _yadtq.broker import Broker
    from _yadtq.event_log import EventLog
    from _yadtq.store import Leading, Store

PATIENCE_SECONDS = 10.0  # while another program leads Redis back
LOOK_SECONDS = 0.1
STEP_ENTRIES, STEP_BYTES = 200, 1_000_000  # of one call
STEP_SECONDS = 1.0  # at least so often Redis hears of us


class Recovery:
    """Founds a queue, or leads it back. tell: what is said of it, one line each."""

    def __init__(
        self, store: "Store", broker: "Broker", event_log: "EventLog", tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self._store, self._broker, self._log, self._tell = store, broker, event_log, tell
        self._name = secrets.token_hex(8)
        self._leading = threading.Lock()  # one thread of this program at a time: the election tells only programs apart

    def opened(self, call: Callable[[], Any]) -> Any:
        """The answer of a call to Redis. Before it, where that is needed, the queue is founded or led back.

        Raises QueueMissing when Redis has lost its data; RedisRestarted when another program takes long.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return call()
            except QueueMissing as error:
                is_open = self._found(call, error)
            except RedisRestarted:
                is_open = self.lead()
                if not is_open and time.monotonic() > deadline:
                    raise
            if not is_open:
                time.sleep(LOOK_SECONDS)

    def _found(self, call: Callable[[], Any], first: QueueMissing) -> bool:
        self._broker.create_topics()
        if not self._broker.has_history():
            return self.lead(new=True)
        try:
            call()  # another program may have begun it meanwhile
        except QueueMissing as error:
            missing = QueueMissing(
                f"Redis at {self._store.address} has no queue {self._store.keys.namespace!r}, but Kafka's topic "
                f"{self._broker.keys.events_topic} remembers one: give Redis its data back, or restore what Kafka "
                "knows with `python server.py --rebuild`, or choose another YADTQ_NAMESPACE"
            )
            missing.nothing_changed = first.nothing_changed and error.nothing_changed
            raise missing from None
        except RedisRestarted:
            return False
        return True

    def rebuild(self) -> bool:
        """Restores the queue in an empty Redis from the log. Returns False when the queue is open already."""
        if self._store.begin(self._name, True, 0) == "open":
            return False
        while not self.lead(new=True):
            time.sleep(LOOK_SECONDS)
        return True

    def lead(self, new: bool = False) -> bool:
        """Leads Redis back, unless another program does. Returns whether the queue is open now.

        new: also an empty Redis. Raises QueueMissing, ServerUnreachable.
        """
        if not self._leading.acquire(blocking=False):
            return False
        try:
            return self._lead(new)
        finally:
            self._leading.release()

    def _lead(self, new: bool) -> bool:
        least = 0
        while True:
            leading = self._store.begin(self._name, new, least)
            if isinstance(leading, str):
                return leading == "open"
            try:
                newer = self._attempt(leading)
            except Outdated:
                return False
            if not newer:
                return True
            least = newer + 1  # rule markercheck

    def _attempt(self, leading: "Leading") -> int:
        """One attempt. Returns 0, or, when the log has a generation that is not older, that one."""
        self._broker.create_topics()
        steps = _Steps(self._store, leading)
        first, end = leading.offset, self._broker.events_end()
        newer = self._read(steps, first, end, leading.generation)
        if not newer:  # only then: a marker that nobody opens would void what another Redis still sends
            before = steps.newest
            marked = self._log.begin(leading.generation, before, leading.kept)
            newer = self._read(steps, max(first, end), marked, before + 1)
        if newer:
            return newer
        steps.end()
        word = self._store.open(leading, steps.forgotten())
        waits = "; tasks are handed out when all workers have said what they hold" if word == "quarantine" else ""
        if leading.before or steps.applied:
            self._tell(f"Redis was restarted; {steps.applied} events that it had forgotten were restored{waits}")
        if steps.missing:
            self._tell(f"{steps.missing} events are neither in Redis nor in Kafka; their messages are read again")
        return 0

    def _read(self, steps: "_Steps", first: int, end: int, limit: int) -> int:
        """A part of the log. Returns 0, or a generation in it that is not below the limit. Raises QueueMissing."""
        for entry in self._log.read(first, end):
            if entry.generation >= limit:
                return entry.generation
            steps.add(entry)
            if steps.strange:
                raise QueueMissing(
                    f"Redis at {self._store.address} came back with an old copy of the queue, which had gone on: "
                    "give it the newer data, or empty it and restore what Kafka knows: `python server.py --rebuild`"
                )
        return 0


class _Steps:
    """What Redis has forgotten, applied in bounded steps. applied: how many events so far."""

    def __init__(self, store: "Store", leading: "Leading") -> None:
        self._store, self._leading = store, leading
        self._history = History(leading.before, leading.kept)
        self._step: list[Entry] = []
        self._bytes, self._called_at = 0, time.monotonic()
        self.applied = 0

    def add(self, entry: Entry) -> None:
        """The next entry of the log."""
        for due in self._history.add(entry):
            self._add(due)
        if time.monotonic() - self._called_at > STEP_SECONDS:
            self._apply()

    def end(self) -> None:
        """After the last one."""
        for due in self._history.rest():
            self._add(due)
        if self._step:
            self._apply()

    @property
    def newest(self) -> int:
        """See History."""
        return self._history.newest

    @property
    def strange(self) -> int:
        """See History."""
        return self._history.strange

    @property
    def missing(self) -> int:
        """How many events between those that are known are not."""
        return sum(last - first + 1 for first, last in self._history.gaps)

    def forgotten(self) -> dict[str, str]:
        """Of each generation: which numbers nobody knew any more when it began."""
        earlier = {str(generation): str(reached) for generation, reached in self._history.began.items()}
        begins = self._leading.generation
        found = {**earlier, str(begins): self._history.forgotten()}
        return found if self._leading.before else {**found, "oldest": str(self._history.oldest(begins))}

    def _add(self, entry: Entry) -> None:
        self._step.append(entry)
        self._bytes += len(entry.event)
        if len(self._step) >= STEP_ENTRIES or self._bytes > STEP_BYTES:
            self._apply()

    def _apply(self) -> None:
        # Behind a gap, what was read in between is read again: the readers stay where Redis has them.
        self._store.apply(self._leading, bool(self._history.gaps), [(each.token, each.event) for each in self._step])
        self.applied += len(self._step)
        self._step, self._bytes, self._called_at = [], 0, time.monotonic()
