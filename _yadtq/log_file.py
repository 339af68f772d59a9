"""A log file that does not grow beyond its bound: server.log, then server.log.1 to server.log.5, the oldest last."""

import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import TextIO

BYTES, KEPT = 10_000_000, 5  # of one file; older files
MODE = 0o640  # names and errors are in them
PART = 64_000  # characters written at once: so much a file may be larger than its bound


class LogFile:
    """A stream for `Log`. Several processes may write to the same file: whoever finds it full moves it aside.

    path: its folder is made. also: where everything is written as well. most, kept: bytes of one file, older files.
    Raises OSError when the file cannot be written at the start; later on that is said once on `also`, and tried again.
    """

    def __init__(self, path: Path, also: TextIO | None = None, most: int = BYTES, kept: int = KEPT) -> None:
        self._path, self._also = path, also or sys.stderr
        self._most, self._kept = most, kept
        self._problem = ""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open()

    def write(self, text: str) -> None:
        """Whole lines."""
        self._also.write(text)
        try:
            for part in _parts(text):
                self._turn_over()
                self._append(part.encode("utf-8", "backslashreplace"))
        except OSError as error:
            self._say(f"{self._path}: {error.strerror}: its lines are only here until it can be written again")
        else:
            self._problem = ""

    def flush(self) -> None:
        """What is written is in the file already."""
        self._also.flush()

    def close(self) -> None:
        self._file.close()

    def _append(self, data: bytes) -> None:
        if (self._file.write(data) or 0) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _open(self) -> None:
        self._file = FileIO(self._path, "ab", opener=lambda path, flags: os.open(path, flags, MODE))

    def _turn_over(self) -> None:
        """Makes sure that the file is the one of that name, and not full."""
        if not self._is_current():
            self._file.close()
            self._open()
        if self._size() < self._most:
            return
        with _alone_in(self._path.parent):
            if self._is_current():  # else another process was faster
                for number in range(self._kept, 0, -1):
                    older = self._numbered(number - 1)
                    if older.exists():
                        older.replace(self._numbered(number))
        self._file.close()
        self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def _is_current(self) -> bool:
        try:
            return not self._file.closed and os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _say(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._also.write(problem + "\n")


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """No other process moves files of this folder meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _parts(text: str) -> list[str]:
    """A text in parts of whole lines."""
    parts: list[str] = []
    for line in text.splitlines(keepends=True):
        if parts and len(parts[-1]) + len(line) <= PART:
            parts[-1] += line
        else:
            parts.append(line)
    return parts
