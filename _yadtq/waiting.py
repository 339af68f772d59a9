"""Waiting for tasks to end: told by Redis, not polling."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from _yadtq.errors import TaskNotFound

if TYPE_CHECKING:  # it brings redis with it
    from _yadtq.store import Store
    from _yadtq.subscription import Subscription

LOOK_SECONDS = 1.0  # a look covers a message that was lost


class Waiting:
    """Keeps the channels on which a client hears of ends; each wait uses one. Thread-safe."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._lock = threading.Lock()
        self._idle: list[Subscription] = []

    def for_any(
        self, task_ids: Sequence[str], timeout: float | None, read: Callable[[Callable[[], Any]], Any]
    ) -> list[str]:
        """The ids whose task has ended, as soon as there is one; [] after `timeout` seconds. Raises TaskNotFound.

        read: makes a call to Redis, in a queue that may not have begun yet.
        """
        if not task_ids:
            return []
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            channel = self._idle.pop() if self._idle else self._store.subscription()
        try:
            channel.open()
            while True:
                words = dict(zip(task_ids, read(lambda: self._store.watch(channel.channel, task_ids)), strict=True))
                for task_id, word in words.items():
                    if word == "absent":
                        raise TaskNotFound(f"no task has the id {task_id}: it never was, was reset, or has expired")
                ended = [task_id for task_id, word in words.items() if word == "ended"]
                left = LOOK_SECONDS if deadline is None else deadline - time.monotonic()
                if ended or left <= 0:
                    break
                channel.get(min(LOOK_SECONDS, left))
        except BaseException:  # also a person's Ctrl-C: what may still come through this channel is not wanted
            channel.close()
            raise
        with self._lock:
            self._idle.append(channel)
        return ended

    def close(self) -> None:
        with self._lock:
            while self._idle:
                self._idle.pop().close()
