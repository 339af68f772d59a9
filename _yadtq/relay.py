"""The relay: sends the outbox of events from Redis to Kafka, and keeps house: old results, unpublished tasks.

One worker at a time is it, by a lease that its heartbeat holds. Two at once would do no harm: readers of the event log
drop repeats by the entry's id, and an entry is trimmed only after Kafka has acknowledged it.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from _yadtq.clock import Clock
from _yadtq.errors import ServerUnreachable, YadtqError
from _yadtq.log import Log, Trouble
from _yadtq.sweeper import Sweeper

if TYPE_CHECKING:  # they bring redis and kafka with them
    from _yadtq.broker import Broker
    from _yadtq.store import Store

BATCH = 64  # entries sent together
WAIT_SECONDS = 1.0  # for its turn, and after a failure
ENTRY_SECONDS = 0.2  # waited for the next entry at a time: a worker that stops waits for the end of this
UNFIT_AFTER_SECONDS, UNFIT_SECONDS = 10.0, 30.0  # in vain for so long, then not tried for so long
TIDY_SECONDS, TIDY_MOST_SECONDS = 1.0, 0.25  # how often, and for how long


class Relay(threading.Thread):
    """A thread that works while `hold` says that this process is the relay."""

    def __init__(self, store: "Store", broker: "Broker", log: Log, clock: Clock) -> None:
        super().__init__(name="relay", daemon=True)
        self._store, self._broker, self._log, self._clock = store, broker, log, clock
        self._held, self._stopping = threading.Event(), threading.Event()
        self._tidied_at = 0.0
        self._sweeper = Sweeper(store, broker, log)
        self._worked_at = clock.monotonic()
        self._unfit_until = 0.0
        self._sending, self._tidying = Trouble(log, "relay"), Trouble(log, "tidy")

    def hold(self, held: bool) -> None:
        """Begins or ends being the relay; told after every heartbeat."""
        if held:
            if not self._held.is_set():
                self._worked_at = self._clock.monotonic()
            self._held.set()
        else:
            self._held.clear()

    def stop(self, seconds: float) -> None:
        """Ends the thread; waits so long for what it is sending."""
        self._stopping.set()
        self._held.set()
        if self.ident is not None:
            self.join(seconds)

    def is_fit(self) -> bool:
        """Whether this process can be the relay: not when it has tried in vain for a while, so that another one may."""
        return self._clock.monotonic() >= self._unfit_until

    def run(self) -> None:
        while not self._stopping.is_set():
            if not self._held.wait(WAIT_SECONDS):
                continue
            sent = self._tries(lambda: self.forward(ENTRY_SECONDS), self._sending)
            if not (self._tries(self._tidy, self._tidying) and sent):
                self._stopping.wait(WAIT_SECONDS)

    def _tries(self, action: Callable[[], object], trouble: Trouble) -> bool:
        """Whether it worked. What did not is said, and tried again: this thread must not end."""
        try:
            action()
        except YadtqError as error:
            trouble.say(str(error))
        except Exception as error:
            trouble.say(f"{type(error).__name__}: {error}")
        else:
            trouble.over()
            self._worked_at = self._clock.monotonic()
            return True
        if self._clock.monotonic() - self._worked_at > UNFIT_AFTER_SECONDS:
            self._unfit_until = self._clock.monotonic() + UNFIT_SECONDS
        return False

    def forward(self, wait_seconds: float) -> int:
        """Sends the oldest entries, and trims them when Kafka has them. Returns how many were sent."""
        entries = self._store.events("0-0", wait_seconds, BATCH)
        if not entries:
            return 0
        outcomes = self._broker.publish_events(entries)
        sent = next((i for i, error in enumerate(outcomes) if error is not None), len(outcomes))
        if sent:
            self._store.trim(entries[sent - 1][0])
        if sent < len(entries):
            raise ServerUnreachable("kafka", f"Kafka has not taken an event: {outcomes[sent]}; it is sent again")
        return sent

    def _tidy(self) -> None:
        if self._clock.monotonic() - self._tidied_at < TIDY_SECONDS:
            return
        began = self._tidied_at = self._clock.monotonic()
        while self._store.tidy() and self._clock.monotonic() - began < TIDY_MOST_SECONDS:
            pass
        self._sweeper.sweep()
