"""What stands between the header and the last line: its lines, what can be chosen there, and what it needs to know."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dashboard.blocks import Column, Key, Line, Row, table, text
from dashboard.picture import Wanted
from dashboard.view import Shown


@dataclass(frozen=True, slots=True)
class Size:
    """Of a part of the screen."""

    columns: int
    lines: int


@dataclass(frozen=True, slots=True)
class Body:
    """lines: at most as many as there was room for. shown: what keys are about. wanted: what is to be fetched."""

    lines: list[Line]
    shown: Shown = field(default_factory=Shown)
    wanted: Wanted = field(default_factory=Wanted)


@dataclass(frozen=True, slots=True)
class Panel:
    """A table among others. total: how many rows there are in all. empty: what stands there when there are none."""

    title: str
    total: int
    columns: Sequence[Column]
    rows: Sequence[Row]
    empty: str

    @property
    def need(self) -> int:
        """The lines that it would fill: titles and rows."""
        return 1 + max(1, len(self.rows))

    def drawn(self, columns: int, lines: int, chosen: Key | None) -> list[Line]:
        """Its titles, and as many rows as fit into so many lines."""
        if lines < 2:
            return []
        if not self.rows:
            return [text(f"  {self.title}", "title"), text(f"  {self.empty}", "dim")]
        titled = (replace(self.columns[0], title=f"{self.title} {self.total:,}"), *self.columns[1:])
        return table(titled, self.rows[: lines - 1], columns, chosen)


def window(rows: Sequence[Row], chosen: int, height: int) -> Sequence[Row]:
    """The page of the rows on which the chosen one is."""
    first = chosen // max(1, height) * max(1, height)
    return rows[first : first + height]


def share(room: int, needs: Sequence[int]) -> list[int]:
    """How many lines each gets: none more than it needs, and those that need little leave the rest to the others."""
    given = [0] * len(needs)
    waiting = sorted(range(len(needs)), key=lambda i: needs[i])
    for place, i in enumerate(waiting):
        given[i] = min(needs[i], room // (len(waiting) - place))
        room -= given[i]
    return given
