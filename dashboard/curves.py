"""Curves of blocks, with a scale: values over the last hour, the newest at the right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from dashboard.blocks import Line, ends, text

BLOCKS = " ▁▂▃▄▅▆▇█"
NONE = "·"
"""Stands where nothing is known."""

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Curve:
    """values: the oldest first, None unknown. seconds: over which they reach. written: how one is written.

    about: what stands at the right end of its title. together: what neighbours become where columns are few.
    """

    title: str
    about: str
    values: Values
    seconds: float
    written: Callable[[float], str]
    together: Callable[[Sequence[float]], float]


def merged(values: Values, columns: int, together: Callable[[Sequence[float]], float]) -> list[float | None]:
    """At most so many values: neighbours become one, the newest ones whole."""
    size = max(1, ceil(len(values) / max(1, columns)))
    parts = [values[max(0, end - size) : end] for end in range(len(values), 0, -size)]
    known = [[value for value in part if value is not None] for part in parts]
    return [together(part) if part else None for part in reversed(known)]


def top(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15 … that is not below: where a scale ends."""
    if value <= 0:
        return 1.0
    size: float = 10.0 ** floor(log10(value))
    return next(factor * size for factor in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if factor * size >= value * 0.999999)


def bars(values: Values, height: int, most: float) -> list[str]:
    """A bar for each value, as lines from the top down. What is not zero has at least an eighth of a line."""
    lines = []
    for row in range(height - 1, -1, -1):
        lines.append("".join(_cell(value, row, height, most) for value in values))
    return lines


def _cell(value: float | None, row: int, height: int, most: float) -> str:
    if value is None:
        return NONE if row == 0 else " "
    eighths = min(height * 8, ceil(value / most * height * 8 - 1e-9))
    return BLOCKS[max(0, min(8, eighths - row * 8))]


def chart(curve: Curve, columns: int, height: int, style: str) -> list[Line]:
    """A title, `height` lines with bars, and the axis of time."""
    highest = top(max((value for value in curve.values if value is not None), default=0.0))
    marks = [curve.written(highest), *[""] * (height - 2), "0"] if height > 1 else [curve.written(highest)]
    edge = max(6, *(len(mark) for mark in marks))
    room = max(1, columns - edge - 2)
    values = merged(curve.values, room, curve.together)
    wide = [values[place * len(values) // room] for place in range(room)] if values else []
    lines = [ends(text(curve.title, "title"), text(curve.about), columns)]
    for mark, bar in zip(marks, bars(wide, height, highest), strict=True):
        lines.append((("dim", f"{mark:>{edge}} │"), (style, bar)))
    begin, end = f"{seconds_text(curve.seconds)} ago", "now"
    axis = begin + "─" * max(1, len(wide) - len(begin) - len(end)) + end
    lines.append((("dim", " " * edge + " └" + axis[-max(len(wide), len(end)) :]),))
    return lines


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def rate_text(rate: float) -> str:
    """A number of tasks a second: 0, 0.05, 3.2, 120."""
    if rate == 0:
        return "0/s"
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"


def seconds_text(seconds: float) -> str:
    """A length on a scale: 0.2 s, 5 s, 10 min."""
    for size, name in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.3g} s"
