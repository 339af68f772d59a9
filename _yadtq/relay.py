"""The relay: sends the outbox of events from Redis to Kafka, and keeps house: old results, messages, unpublished tasks.

One worker or server at a time is it, by a lease that its heartbeat holds. Two at once would do no harm: readers of the
event log drop repeats, and an entry is trimmed only after Kafka has acknowledged it. The same thread leads Redis back
after a restart, in whichever process notices.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from _yadtq.bell import Bell
from _yadtq.clock import SystemClock
from _yadtq.errors import RedisRestarted, YadtqError
from _yadtq.log import Log, Trouble
from _yadtq.outbox import Outbox
from _yadtq.recovery import Recovery
from _yadtq.retention import Retention
from _yadtq.sweeper import Sweeper

WAIT_SECONDS = 1.0  # for its turn, and after a failure
LEAD_SECONDS = 0.2  # between two looks at a Redis that another program leads back
ENTRY_SECONDS = 5.0  # waited for the next entry at a time, and between two looks at the house while all is quiet
UNFIT_AFTER_SECONDS, UNFIT_SECONDS = 10.0, 5.0  # in vain for so long, then not tried for so long
SENDING = ("relay", "recover")  # what makes a process fit; another one cannot keep house better
TIDY_SECONDS, TIDY_MOST_SECONDS = 1.0, 0.25  # how often, and for how long


class Relay(threading.Thread):
    """A thread that works while `hold` says that this process is the relay."""

    def __init__(self, outbox: Outbox, sweeper: Sweeper, retention: Retention, recovery: Recovery, log: Log) -> None:
        super().__init__(name="relay", daemon=True)
        self._outbox, self._sweeper, self._retention, self._recovery = outbox, sweeper, retention, recovery
        self._clock = SystemClock()
        self._held = self._restarted = self._stopping = False
        self._wanted = threading.Event()  # one of the three
        self._bell = Bell()  # the last two end the wait for an entry
        self._worked_at = self._tidied_at = self._clock.monotonic()
        self._has_more = False  # to tidy
        self._unfit_until = 0.0
        self._troubles = {action: Trouble(log, action) for action in ("relay", "tidy", "retain", "recover")}

    def hold(self, held: bool) -> None:
        """Begins or ends being the relay; told after every heartbeat."""
        if held and not self._held:
            self._worked_at = self._clock.monotonic()
        self._held = held
        if held:
            self._wanted.set()

    def lead(self) -> None:
        """Redis was restarted, and must be led back. Does not wait."""
        self._restarted = True
        self._wanted.set()
        self._bell.ring()

    def opened(self, call: Callable[[], Any]) -> Any:
        """See Recovery.opened."""
        return self._recovery.opened(call)

    def stop(self, seconds: float) -> None:
        """Ends the thread; waits so long for what it is sending."""
        self._stopping = True
        self._wanted.set()
        self._bell.ring()
        if self.ident is not None:
            self.join(seconds)

    def is_fit(self) -> bool:
        """Whether this process can be the relay: not when it has tried in vain for a while, so that another one may."""
        return self._clock.monotonic() >= self._unfit_until

    def run(self) -> None:
        while not self._stopping:
            if self._restarted:
                self._lead()
            elif self._held:
                seconds = TIDY_SECONDS if self._sweeper.is_waiting or self._has_more else ENTRY_SECONDS
                sent = self._tries(partial(self._outbox.forward, seconds, self._bell), "relay")
                if not (self._tries(self._tidy, "tidy") and sent):
                    self._pause(WAIT_SECONDS)
                if self._retention.is_due(self._clock.monotonic()):
                    self._tries(self._retention.look, "retain")
            else:
                self._pause(WAIT_SECONDS)

    def _pause(self, seconds: float) -> None:
        """Until it is called."""
        self._wanted.clear()
        if not self._stopping and not self._restarted:
            self._wanted.wait(seconds)

    def _lead(self) -> None:
        opened: list[bool] = []
        if self._tries(lambda: opened.append(self._recovery.lead()), "recover") and opened[0]:
            self._restarted = False
        else:  # another one does it, or a server does not answer
            self._wanted.clear()
            self._wanted.wait(LEAD_SECONDS)

    def _tries(self, action: Callable[[], object], name: str) -> bool:
        """Whether it worked. What did not is said, and tried again: this thread must not end."""
        trouble = self._troubles[name]
        try:
            action()
        except RedisRestarted:
            self._restarted = True
            return True
        except YadtqError as error:
            trouble.say(str(error))
        except Exception as error:
            trouble.say(f"{type(error).__name__}: {error}")
        else:
            trouble.over()
            if name in SENDING:
                self._worked_at = self._clock.monotonic()
            return True
        if self._held and name in SENDING and self._clock.monotonic() - self._worked_at > UNFIT_AFTER_SECONDS:
            self._unfit_until = self._clock.monotonic() + UNFIT_SECONDS
        return False

    def _tidy(self) -> None:
        if self._clock.monotonic() - self._tidied_at < TIDY_SECONDS:
            return
        began = self._tidied_at = self._clock.monotonic()
        self._has_more = True
        while self._has_more and self._clock.monotonic() - began < TIDY_MOST_SECONDS:
            self._has_more = self._retention.tidy()
        self._sweeper.sweep()
