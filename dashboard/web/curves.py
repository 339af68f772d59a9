"""Numbers to the geometry of a drawing: bars and a line in a box of 600 by 120, which the page stretches."""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.curves import top
from dashboard.picture import Moment
from yadtq import Span

WIDTH, HEIGHT = 600.0, 120.0
GAP = 2.0
"""Between two bars."""
LEAST = 2.0
"""Height of a bar that is not empty, so that one task among thousands is seen."""
POINTS = 120
"""Of the line: more would not be seen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What ended in a span: `failed` stands on `success`. x, width and the heights are in units of the box."""

    span: Span
    x: float
    width: float
    success: float
    failed: float


@dataclass(frozen=True, slots=True)
class Throughput:
    """most: tasks in a span, at the top of the scale. seconds: length of a span. best: the most that there were."""

    bars: tuple[Bar, ...]
    most: float
    seconds: float
    best: int
    success: int
    failed: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """points, area: of a polyline, and of the polygon under it, as SVG writes them; '' where nothing is known.

    most: seconds at the top of the scale. longest: seconds.
    """

    points: str
    area: str
    most: float
    longest: float


def throughput(spans: Sequence[Span], columns: int = 60) -> Throughput:
    """A bar for each span, oldest first; neighbours become one until there are at most `columns`."""
    size = max(1, -(-len(spans) // columns))
    parts = [spans[max(0, end - size) : end] for end in range(len(spans), 0, -size)][::-1]
    joined = [Span(p[0].start, p[-1].end, sum(s.success for s in p), sum(s.failed for s in p)) for p in parts]
    best = max((span.success + span.failed for span in joined), default=0)
    most, width = top(best), WIDTH / max(1, len(joined))
    return Throughput(
        tuple(
            Bar(span, place * width, width - GAP, _height(span.success, most), _height(span.failed, most))
            for place, span in enumerate(joined)
        ),
        most,
        joined[-1].end - joined[-1].start if joined else 0.0,
        best,
        sum(span.success for span in joined),
        sum(span.failed for span in joined),
    )


def waiting(moments: Sequence[Moment], end: float, seconds: float) -> Waiting:
    """A line through the moments of the last `seconds` before `end`: in each part of the time the longest wait."""
    longest: dict[int, Moment] = {}
    for moment in moments:
        place = int((moment.at - end + seconds) / seconds * POINTS)
        known = longest.get(place)
        if 0 <= place <= POINTS and (known is None or moment.waiting_seconds > known.waiting_seconds):
            longest[place] = moment
    highest = max((moment.waiting_seconds for moment in longest.values()), default=0.0)
    most = top(highest)
    places = [
        (place / POINTS * WIDTH, HEIGHT - longest[place].waiting_seconds / most * HEIGHT) for place in sorted(longest)
    ]
    if not places:
        return Waiting("", "", most, highest)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    area = f"{places[0][0]:.1f},{HEIGHT:g} {points} {places[-1][0]:.1f},{HEIGHT:g}"
    return Waiting(points, area, most, highest)


def _height(count: int, most: float) -> float:
    return max(LEAST, count / most * HEIGHT) if count else 0.0
