"""The log: one line an event, with time, level, action and task id; lines are gathered and written together."""

import sys
import threading
import time
from collections import deque
from typing import Protocol

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40}
# What a person sees at a glance: → begins · ← ends well · ↻ starts again · ! went wrong.
SIGNS = {
    "take": "→",
    "success": "←",
    "retry": "↻",
    "crash": "!",
    "release": "↻",
    "reclaim": "↻",
    "failed": "!",
    "refused": "!",
}
LINE_LIMIT = 2_000  # characters
ID_LIMIT = 200


def visible(text: str, most: int | None = None) -> str:
    """Text with everything that could steer a terminal or break a line written out: '\\x1b', '\\n', '\\u202e'.

    most: characters of the outcome, after which '…' stands for the rest (None: all).
    """
    begun = text if most is None else text[: most + 1]  # of a megabyte no more is looked at than is shown
    shown = begun
    if not begun.isprintable():
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in begun)
    return shown if most is None or len(shown) <= most else shown[:most] + "…"


class Stream(Protocol):
    """What a log is written to: a file of text, or what behaves like one."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


class Log:
    """Writes to a stream (default: stderr). Thread-safe. Lines from WARNING on are written at once."""

    def __init__(self, level: str = "INFO", stream: Stream | None = None) -> None:
        self._least = LEVELS[level]
        self._stream: Stream = stream or sys.stderr
        self._lock = threading.Lock()  # of the stream
        self._lines: deque[str] = deque()
        self._stamped = (0, "")  # milliseconds since 1970, as text

    def debug(self, action: str, task_id: str = "", text: str = "") -> None:
        self._add("DEBUG", action, task_id, text)

    def info(self, action: str, task_id: str = "", text: str = "") -> None:
        self._add("INFO", action, task_id, text)

    def warning(self, action: str, task_id: str = "", text: str = "") -> None:
        self._add("WARNING", action, task_id, text)
        self.flush()

    def error(self, action: str, task_id: str = "", text: str = "") -> None:
        self._add("ERROR", action, task_id, text)
        self.flush()

    def flush(self) -> None:
        """Writes what was gathered."""
        with self._lock:
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            if lines:
                self._stream.write("".join(lines))
                self._stream.flush()

    def _add(self, level: str, action: str, task_id: str, text: str) -> None:
        if LEVELS[level] < self._least:
            return
        sign = SIGNS.get(action, " ")
        shown = visible(text, LINE_LIMIT)
        known = f" id={visible(task_id, ID_LIMIT)}" if task_id else ""
        self._lines.append(f"{self._now()} {level:<7} {sign} action={action}{known}{' ' + shown if shown else ''}\n")

    def _now(self) -> str:
        now = time.time_ns() // 1_000_000
        before, text = self._stamped
        if now != before:  # many lines are of one millisecond
            seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 1000))
            text = f"{seconds}.{now % 1000:03d}Z"
            self._stamped = (now, text)
        return text


class Trouble:
    """Something outside does not work: said once when it begins, once when it is over, whatever is tried between."""

    def __init__(self, log: Log, action: str) -> None:
        self._log, self._action = log, action
        self._known = ""

    def say(self, problem: str) -> None:
        if problem != self._known:
            self._known = problem
            self._log.error(self._action, text=f"{problem} (trying again)")

    def over(self) -> None:
        if self._known:
            self._known = ""
            self._log.info(self._action, text="it works again")
            self._log.flush()
