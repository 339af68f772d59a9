"""Hears that tasks are ready: a thread of a worker, for one of its lives."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from _yadtq.bell import Bell
from _yadtq.errors import ServerUnreachable

if TYPE_CHECKING:  # it brings redis with it
    from _yadtq.store import Store

LISTEN_SECONDS = 5.0  # at a time; then redis-py looks whether the connection still works
DEAF_SECONDS = 1.0  # between two tries of a Redis that does not answer


@dataclass(frozen=True, slots=True)
class Woken:
    """Tasks are ready, and this worker had a free slot."""


class Listener(threading.Thread):
    """Says so in the inbox."""

    def __init__(self, store: "Store", name: str, post: Callable[[object], None]) -> None:
        super().__init__(name="wake-listener", daemon=True)
        self._store, self._channel, self._post = store, store.keys.wake(name), post
        self._stopping, self._bell = threading.Event(), Bell()

    def stop(self) -> None:
        """Ends the thread. Does not wait."""
        self._stopping.set()
        self._bell.ring()

    def run(self) -> None:
        subscription = self._store.subscription(self._channel)
        while not self._stopping.is_set():
            try:
                if subscription.get(LISTEN_SECONDS, self._bell) is not None:
                    self._post(Woken())
            except ServerUnreachable:  # the worker's own calls tell it; a look every second replaces the message
                self._stopping.wait(DEAF_SECONDS)
        subscription.close()
