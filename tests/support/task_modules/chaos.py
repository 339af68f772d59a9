"""The tasks of the chaos tests. Each leaves a line in the ledger when it starts and when it ends.

A run also holds a lock of its task, which the kernel releases when its process dies, however it dies: a run that finds
it held overlaps another one, whatever the clocks say.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.ledger import EXITED, RAISED, RETURNED, Lines, identity, now, runs_folder
from yadtq import current_task, task

LEDGER_VARIABLE = "CHAOS_LEDGER"


class Recorder:
    """This process' place in the ledger. There is one a process: closing a second lock file would free the first."""

    def __init__(self, ledger: Path) -> None:
        self.worker = os.environ["WORKER_ID"]
        self.process = identity(os.getpid()) or ""
        self._lines = Lines(runs_folder(ledger) / f"{self.worker}-{self.process}.jsonl")
        self._locks = os.open(ledger / "locks", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def start(self) -> None:
        me = current_task()
        alone = self._lock(me.id)
        self._lines.write("start", me.id, me.attempt, self.worker, self.process, now(), alone)

    def end(self, how: str) -> None:
        me = current_task()
        self._lines.write(how, me.id, self.process, now())
        if how != EXITED:  # the kernel frees it, when the process is really gone
            fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, _place(me.id))

    def close(self) -> None:
        """Frees all locks."""
        os.close(self._locks)
        self._lines.close()

    def _lock(self, task_id: str) -> bool:
        try:
            fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(task_id))
        except OSError:
            return False
        return True


def _place(task_id: str) -> int:
    return int.from_bytes(hashlib.sha256(task_id.encode()).digest()[:7], "big")


_recorders: list[Recorder] = []


@contextmanager
def recorded() -> Iterator[Recorder]:
    """Writes the start now, and the end when the block ends."""
    if not _recorders:
        _recorders.append(Recorder(Path(os.environ[LEDGER_VARIABLE])))
    recorder = _recorders[0]
    recorder.start()
    try:
        yield recorder
    except BaseException:
        recorder.end(RAISED)
        raise
    recorder.end(RETURNED)


@task
def work(seconds: float) -> int:
    """Takes so many seconds; returns its attempt."""
    with recorded():
        time.sleep(seconds)
    return current_task().attempt


@task
def stumble(seconds: float) -> int:
    """Raises the first time."""
    with recorded():
        time.sleep(seconds)
        if current_task().attempt == 1:
            raise RuntimeError("the first attempt fails")
    return current_task().attempt


@task
def vanish(seconds: float) -> int:
    """Ends its process without a word the first time."""
    with recorded() as recorder:
        time.sleep(seconds)
        if current_task().attempt == 1:
            recorder.end(EXITED)
            os._exit(3)
    return current_task().attempt
