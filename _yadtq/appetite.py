"""When a worker asks the queue for tasks. Pure: it is told the time.

It asks when the last answer left no slot free, when it was woken, when a delayed task is due, and once a second,
which covers a wake-up message that was lost.
"""

import math

LOOK_SECONDS = 1.0


class Appetite:
    """Used by the thread that decides. Instants are monotonic seconds.

    in_doubt: a take was sent whose reply was not read; the next one has the same number.
    """

    def __init__(self) -> None:
        self.in_doubt = False
        self._hungry = True
        self._look_at = 0.0
        self._due_at = math.inf

    def woken(self) -> None:
        """Tasks are ready, or the worker begins anew."""
        self._hungry = True

    def expect(self, seconds: float, now: float) -> None:
        """A delayed task may start in so many seconds."""
        self._due_at = min(self._due_at, now + seconds)

    def looks(self, now: float) -> bool:
        """Whether it is time to look, whatever is known."""
        return now >= min(self._look_at, self._due_at)

    def wants(self, room: int, now: float) -> bool:
        """Whether to ask, with so many free slots."""
        return self.in_doubt or (room > 0 and (self._hungry or self.looks(now)))

    def fed(self, room: int, got: int, due_seconds: float | None, now: float) -> None:
        """The answer: `got` tasks for `room` slots; the next delayed task may start in `due_seconds`.

        One that left a slot free has registered this worker as idle: it will be woken. After any other, also one that
        was asked without a free slot, nobody wakes it: it asks as soon as a slot is free.
        """
        self.in_doubt = False
        self._hungry = got >= room
        self._look_at = now + LOOK_SECONDS
        self._due_at = math.inf if due_seconds is None else now + due_seconds

    def patience(self, room: int, now: float) -> float:
        """Seconds until it wants to ask of itself.

        Without room it only looks where the reader is, and when there is no reader either, there is nothing to ask.
        """
        if room:
            return 0.0 if self._hungry else max(0.0, min(self._look_at, self._due_at) - now)
        return self._look_at - now if self._look_at > now else LOOK_SECONDS
