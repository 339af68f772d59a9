"""Who looks at the pages: while somebody does, the queue is looked at often, and all see the same picture."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dashboard.picture import Picture
from dashboard.source import Reads, Source

QUICK_SECONDS, SLOW_SECONDS = 0.4, 5.0
"""Between two looks at the queue: while somebody looks at a page, and while nobody does."""
LINGER_SECONDS = 10.0
"""For how long after a request somebody is still thought to look."""
FRESH_SECONDS = 1.0
"""Age of a picture that a page may begin with."""
PATIENCE_SECONDS = 1.0
"""For how long a page waits for a fresher one."""
MOST_STREAMS = 200


class Audience:
    """The one picture, for requests (threads) and for streams (the event loop).

    quick_seconds: between two looks at the queue while somebody looks at a page.
    """

    def __init__(self, operator: Reads, queue: str, quick_seconds: float = QUICK_SECONDS) -> None:
        self._source = Source(operator, queue, self._changed)
        self._source.every(SLOW_SECONDS)
        self._quick_seconds = quick_seconds
        self._came_at = 0.0
        self._condition = threading.Condition()
        self._wakes: set[Callable[[], object]] = set()
        self._looks = 0  # at the queue, so far
        self._looked_at = time.monotonic()
        self.closing = False

    @property
    def picture(self) -> Picture:
        return self._source.picture

    def start(self) -> None:
        self._source.start()

    def end_streams(self) -> None:
        """Ends all streams."""
        self.closing = True
        self._changed()

    def close(self) -> None:
        """Ends the thread that looks at the queue."""
        self._source.close()

    def idle_seconds(self) -> float:
        """Since the queue was last looked at, whatever was seen."""
        return time.monotonic() - self._looked_at

    def came(self) -> Picture:
        """Somebody looks at a page. Waits a moment when the picture is old and could be newer."""
        self._came_at = time.monotonic()
        self._source.every(self._quick_seconds)
        with self._condition:
            looks = self._looks
            if not self.picture.trouble:
                self._condition.wait_for(lambda: self._fresh() or self._looks >= looks + 2, PATIENCE_SECONDS)
        return self.picture

    def after_change(self) -> None:
        """Waits until the queue was looked at as it is now: somebody has just changed it here, and wants to see it."""
        with self._condition:
            looks = self._looks
            self._condition.wait_for(lambda: self._looks >= looks + 2, PATIENCE_SECONDS)

    @contextmanager
    def stream(self, wake: Callable[[], object]) -> Iterator[bool]:
        """Calls `wake`, from another thread, whenever there is a new picture. False: there are too many streams."""
        with self._condition:
            room = len(self._wakes) < MOST_STREAMS
            if room:
                self._wakes.add(wake)
        self._source.every(self._quick_seconds)
        try:
            yield room
        finally:
            with self._condition:
                self._wakes.discard(wake)

    def _fresh(self) -> bool:
        picture = self.picture
        return picture.snapshot is not None and time.monotonic() - picture.read_at < FRESH_SECONDS

    def _changed(self) -> None:
        with self._condition:
            self._looks += 1
            self._looked_at = time.monotonic()
            self._condition.notify_all()
            wakes = tuple(self._wakes)
        for wake in wakes:
            wake()
        if not wakes and time.monotonic() - self._came_at > LINGER_SECONDS:
            self._source.every(SLOW_SECONDS)
