"""The thread of a server that follows the event log while it leads, and hands on each event."""

import threading
from collections import deque
from collections.abc import Callable

from _yadtq.clock import SystemClock
from _yadtq.errors import ServerUnreachable
from _yadtq.event_reader import EventReader
from _yadtq.events import Cursor, Event
from _yadtq.log import Trouble

NOTE_SECONDS = 10.0  # more than it takes a standby to notice that the leader is gone
WAIT_SECONDS = 0.5  # between two looks at who leads


class Follower(threading.Thread):
    """Begins at the end of the log. A standby notes where the end is, and goes on there when it leads: what the leader
    before it has not told any more is told; what both have seen is told by both.

    leads: whether this server does. tell: is given each event, and None about each second when there is none.
    """

    def __init__(
        self, reader: EventReader, leads: Callable[[], bool], tell: Callable[[Event | None], None], trouble: Trouble
    ) -> None:
        super().__init__(name="follower", daemon=True)
        self._reader, self._leads, self._tell, self._trouble = reader, leads, tell, trouble
        self._clock = SystemClock()
        self._ends: deque[Cursor] = deque(maxlen=2)  # the older one is where it goes on
        self._note_at = 0.0
        self._stopping = threading.Event()

    def stop(self, seconds: float) -> None:
        """Ends the thread; waits so long for it."""
        self._stopping.set()
        if self.ident is not None:
            self.join(seconds)

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._step()
            except Exception as error:  # this thread must not end
                self._trouble.say(f"{type(error).__name__}: {error}")
                self._stopping.wait(WAIT_SECONDS)
        self._reader.close()

    def _step(self) -> None:
        if self._clock.monotonic() >= self._note_at:
            self._note()
        if self._leads() and self._ends:
            self._follow()
        else:
            self._stopping.wait(WAIT_SECONDS)

    def _note(self) -> None:
        try:
            self._ends.append(self._reader.end())
        except ServerUnreachable:  # the observer says so
            return
        self._note_at = self._clock.monotonic() + NOTE_SECONDS

    def _follow(self) -> None:
        """While this server leads."""
        cursor = self._ends[0]
        for event in self._reader.follow(cursor, lambda: self._stopping.is_set() or not self._leads()):
            self._tell(event)
        self._ends.clear()
        self._ends.append(cursor)
