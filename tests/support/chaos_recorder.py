"""How a handler writes into the ledger: a line when it starts and a line when it ends. Knows nothing of any task queue.

A run also holds a lock of its task, which the kernel releases when its process dies, however it dies: a run that finds
it held overlaps another one, whatever the clocks say.
"""

import fcntl
import hashlib
import os
from pathlib import Path

from tests.support.ledger import EXITED, Lines, identity, now, runs_folder

LEDGER_VARIABLE = "CHAOS_LEDGER"


class Recorder:
    """This process' place in the ledger. There is one a process: closing a second lock file would free the first."""

    def __init__(self, ledger: Path) -> None:
        self.worker = os.environ["WORKER_ID"]
        self.process = identity(os.getpid()) or ""
        self._lines = Lines(runs_folder(ledger) / f"{self.worker}-{self.process}.jsonl")
        self._locks = os.open(ledger / "locks", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def start(self, task: str, attempt: int) -> None:
        alone = self._lock(task)
        self._lines.write("start", task, attempt, self.worker, self.process, now(), alone)

    def end(self, task: str, how: str) -> None:
        self._lines.write(how, task, self.process, now())
        if how != EXITED:  # the kernel frees it, when the process is really gone
            fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, _place(task))

    def close(self) -> None:
        """Frees all locks."""
        os.close(self._locks)
        self._lines.close()

    def _lock(self, task: str) -> bool:
        try:
            fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(task))
        except OSError:
            return False
        return True


def _place(task: str) -> int:
    return int.from_bytes(hashlib.sha256(task.encode()).digest()[:7], "big")


_recorders: list[Recorder] = []


def recorder() -> Recorder:
    """The recorder of this process, which must not be a fork of one that has one."""
    if not _recorders:
        _recorders.append(Recorder(Path(os.environ[LEDGER_VARIABLE])))
    return _recorders[0]
