"""Tasks that leave a line in a file when they begin and when they end: the proof of what was run, and how often."""

import json
import os
import time

from yadtq import current_task, task


def leave(path: str, event: str) -> None:
    """Appends one line, in one write: lines of several processes never mix."""
    me = current_task()
    line = json.dumps(
        {"event": event, "id": me.id, "attempt": me.attempt, "process": os.getpid(), "at": time.monotonic()}
    )
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, f"{line}\n".encode())
    finally:
        os.close(handle)


@task
def note(path: str, seconds: float = 0.0) -> int:
    """Takes so many seconds; returns its attempt."""
    leave(path, "begin")
    time.sleep(seconds)
    leave(path, "end")
    return current_task().attempt


@task
def note_slow_first(path: str, seconds: float) -> int:
    """Takes so many seconds the first time it is started, and no time when it is started again."""
    leave(path, "begin")
    if current_task().attempt == 1:
        time.sleep(seconds)
    leave(path, "end")
    return current_task().attempt


@task
def fail_first(path: str, times: int) -> int:
    """Raises so many times, then returns its attempt."""
    leave(path, "begin")
    if current_task().attempt <= times:
        raise RuntimeError(f"attempt {current_task().attempt} of {times} that fail")
    leave(path, "end")
    return current_task().attempt
