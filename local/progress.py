"""What a person sees while something takes long: on a terminal a line that counts the seconds, else one line a step."""

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from typing import TextIO

TICK_SECONDS = 0.1
WHEEL = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
DONE, FAILED = "✓", "✗"
CLEAR = "\r\x1b[K"


def write(stream: TextIO, text: str) -> None:
    """Writes at once. A terminal that was closed is no reason not to go on: what was started must be stopped too."""
    with contextlib.suppress(OSError):
        stream.write(text)
        stream.flush()


class Step:
    """One step that is going on."""

    def __init__(self, text: str, stream: TextIO) -> None:
        self._stream = stream
        self._started = time.monotonic()
        self.text = text

    def now(self, text: str) -> None:
        """Says what the step is doing now, unless that is what it said last."""
        new, self.text = text != self.text, text
        if new and not self._stream.isatty():
            write(self._stream, f"yadtq: {text}\n")

    def draw(self, mark: str, end: str = "") -> None:
        """Draws its line on the terminal."""
        seconds = time.monotonic() - self._started
        write(self._stream, f"{CLEAR}{mark} {self.text}{f'  {seconds:.0f} s' if seconds >= 1 else ''}{end}")


class Progress:
    """Tells a person what goes on, on `stream` (standard error, so that output stays clean)."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def say(self, text: str) -> None:
        """One line."""
        write(self._stream, f"yadtq: {text}\n")

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[Step]:
        """Something that takes a while. An exception inside marks it as failed and goes on."""
        step = Step(text, self._stream)
        if not self._stream.isatty():
            self.say(text)
            yield step
            return
        over = threading.Event()
        drawer = threading.Thread(target=_draw, args=(step, over), name="progress", daemon=True)
        drawer.start()
        mark = FAILED
        try:
            yield step
            mark = DONE
        finally:
            over.set()
            drawer.join()
            step.draw(mark, "\n")


def _draw(step: Step, over: threading.Event) -> None:
    for mark in itertools.cycle(WHEEL):
        step.draw(mark)
        if over.wait(TICK_SECONDS):
            return
