"""A program in a real terminal: what a person types, and what a person sees."""

import re
import time
from dataclasses import dataclass

import pexpect
import pyte

ENTER = "\r"


@dataclass(frozen=True, slots=True)
class Cell:
    """One character of a screen. colour: as pyte names it, 'default' is none."""

    text: str
    colour: str
    bold: bool
    reverse: bool


class AnsweringScreen(pyte.Screen):
    """Answers what programs ask a terminal: without the cursor's position, prompt_toolkit hides its bottom line."""

    def __init__(self, columns: int, lines: int, child: "pexpect.spawn[bytes]") -> None:
        super().__init__(columns, lines)
        self._child = child

    def write_process_input(self, data: str) -> None:
        self._child.send(data)


class Terminal:
    """Runs a program in a terminal of `columns` × `lines`."""

    def __init__(self, *command: str, columns: int = 150, lines: int = 50) -> None:
        self._child: pexpect.spawn[bytes] = pexpect.spawn(command[0], list(command[1:]), dimensions=(lines, columns))
        self._screen = AnsweringScreen(columns, lines, self._child)
        self._stream = pyte.ByteStream(self._screen)

    def type(self, text: str) -> None:
        """Types one line and presses Enter."""
        self._child.send(text + ENTER)

    def see(self, pattern: str, seconds: float = 20.0) -> re.Match[str]:
        """Waits until the screen shows a match. Raises AssertionError with the screen, when it does not in time."""
        waited = 0.0
        while True:
            match = re.search(pattern, self.text, re.MULTILINE)
            if match:
                return match
            if waited >= seconds or not self._read(0.2):
                raise AssertionError(f"the screen never showed {pattern!r} (waited {waited:.0f} s):\n{self.text}")
            waited += 0.2

    def follow(self, seconds: float) -> None:
        """Shows what the program prints, for so long or until it ends."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._read(0.2):
            pass

    @property
    def text(self) -> str:
        """The screen as it is now, without trailing spaces."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def cells(self) -> list[list[Cell]]:
        """The screen with its colours. The second half of a wide character has no text."""
        found = [
            [self._screen.buffer[line][column] for column in range(self._screen.columns)]
            for line in range(self._screen.lines)
        ]
        return [[Cell(each.data, each.fg, each.bold, each.reverse) for each in line] for line in found]

    def close(self) -> int:
        """Waits for the end of the program and returns its exit code; after 10 s it is killed."""
        try:
            self._child.expect(pexpect.EOF, timeout=10)
        except pexpect.TIMEOUT:
            self._child.close(force=True)
        else:
            self._child.close()
        return self._child.exitstatus if self._child.exitstatus is not None else -1

    def _read(self, seconds: float) -> bool:
        """Shows what the program prints within so many seconds; False when it has ended."""
        try:
            self._stream.feed(self._child.read_nonblocking(65536, timeout=seconds))
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        return True
