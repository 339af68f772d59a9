"""Ctrl-C, SIGTERM and SIGHUP as an exception that does not come at a bad moment."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """This process was asked to stop. A BaseException: nothing that handles errors may swallow it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """What a shell expects of a program that a signal ended."""
        return 128 + self.signum


class Interruption:
    """From `listen` to `ignore` the first signal of SIGNALS raises Interrupted in the main thread; no other does."""

    def __init__(self) -> None:
        self._held = False
        self._waiting: int | None = None

    def listen(self) -> None:
        """Takes over the signals, except those that are ignored (nohup)."""
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._arrived)

    @staticmethod
    def ignore() -> None:
        """From now on no signal disturbs: this process is stopping already."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """What is done in here is not interrupted; a signal that comes meanwhile takes effect at the end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
            if self._waiting is not None:
                raise Interrupted(self._waiting)

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        self.ignore()
        if not self._held:
            raise Interrupted(number)
        self._waiting = number
