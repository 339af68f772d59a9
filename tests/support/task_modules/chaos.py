"""The tasks of the chaos tests. Each leaves a line in the ledger when it starts and when it ends."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.chaos_recorder import Recorder, recorder
from tests.support.ledger import EXITED, RAISED, RETURNED
from yadtq import current_task, task


@contextmanager
def recorded() -> Iterator[Recorder]:
    """Writes the start now, and the end when the block ends."""
    lines, me = recorder(), current_task()
    lines.start(me.id, me.attempt)
    try:
        yield lines
    except BaseException:
        lines.end(me.id, RAISED)
        raise
    lines.end(me.id, RETURNED)


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
    with recorded() as lines:
        time.sleep(seconds)
        if current_task().attempt == 1:
            lines.end(current_task().id, EXITED)
            os._exit(3)
    return current_task().attempt


@task
def nothing() -> None:
    """Leaves no line anywhere: for as many tasks as a worker can do."""
