"""A program in the foreground: it has this process' input, output and, where there is one, its terminal."""

import contextlib
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from local import process

TICK_SECONDS = 1.0
STOP_SECONDS = 5.0


def run_foreground(
    command: Sequence[str], environment: Mapping[str, str], pid_file: Path, each_second: Callable[[], None]
) -> int:
    """Runs a command to its end and returns its exit code (128 + n: signal n ended it).

    environment: on top of this process' own. each_second: called about so often while it runs.
    It is a process group of its own: Ctrl-C in a terminal reaches it alone, and neither this process nor a `make`
    around it. A SIGINT that reaches this process is handed on to it. It is stopped when an exception ends the wait.
    """
    with _terminal() as owned:
        child = _spawn(command, environment, owned)
        try:
            process.write_pid_file(pid_file, child.pid)
            with _handing_on(signal.SIGINT, child):
                return _attend(child, each_second)
        finally:
            process.stop(child, STOP_SECONDS)
            pid_file.unlink(missing_ok=True)


def _spawn(command: Sequence[str], environment: Mapping[str, str], owns_terminal: bool) -> subprocess.Popen[bytes]:
    # A terminal that belongs to somebody else (`make up &`): stay in the group that its owner may resume.
    stays = sys.stdin.isatty() and not owns_terminal
    foreground = ["--foreground"] if owns_terminal else []
    return subprocess.Popen(
        [*process.tether(), *foreground, *command],
        env={**os.environ, **environment},
        process_group=None if stays else 0,
    )


def _attend(child: subprocess.Popen[bytes], each_second: Callable[[], None]) -> int:
    while True:
        try:
            code = child.wait(TICK_SECONDS)
        except subprocess.TimeoutExpired:
            each_second()
        else:
            return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _handing_on(number: signal.Signals, child: subprocess.Popen[bytes]) -> Iterator[None]:
    before = signal.signal(number, lambda *_: child.send_signal(number))
    try:
        yield
    finally:
        signal.signal(number, before)


@contextlib.contextmanager
def _terminal() -> Iterator[bool]:
    """Whether the terminal of standard input is this process' own; afterwards it is again, as it was before."""
    if not sys.stdin.isatty() or os.tcgetpgrp(sys.stdin.fileno()) != os.getpgrp():
        yield False
        return
    manners = termios.tcgetattr(sys.stdin)
    try:
        yield True
    finally:
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        with contextlib.suppress(OSError, termios.error):  # the terminal was closed
            os.tcsetpgrp(sys.stdin.fileno(), os.getpgrp())
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, manners)
        signal.signal(signal.SIGTTOU, before)
