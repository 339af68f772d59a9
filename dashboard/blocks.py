"""Styled lines, and tables of them. A style is some names with spaces between; terminal.py says how they look.

What comes from outside passes `shown` on its way in, so nothing can steer the terminal.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shell.width import cut, width
from yadtq import visible

Piece = tuple[str, str]
"""Style and text."""
Line = tuple[Piece, ...]
Key = tuple[str, str]
"""What a row stands for: its kind (task · worker · lost) and its id."""

GAP = 2
LONGEST = 400
"""Characters of a cell that are looked at; no screen shows more."""


@dataclass(frozen=True, slots=True)
class Column:
    """least, most: columns of the screen that it gets; most None: as many as least, 0: as many as are left.

    rank: where the screen is narrow, columns with a higher one are left out first; 0: never.
    """

    title: str
    least: int
    most: int | None = None
    right: bool = False
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table. key: what Enter opens, None nothing."""

    key: Key | None
    cells: tuple[Piece, ...]


def shown(text: str) -> str:
    """Text from outside, as it may stand in a cell."""
    return visible(text, LONGEST)


def text(words: str, style: str = "") -> Line:
    return ((style, words),)


def line_width(line: Line) -> int:
    return sum(width(words) for _, words in line)


def fitted(line: Line, columns: int, style: str = "") -> Line:
    """The line with exactly so many columns. style: of the whole line, besides that of its pieces."""
    pieces: list[Piece] = []
    room = columns
    for own, words in line:
        part = cut(words, room)
        if part:
            pieces.append((f"{own} {style}".strip(), part))
        room -= width(part)
    if room > 0:
        pieces.append((style, " " * room))
    return tuple(pieces)


def ends(left: Line, right: Line, columns: int) -> Line:
    """One line with text at both ends; the right one goes when there is no room for both."""
    space = columns - line_width(left) - line_width(right)
    return fitted(left, columns) if space < GAP else (*left, ("", " " * space), *right)


def beside(left: Sequence[Line], right: Sequence[Line], columns: int) -> list[Line]:
    """Two blocks side by side, each in half of the columns."""
    first = (columns - GAP) // 2
    second = columns - GAP - first
    height = max(len(left), len(right))
    empty: Line = ()
    padded_left, padded_right = ([*block, *[empty] * (height - len(block))] for block in (left, right))
    return [
        (*fitted(a, first), ("", " " * GAP), *fitted(b, second)) for a, b in zip(padded_left, padded_right, strict=True)
    ]


def widths(columns: Sequence[Column], room: int) -> list[int]:
    """The width of each column, 0 for one that is left out. They depend on the room only, so nothing jumps."""
    kept = set(range(len(columns)))
    while sum(columns[i].least for i in kept) + GAP * (len(kept) - 1) > room:
        spared = max(kept, key=lambda i: (columns[i].rank, i))
        if columns[spared].rank == 0:
            break
        kept.remove(spared)
    given = [column.least if i in kept else 0 for i, column in enumerate(columns)]
    left = max(0, room - sum(given) - GAP * (len(kept) - 1))
    for i in sorted(kept):
        more = min(left, max(0, (columns[i].most or 0) - given[i]))
        given[i] += more
        left -= more
    takers = [i for i in sorted(kept) if columns[i].most == 0]
    for place, i in enumerate(takers):
        more = left // (len(takers) - place)
        given[i] += more
        left -= more
    return given


def table(columns: Sequence[Column], rows: Sequence[Row], room: int, chosen: Key | None) -> list[Line]:
    """A line of titles, then one for each row; the chosen row is marked."""
    given = widths(columns, room - 2)
    titles = tuple(("dim", column.title) for column in columns[1:])
    lines = [_row(columns, given, (("title", columns[0].title), *titles), "  ")]
    for row in rows:
        here = row.key is not None and row.key == chosen
        line = _row(columns, given, row.cells, "▸ " if here else "  ")
        lines.append(fitted(line, room, "cursor") if here else line)
    return lines


def _row(columns: Sequence[Column], given: Sequence[int], cells: Sequence[Piece], mark: str) -> Line:
    pieces: list[Piece] = [("", mark)]
    for column, room, (style, words) in zip(columns, given, cells, strict=True):
        if not room:
            continue
        part = cut(words, room)
        space = " " * (room - width(part))
        pieces += [("", space), (style, part)] if column.right else [(style, part), ("", space)]
        pieces.append(("", " " * GAP))
    return tuple(pieces[:-1])
