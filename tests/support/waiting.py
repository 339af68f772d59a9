"""Waiting for a condition: the only place of the tests where time passes without work."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")
POLL_SECONDS = 0.02


def eventually(condition: Callable[[], Value], seconds: float = 20.0, what: str = "") -> Value:
    """Calls `condition` until it returns something true, and returns that.

    An AssertionError inside it means: not yet. Raises AssertionError after `seconds`, with what it last said.
    """
    deadline = time.monotonic() + seconds
    while True:
        last: object
        try:
            value = condition()
        except AssertionError as error:
            last = error
        else:
            if value:
                return value
            last = repr(value)
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or 'the condition'} did not come true in {seconds:g} s; last: {last}")
        time.sleep(POLL_SECONDS)
