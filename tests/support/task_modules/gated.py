"""Tasks to measure with: they do nothing, wait, wait until they are let go, note when they ran, or give back."""

import fcntl
import os
import time
from pathlib import Path

from yadtq import current_task, task

GATE = "gate"


@task
def nothing() -> None:
    """Takes no time: what is measured is all around it."""


@task
def rest(seconds: float) -> None:
    """Waits, as for another machine."""
    time.sleep(seconds)


@task
def echo(text: str) -> str:
    """Gives back what it was given."""
    return text


@task
def noted(seconds: float, folder: str) -> None:
    """Waits, and notes when: in a file of its process, the task's id, and begin and end on the monotonic clock."""
    began = time.monotonic()
    time.sleep(seconds)
    with (Path(folder) / str(os.getpid())).open("a", encoding="ascii") as notes:
        notes.write(f"{current_task().id} {began} {time.monotonic()}\n")


@task
def until(folder: str) -> None:
    """Holds its slot until nobody locks the gate in `folder`. Leaves a file of its own when it begins."""
    place = Path(folder)
    (place / current_task().id).touch()
    with (place / GATE).open(encoding="utf-8") as gate:
        fcntl.flock(gate, fcntl.LOCK_SH)
