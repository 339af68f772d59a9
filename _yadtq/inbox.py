"""What reaches the thread that decides: messages of the other threads, in order."""

import queue


class Stop:
    """The worker shall drain and end."""


class Inbox:
    """Many put, one takes. `put` may be called from a signal handler."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.put = self._queue.put

    def messages(self, seconds: float) -> list[object]:
        """All that has come, waiting at most so long for the first."""
        found = []
        try:
            found.append(self._queue.get(timeout=seconds) if seconds > 0 else self._queue.get_nowait())
            while True:
                found.append(self._queue.get_nowait())
        except queue.Empty:
            return found
