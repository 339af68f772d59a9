"""Where time comes from. Handed in, so that tests need no sleep."""

import time
from typing import Protocol


class Clock(Protocol):
    """What the programs ask for the time."""

    def monotonic(self) -> float:
        """Seconds that never go back; for lengths and deadlines within one process."""
        ...

    def boottime(self) -> float:
        """Seconds since boot, sleep included; the same for every process of this machine."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def monotonic(self) -> float:
        return time.monotonic()

    def boottime(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)
