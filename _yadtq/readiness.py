"""Whether a worker is ready, for a supervisor: a file that is there, and young, while both servers answer."""

import contextlib
import time
from pathlib import Path

TOUCH_SECONDS = 1.0


class Readiness:
    """Keeps the file. path: '' for none. A process that is stopped or killed leaves it behind, and it grows old."""

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._works = {"redis": False, "kafka": False}
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
