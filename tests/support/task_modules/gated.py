"""Tasks to measure with: one that does nothing, one that only waits, and one that waits until it is let go."""

import time
from pathlib import Path

from yadtq import current_task, task

LOOK_SECONDS = 0.01


@task
def nothing() -> None:
    """Takes no time: what is measured is all around it."""


@task
def rest(seconds: float) -> None:
    """Waits, as for another machine."""
    time.sleep(seconds)


@task
def until(folder: str) -> None:
    """Holds its slot until `folder` has a file named open. Leaves a file of its own when it begins."""
    place = Path(folder)
    (place / current_task().id).touch()
    while not (place / "open").exists():
        time.sleep(LOOK_SECONDS)
