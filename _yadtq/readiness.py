"""Whether a program is ready, for a supervisor: a file that is there, and young, while what it needs works."""

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

TOUCH_SECONDS = 1.0


class Readiness:
    """Keeps the file. A process that is stopped or killed leaves it behind, and it grows old.

    path: '' for none. servers: those that the program needs.
    """

    def __init__(self, path: str, servers: Iterable[str] = ("redis", "kafka")) -> None:
        self._path = Path(path) if path else None
        self._works = dict.fromkeys(servers, False)
        self._touched_at = 0.0

    def tell(self, server: str, works: bool) -> None:
        """Whether a server answers, as often as that is known."""
        self._works[server] = works
        if self._path is None or (works and time.monotonic() < self._touched_at + TOUCH_SECONDS):
            return
        if all(self._works.values()):
            self._touched_at = time.monotonic()
            with contextlib.suppress(OSError):  # a full disk: then it grows old
                self._path.touch()
        else:
            self.end()

    def end(self) -> None:
        """It is not ready any more."""
        self._touched_at = 0.0
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
