"""Tasks that do to their process what no handler should."""

import ctypes
import os
import signal
import time

from tests.support.task_modules.recorded import leave
from yadtq import current_task, task


@task
def hold_gil(path: str, seconds: int) -> str:
    """One call into C that keeps the interpreter's lock all the time."""
    leave(path, "begin")
    ctypes.PyDLL(None).sleep(seconds)
    leave(path, "end")
    return "held"


@task
def spin(path: str, seconds: float) -> str:
    """A tight loop in Python: as much of the interpreter's lock and of a core as there is."""

    leave(path, "begin")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    leave(path, "end")
    return "spun"


@task
def exit_at_once(path: str, times: int) -> str:
    """Ends its process without a word, the first `times` times that it is started."""
    leave(path, "begin")
    if current_task().attempt <= times:
        os._exit(3)
    return "stayed"


@task
def segfault(path: str, times: int) -> str:
    """Reads address 0, the first `times` times that it is started."""
    leave(path, "begin")
    if current_task().attempt <= times:
        ctypes.string_at(0)
    return "survived"


@task
def kill_worker(path: str, times: int) -> str:
    """Sends SIGKILL to its worker (the parent of its guard), the first `times` times that it is started."""
    leave(path, "begin")
    if current_task().attempt <= times:
        os.kill(_parent_of(os.getppid()), signal.SIGKILL)
        signal.pause()
    return "spared"


def _parent_of(process: int) -> int:
    with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[1])
