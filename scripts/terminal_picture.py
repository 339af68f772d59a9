"""A terminal's screen as a picture: SVG made of plain text with colours."""

from collections.abc import Sequence
from itertools import groupby
from xml.sax.saxutils import escape, quoteattr

from dashboard.curves import BLOCKS
from tests.support.terminal import Cell

CELL_WIDTH, CELL_HEIGHT, EDGE = 8.4, 18, 14
BACKGROUND, FOREGROUND = "#12151c", "#d5d9e2"
CRISP = 'shape-rendering="crispEdges"'
COLOURS = {
    "default": FOREGROUND,
    "brightblack": "#8891a5",
    "red": "#ff7a85",
    "green": "#7ed491",
    "brown": "#e5c07b",
    "cyan": "#6cc7d9",
}
"""The terminal's names of colours; its yellow is called brown."""


def svg(cells: Sequence[Sequence[Cell]], title: str) -> str:
    """The picture. title: for whoever does not see it."""
    width = round(max(len(line) for line in cells) * CELL_WIDTH + 2 * EDGE)
    height = len(cells) * CELL_HEIGHT + 2 * EDGE
    lines = [part for number, line in enumerate(cells) for part in _line(line, number)]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label={quoteattr(title)}>'
    )
    style = "font: 14px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; white-space: pre"
    body = [head, f"<title>{escape(title)}</title>", f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>']
    body += [f'<g style="{style}">', *lines, "</g>", "</svg>", ""]
    return "\n".join(body)


def _line(line: Sequence[Cell], number: int) -> list[str]:
    """The parts of a line that look the same, each at its column, so that no font can shift what follows."""
    parts, column = [], 0
    for look, group in groupby(line, key=lambda cell: (cell.colour, cell.bold, cell.reverse, _bar(cell.text))):
        run = list(group)
        parts += _part("".join(cell.text for cell in run), (column, number, len(run)), look)
        column += len(run)
    return parts


def _bar(text: str) -> int:
    """The eighths of a bar, 0 for every other text: bars are drawn, since fonts leave gaps between them."""
    return max(0, BLOCKS.find(text)) if text else 0


def _part(words: str, place: tuple[int, int, int], look: tuple[str, bool, bool, int]) -> list[str]:
    """place: column, line and number of columns."""
    (column, line, columns), (colour, bold, reverse, bar) = place, look
    x, y, wide = round(EDGE + column * CELL_WIDTH, 1), EDGE + line * CELL_HEIGHT, round(columns * CELL_WIDTH, 1)
    fill = COLOURS.get(colour, FOREGROUND)
    if bar:
        high = CELL_HEIGHT * bar / 8
        return [_rectangle(x, y + CELL_HEIGHT - high, wide, high, fill)]
    back = [_rectangle(x, y, wide, CELL_HEIGHT, FOREGROUND)] if reverse else []
    if not words.strip():
        return back
    weight = ' font-weight="bold"' if bold else ""
    text = (
        f'<text x="{x}" y="{y + 13}" textLength="{wide}" lengthAdjust="spacingAndGlyphs" xml:space="preserve" '
        f'fill="{BACKGROUND if reverse else fill}"{weight}>{escape(words)}</text>'
    )
    return [*back, text]


def _rectangle(x: float, y: float, width: float, height: float, fill: str) -> str:
    return f'<rect x="{x}" y="{y:g}" width="{width}" height="{height:g}" fill="{fill}" {CRISP}/>'
