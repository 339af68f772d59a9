"""What reaches the thread that decides: messages of the other threads, in order."""

import queue
from types import UnionType


class Stop:
    """The worker shall drain and end."""


class Inbox:
    """Many put, one takes. `put` may be called from a signal handler.

    A list that is put counts as its messages: many come at the price of one, and wake the taker once.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.put = self._queue.put
        self._kept: list[object] = []

    def messages(self, seconds: float) -> list[object]:
        """All that has come, waiting at most so long for the first."""
        found, self._kept = self._kept, []
        try:
            put = self._queue.get(timeout=seconds) if seconds > 0 and not found else self._queue.get_nowait()
            while True:
                if isinstance(put, list):
                    found += put
                else:
                    found.append(put)
                put = self._queue.get_nowait()
        except queue.Empty:
            return found

    def forget(self, kinds: type | UnionType) -> None:
        """Drops the messages of these kinds that have come so far; the others stay, in order."""
        self._kept = [message for message in self.messages(0) if not isinstance(message, kinds)]
