"""A channel of Redis that a thread listens to."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from _yadtq.bell import Bell
from _yadtq.errors import ServerUnreachable
from _yadtq.scripts import REPLY_SECONDS


class Subscription:
    """One channel, listened to. Made by Store.subscription; used by one thread at a time."""

    def __init__(self, guarded: Callable[[], AbstractContextManager[None]], pubsub: Any, channel: str) -> None:
        self.channel = channel
        self._guarded, self._pubsub = guarded, pubsub

    def open(self) -> None:
        """Subscribes, unless it is so already, and waits until Redis has said so: no message is missed from here on."""
        if not self._pubsub.subscribed:
            with self._guarded():
                self._pubsub.subscribe(self.channel)
                self._pubsub.get_message(timeout=REPLY_SECONDS)

    def get(self, seconds: float, bell: Bell | None = None) -> str | None:
        """The next message, or None after so many seconds. bell: ends the wait.

        Raises ServerUnreachable; the next call tries again.
        """
        self.open()
        deadline, cut = time.monotonic() + seconds, False
        while True:
            try:
                with self._guarded():
                    left = max(0.0, deadline - time.monotonic())
                    message = self._pubsub.get_message(timeout=0.0 if bell else left)
                    if message is None and bell:
                        if not bell.hears(self._pubsub.connection._sock.fileno(), left):
                            return None
                        message = self._pubsub.get_message(timeout=REPLY_SECONDS)  # a part of it may be on its way
            except ServerUnreachable:
                if cut:
                    raise
                cut = True  # the connection may just have been idle for too long; it subscribes again when it listens
                continue
            if message is not None and message["type"] == "message":
                return str(message["data"])
            if time.monotonic() >= deadline:
                return None

    def close(self) -> None:
        self._pubsub.close()
