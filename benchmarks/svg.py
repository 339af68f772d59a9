"""Small pictures as SVG: bars below each other, and lines. Each has a background of its own, light or dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, MARGIN, LABELS, NUMBERS = 760, 16, 306, 64
BAR, GAP, HEAD = 13, 9, 58
PLOT, LEFT, RIGHT = 230, MARGIN + 52, WIDTH - MARGIN - 34
BOTTOM = HEAD + PLOT
SHADES = "abcd"  # of ours, the first and the second bar; of the others
LINES = "ac"
STYLE = """<style>
text { font: 13px system-ui, 'Segoe UI', sans-serif; fill: #24292f } .title { font-size: 15px; font-weight: 600 }
.quiet { fill: #57606a; font-size: 12px } .ours { font-weight: 600 } .card { fill: #ffffff; stroke: #d0d7de }
.end { text-anchor: end } .middle { text-anchor: middle }
.axis { stroke: #d0d7de } .line { fill: none; stroke-width: 2 }
.a { fill: #1a7f64; stroke: #1a7f64 } .b { fill: #8fd3bd; stroke: #8fd3bd }
.c { fill: #6e7781; stroke: #6e7781 } .d { fill: #c8cdd2; stroke: #c8cdd2 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .quiet { fill: #9198a1 } .card { fill: #0d1117; stroke: #30363d } .axis { stroke: #30363d }
.a { fill: #3fb68f; stroke: #3fb68f } .b { fill: #20624f; stroke: #20624f }
.c { fill: #8b949e; stroke: #8b949e } .d { fill: #444c56; stroke: #444c56 } }
</style>"""


@dataclass(frozen=True, slots=True)
class Bars:
    """What stands at one label: a value for each kind. ours: it stands out."""

    label: str
    values: tuple[float, ...]
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its points from left to right. x is greater than 0, y is not less."""

    label: str
    points: tuple[tuple[float, float], ...]


def number(value: float) -> str:
    """16,341 · 84.2 · 3.07 · 0."""
    digits = 0 if abs(value) >= 1000 or value == 0 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def bars(title: str, unit: str, kinds: tuple[str, str], rows: Sequence[Bars]) -> str:
    """Two bars a label, the longest as long as there is room. kinds: what the upper one is, and the lower one."""
    step = BAR * len(kinds) + GAP
    longest = max((value for row in rows for value in row.values), default=0) or 1
    room = WIDTH - 2 * MARGIN - LABELS - NUMBERS
    parts = [_text(MARGIN, 46, f"{unit}; upper bar: {kinds[0]}, lower bar: {kinds[1]}", "quiet")]
    for place, row in enumerate(rows):
        top = HEAD + GAP + place * step
        parts.append(_text(MARGIN, top + BAR * len(kinds) / 2 + 4, row.label, "ours" if row.ours else ""))
        for kind, value in enumerate(row.values):
            length, y = room * value / longest, top + kind * BAR
            shade = SHADES[kind if row.ours else kind + 2]
            parts.append(_box(MARGIN + LABELS, y, length, BAR - 2, shade))
            parts.append(_text(MARGIN + LABELS + length + 6, y + BAR - 3, number(value), "quiet"))
    return _page(title, HEAD + GAP + len(rows) * step + MARGIN, parts)


def lines(title: str, axes: tuple[str, str], series: Sequence[Series]) -> str:
    """Lines over a logarithmic axis. axes: what x and y are. The y axis begins at 0, so that flat looks flat."""
    points = [point for each in series for point in each.points]
    plot = _Plot(sorted({x for x, _ in points}) or [1.0], _round(max((y for _, y in points), default=1)))
    parts = [_text(MARGIN, 46, f"{axes[1]}, by {axes[0]}", "quiet"), *plot.axes()]
    for place, (shade, each) in enumerate(zip(LINES, series, strict=False)):
        placed = [plot.place(x, y) for x, y in each.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline class="line {shade}" style="fill: none" points="{path}"/>')
        parts += [f'<circle class="{shade}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in placed]
        left = LEFT + place * 220
        parts += [_box(left, BOTTOM + 32, 12, 9, shade), _text(left + 18, BOTTOM + 41, each.label)]
    return _page(title, BOTTOM + 60, parts)


class _Plot:
    """Where points lie. values: all x, sorted. most: the largest y that there is room for."""

    def __init__(self, values: Sequence[float], most: float) -> None:
        self._values, self._most = values, most
        self._first = math.log10(values[0])
        self._width = (math.log10(values[-1]) - self._first) or 1.0

    def place(self, x: float, y: float) -> tuple[float, float]:
        share = (math.log10(x) - self._first) / self._width
        return LEFT + (RIGHT - LEFT) * share, BOTTOM - PLOT * y / self._most

    def axes(self) -> list[str]:
        """Lines across at round values, and each x below."""
        parts = []
        for value in (0, self._most / 2, self._most):
            y = self.place(self._values[0], value)[1]
            parts.append(f'<line class="axis" x1="{LEFT}" y1="{y:.1f}" x2="{RIGHT}" y2="{y:.1f}"/>')
            parts.append(_text(LEFT - 8, y + 4, number(value), "quiet end"))
        for x in self._values:
            parts.append(_text(self.place(x, 0)[0], BOTTOM + 18, f"{x:,.0f}", "quiet middle"))
        return parts


def _round(value: float) -> float:
    """The next one of 1, 1.5, 2, 3, 4, 5, 6, 8 and 10, times a power of ten, above a value."""
    power: float = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= value)


def _box(x: float, y: float, width: float, height: float, shade: str) -> str:
    return f'<rect class="{shade}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height:.1f}" rx="2"/>'


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    shade = f' class="{kind}"' if kind else ""
    return f'<text{shade} x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _page(title: str, height: float, parts: Sequence[str]) -> str:
    size = f'viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}'
    card = f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:.0f}" rx="6"/>'
    return "\n".join(
        [f'{head} role="img" aria-label="{escape(title)}">', f"<title>{escape(title)}</title>", STYLE, card,
         _text(MARGIN, 26, title, "title"), *parts, "</svg>", ""]
    )  # fmt: skip
