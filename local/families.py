"""What a worker consists of: its process, its guard, its children, and whatever its tasks have started.

This process adopts what loses its parent (it is a subreaper), so none of them gets out of its sight: all of them are
its descendants until they end. A mark in the environment says to which start of which worker one belongs; what bears
no mark, because a task has started it with another environment, may belong to any.
"""

import contextlib
import ctypes
import os
import signal
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

MARK = "YADTQ_CREW"
GRACE_SECONDS = 1.0  # for a guard, to end what its dead worker ran
GIVE_UP_SECONDS = 20.0
# A list of processes is not made at one instant: what was forked meanwhile may be missing in one, not in two.
LOOKS = 2

_SET_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Relative:
    """A living process. started: ticks since boot. mark: '' for none."""

    pid: int
    started: int
    mark: str


class Remains:
    """What may be left of a worker that has died. It is over when nothing of it lives, or when that takes too long.

    mark: of this start of it; started: when that was, in ticks since boot.
    """

    def __init__(self, mark: str, started: int, now: float) -> None:
        self.certain = True
        self._mark, self._started, self._died_at = mark, started, now
        self._clean = 0

    def over(self, relatives: Iterable[Relative], now: float) -> bool:
        """Looks, and kills what stays for too long. False: something lives. `certain`: afterwards nothing does."""
        alive = [each for each in relatives if self._may_be_of_it(each)]
        self._clean = 0 if alive else self._clean + 1
        if self._clean >= LOOKS:
            return True
        if now > self._died_at + GRACE_SECONDS:
            for each in alive:
                kill(each)
        self.certain = now < self._died_at + GIVE_UP_SECONDS
        return not self.certain

    def _may_be_of_it(self, each: Relative) -> bool:
        if each.mark == self._mark:
            return True
        family = self._mark.rpartition("-")[0]
        return each.mark.rpartition("-")[0] != family and each.started >= self._started


def adopt_orphans() -> None:
    """Makes this process the parent of what descends from it and loses its own. Raises OSError where it cannot."""
    if _libc.prctl(_SET_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def relatives(apart: Collection[int]) -> list[Relative]:
    """All that descends from this process and lives, without the processes `apart` and what descends from them."""
    children: dict[int, list[tuple[int, int, bool]]] = {}
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        with contextlib.suppress(OSError, IndexError):  # it ended meanwhile
            parent, started, lives = _stat(pid)
            children.setdefault(parent, []).append((pid, started, lives))
    found, waiting = [], [os.getpid()]
    while waiting:
        for pid, started, lives in children.get(waiting.pop(), []):
            if pid in apart:
                continue
            waiting.append(pid)
            if lives:
                found.append(Relative(pid, started, _mark(pid)))
    return found


def reap(known: Collection[int]) -> None:
    """Frees the numbers of adopted processes that have ended. known: children that somebody else waits for."""
    with contextlib.suppress(ChildProcessError):
        while (dead := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and dead.si_pid not in known:
            os.waitpid(dead.si_pid, 0)


def kill(relative: Relative) -> None:
    """SIGKILL for exactly this process, unless it is one that a first process of a container has only adopted."""
    if os.getpid() == 1 and not relative.mark:
        return
    with contextlib.suppress(OSError, IndexError):
        handle = os.pidfd_open(relative.pid)
        try:
            if _stat(relative.pid)[1] == relative.started:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)


def _stat(pid: int) -> tuple[int, int, bool]:
    """Its parent, its start, and whether it lives (one whose first thread has ended may)."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    values = text.rpartition(")")[2].split()
    return int(values[1]), int(values[19]), values[0] not in "ZX" or int(values[17]) > 1


def _mark(pid: int) -> str:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    found = (entry for entry in environment if entry.startswith(f"{MARK}=".encode()))
    return next(found, b"=").partition(b"=")[2].decode("ascii", "replace")
