"""The programs that run beside the shell: started in order, and started again when one dies while the run goes on."""

import subprocess
import time
from pathlib import Path

from local import process
from local.backoff import Backoff
from local.crew import described
from local.errors import StartFailed

LAST_BYTES = 4096


class Service:
    """One program of this run. name: for a person."""

    def __init__(self, name: str, program: process.Program) -> None:
        self.name, self.program = name, program
        self._process: subprocess.Popen[bytes] | None = None
        self._backoff = Backoff()
        self._started_at = 0.0
        self._start_at = 0.0

    def start(self) -> None:
        """Starts it and returns at once."""
        self._started_at = time.monotonic()
        self._process = process.spawn(self.program)

    def require(self) -> None:
        """Raises StartFailed, with its last line, when it has ended."""
        if self._process and (code := self._process.poll()) is not None:
            raise StartFailed(f"{self.name} {described(code)} while it started: {self._last_line()}", self.program.log)

    def keep(self, now: float) -> str:
        """Starts it again when it has died and its pause is over. Returns what it noticed, '' mostly.

        now: seconds of the monotonic clock.
        """
        process.bound_log(self.program.log)
        if self._process is None:
            if now >= self._start_at:
                self.start()
            return ""
        code = self._process.poll()
        if code is None:
            return ""
        self._process = None
        self._backoff, pause = self._backoff.after(now - self._started_at, code)
        self._start_at = now + pause
        return f"{self.name} {described(code)} and is started again: {self._last_line()} (log: {self.program.log})"

    def _last_line(self) -> str:
        return last_line(self.program.log)


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LAST_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
