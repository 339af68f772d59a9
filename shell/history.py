"""The history of typed lines: one file for all sessions of a user, bounded, shared by a file lock."""

import fcntl
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from prompt_toolkit.history import History

LINES = 2_000
"""Lines that are read back."""
LARGEST, KEPT = 1_000_000, 500_000
"""Bytes at which the file is cut down, and to how many."""


def state_folder(environment: Mapping[str, str]) -> Path:
    """Where the shell keeps what is not precious: $XDG_STATE_HOME/yadtq, by default ~/.local/state/yadtq."""
    given = environment.get("XDG_STATE_HOME", "")
    return (Path(given) if os.path.isabs(given) else Path.home() / ".local" / "state") / "yadtq"


class SharedHistory(History):
    """Lines are appended under a lock, so that several sessions can write. problem: why it is only in memory, or ''."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.problem = ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._append(b"")
        except OSError as error:
            self._in_memory(error)

    def load_history_strings(self) -> Iterable[str]:
        """The latest lines, newest first."""
        if self.problem:
            return []
        try:
            lines = self._path.read_bytes()[-LARGEST:].decode("utf-8", "replace").split("\n")
        except OSError as error:
            self._in_memory(error)
            return []
        return [line for line in reversed(lines) if line][:LINES]

    def store_string(self, string: str) -> None:
        """Appends a line; of a paste, each of its lines. Text that cannot be written as UTF-8 is left out."""
        lines = [line for line in string.splitlines() if line.strip()]
        if self.problem or not lines:
            return
        try:
            self._append("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
        except OSError as error:
            self._in_memory(error)

    def _append(self, data: bytes) -> None:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            os.write(file, data)
            size = os.fstat(file).st_size
            if size > LARGEST:
                tail = os.pread(file, KEPT, size - KEPT).partition(b"\n")[2]
                os.ftruncate(file, 0)
                os.write(file, tail)
        finally:
            os.close(file)

    def _in_memory(self, error: OSError) -> None:
        self.problem = f"the history is kept in memory only: {self._path}: {error.strerror}"
