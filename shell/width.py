"""How much room text takes on a terminal. The text has been made visible before: no control characters are left."""

import functools
from collections.abc import Callable

ELLIPSIS = "…"


def width(text: str) -> int:
    """Columns that the text takes; wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return max(0, _measure()(text))


def cut(text: str, columns: int) -> str:
    """The text when it fits, else its beginning with an ellipsis, in at most `columns` columns."""
    if width(text) <= columns:
        return text
    kept = text[: max(0, columns - 1)]
    while kept and width(kept) > columns - 1:
        kept = kept[:-1]
    return kept + ELLIPSIS if columns > 0 else ""


@functools.cache
def _measure() -> Callable[[str], int]:
    from wcwidth import wcswidth  # noqa: PLC0415 - 30 ms that plain ASCII does not need

    return wcswidth
