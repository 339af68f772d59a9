"""What handlers print: bytes become lines of text, of bounded length and number."""

import io
from collections.abc import Callable
from typing import Any

LINE_CHARACTERS = 2000
TASK_LINES = 1000
# Enough bytes for a line of the longest characters, so that a character cut in half lies beyond the cut.
KEPT_BYTES = 4 * LINE_CHARACTERS + 4
STREAMS = ("stdout", "stderr")


class Lines:
    """Cuts a stream of bytes into lines. What is no UTF-8 appears as \\xNN; a long line ends in an ellipsis."""

    def __init__(self) -> None:
        self._part = b""

    def feed(self, data: bytes) -> list[str]:
        """Takes the next bytes and returns the lines that they complete."""
        *whole, rest = data.split(b"\n")
        lines = []
        for piece in whole:
            lines.append(_text(self._part + piece[:KEPT_BYTES]))
            self._part = b""
        self._part = (self._part + rest[:KEPT_BYTES])[:KEPT_BYTES]
        return lines

    def rest(self) -> list[str]:
        """Ends the stream: the line that has begun, if any."""
        part, self._part = self._part, b""
        return [_text(part)] if part else []


def _text(line: bytes) -> str:
    text = line[:KEPT_BYTES].decode("utf-8", "backslashreplace").removesuffix("\r")
    return text if len(text) <= LINE_CHARACTERS else text[: LINE_CHARACTERS - 1] + "…"


class Budget:
    """Counts the lines of one task and lets only the first `TASK_LINES` through."""

    def __init__(self) -> None:
        self.shown = 0
        self.left_out = 0

    def admit(self, lines: list[str]) -> list[str]:
        """The lines that may still be shown."""
        kept = lines[: TASK_LINES - self.shown]
        self.shown += len(kept)
        self.left_out += len(lines) - len(kept)
        return kept


class Shown:
    """What the pool has shown of the lines that one task printed. number: the job's, 0 for lines of no task."""

    def __init__(self, number: int = 0, task_id: str = "") -> None:
        self.number = number
        self.task_id = task_id
        self.is_full = False  # the child has begun to leave lines out
        self._budget = Budget()

    def admit(self, lines: list[str]) -> list[str]:
        """The lines that may still be shown."""
        return self._budget.admit(lines)

    def notice(self, left_out: int | None) -> list[str]:
        """The last line of a task that printed too much. left_out: by the child; None where it could not say."""
        if left_out is None:
            return ["… more lines were left out"] if self.is_full or self._budget.left_out else []
        left_out += self._budget.left_out
        return [f"… {left_out:,} more line{'s were' if left_out > 1 else ' was'} left out"] if left_out else []


class LineWriter(io.RawIOBase):
    """The bytes under sys.stdout or sys.stderr of a child. Hands each complete line on.

    `fileno` is the real descriptor, for programs that a handler starts: what they print comes through a pipe.
    is_touched: something was written since the last `finish`, or it was closed.
    """

    def __init__(self, number: int, send: Callable[[int, list[str]], None]) -> None:
        super().__init__()
        self._number = number
        self._send = send
        self._lines = Lines()
        self.is_touched = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def write(self, data: Any) -> int:
        self.is_touched = True
        taken = bytes(data)
        lines = self._lines.feed(taken)
        if lines:
            self._send(self._number, lines)
        return len(taken)

    def finish(self) -> None:
        """Hands on a line that has begun and not ended."""
        self.is_touched = False
        lines = self._lines.rest()
        if lines:
            self._send(self._number, lines)

    def close(self) -> None:
        self.is_touched = True
        super().close()


def text_stream(writer: LineWriter) -> io.TextIOWrapper:
    """A text stream over `writer` that never raises for a character, and keeps nothing to itself."""
    # The stub asks for a buffered stream; the documentation does not, and an unbuffered one keeps lines in order.
    buffer: Any = writer
    return io.TextIOWrapper(buffer, encoding="utf-8", errors="backslashreplace", write_through=True)
