"""Small pictures as SVG: bars below each other, and lines. Each has a background of its own, light or dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, MARGIN, LABELS, NUMBERS = 760, 16, 250, 90
BAR, GAP, HEAD = 11, 10, 58
PLOT, AXIS = 230, 64
KINDS = "abcd"
STYLE = """<style>
text { font: 13px system-ui, 'Segoe UI', sans-serif; fill: #24292f } .title { font-size: 15px; font-weight: 600 }
.quiet { fill: #57606a; font-size: 12px } .ours { font-weight: 600 } .card { fill: #ffffff; stroke: #d0d7de }
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
    """16,341 · 84.2 · 3.07."""
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def bars(title: str, unit: str, kinds: Sequence[str], rows: Sequence[Bars]) -> str:
    """Bars from one edge, the longest as long as there is room. kinds: what each bar of a label is, two at most."""
    step = BAR * len(kinds) + GAP
    longest = max((value for row in rows for value in row.values), default=0) or 1
    room = WIDTH - 2 * MARGIN - LABELS - NUMBERS
    parts = [
        _text(MARGIN, 46, f"{unit}: " + ", ".join(_shade(place, kind) for place, kind in enumerate(kinds)), "quiet")
    ]
    for place, row in enumerate(rows):
        top = HEAD + GAP + place * step
        middle = top + BAR * len(kinds) / 2 + 4
        parts.append(_text(MARGIN, middle, row.label, "ours" if row.ours else ""))
        for kind, value in enumerate(row.values):
            length, y = room * value / longest, top + kind * BAR
            shade = KINDS[kind if row.ours else kind + 2]
            parts.append(_box(MARGIN + LABELS, y, length, BAR - 2, shade))
            parts.append(_text(MARGIN + LABELS + length + 6, y + BAR - 2, number(value), "quiet"))
    return _page(title, HEAD + GAP + len(rows) * step + MARGIN, parts)


def lines(title: str, axes: tuple[str, str], series: Sequence[Series]) -> str:
    """Lines over a logarithmic axis. axes: what x and y are. The y axis begins at 0, so that flat looks flat."""
    points = [point for each in series for point in each.points]
    most = max((y for _, y in points), default=0) * 1.1 or 1
    all_x = sorted({x for x, _ in points}) or [1.0]
    first, last = math.log10(all_x[0]), math.log10(all_x[-1])
    left, right, bottom = MARGIN + AXIS, WIDTH - MARGIN - 10, HEAD + PLOT

    def place(point: tuple[float, float]) -> tuple[float, float]:
        share = (math.log10(point[0]) - first) / ((last - first) or 1)
        return left + (right - left) * share, bottom - PLOT * point[1] / most

    parts = [_text(MARGIN, 46, f"{axes[1]}, by {axes[0]}", "quiet")]
    for value in (0, most / 2, most):
        y = place((10**first, value))[1]
        parts.append(f'<line class="axis" x1="{left:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(MARGIN, y + 4, number(value), "quiet"))
    for x in all_x:
        parts.append(_text(place((x, 0))[0] - 12, bottom + 18, f"{x:,.0f}", "quiet"))
    for shade, each in zip(KINDS, series, strict=False):
        placed = [place(point) for point in each.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline class="line {shade}" style="fill: none" points="{path}"/>')
        parts += [f'<circle class="{shade}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in placed]
    for place_of, each in enumerate(series):
        x = left + place_of * 220
        parts += [_box(x, bottom + 32, 12, 9, KINDS[place_of]), _text(x + 18, bottom + 41, each.label)]
    return _page(title, bottom + 60, parts)


def _shade(place: int, kind: str) -> str:
    return f"{('dark', 'pale')[place]} {kind}" if place < 2 else kind


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
