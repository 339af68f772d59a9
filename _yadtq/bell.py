"""A bell: ends the wait of another thread for what a server has to say."""

import os
import select


class Bell:
    """A ring ends one wait, of one thread. Its descriptor lives as long as it: a late ring disturbs nothing."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def __del__(self) -> None:
        os.close(self._descriptor)

    def ring(self) -> None:
        """From any thread, any time."""
        os.eventfd_write(self._descriptor, 1)

    def hears(self, descriptor: int, seconds: float) -> bool:
        """Waits until something is to be read there. False: it was rung, or nothing came in so many seconds."""
        poller = select.poll()
        for each in (descriptor, self._descriptor):
            poller.register(each, select.POLLIN)
        ready = {each for each, _ in poller.poll(seconds * 1000)}
        if self._descriptor in ready:
            os.eventfd_read(self._descriptor)
        return descriptor in ready
