"""How a person, a container or the end of its parent stops a program."""

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ORPHANED_SECONDS = 1.0


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT call `stop`, each time, while this lasts. Changes nothing in another thread than the main one.

    A process that has asked for a signal at the death of its parent may get it several times then: once for each thread
    of the parent. These count as one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    requests = _Requests(stop)
    before = {number: signal.signal(number, lambda *_: requests.add()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Requests:
    """Tells a second request from the echo of the parent's end."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._parent = os.getppid()
        self._orphaned_at = math.inf
        self._stopped = False

    def add(self) -> None:
        now = time.monotonic()
        if self._orphaned_at == math.inf and _has_ended(self._parent):
            self._orphaned_at = now
        if self._stopped and self._orphaned_at <= now < self._orphaned_at + ORPHANED_SECONDS:
            return
        self._stopped = True
        self._stop()


def _has_ended(parent: int) -> bool:
    """Whether the process that was the parent ends: its first thread is gone, though others may still be going."""
    if os.getppid() != parent:
        return True
    try:
        state = Path(f"/proc/{parent}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False  # a system that does not tell
    return state in "ZX"
