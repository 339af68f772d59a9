"""Which figures are shown as pictures, and how."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.figures import Figure
from benchmarks.svg import Bars, Series, bars, lines

Figures = Sequence[Figure]
OURS = "YADTQ"


@dataclass(frozen=True, slots=True)
class Picture:
    """row: beside whose table it stands. file: in docs/pictures. draw: makes it of the figures of a run."""

    row: int
    file: str
    title: str
    draw_of: Callable[[str, Figures], str]

    def draw(self, figures: Figures) -> str:
        return self.draw_of(self.title, [figure for figure in figures if figure.row == self.row])


def _medians(figures: Figures, ending: str) -> dict[str, float]:
    """What stands before the ending in a figure's name → its median."""
    return {each.name.removesuffix(ending): each.median for each in figures if each.name.endswith(ending)}


def _throughput(title: str, figures: Figures) -> str:
    steady, started = _medians(figures, ": steady"), _medians(figures, ": from process start")
    rows = [
        Bars(name, (steady[name], started[name]), name.startswith(OURS))
        for name in sorted(steady, key=lambda n: -steady[n])
    ]
    return bars(title, "jobs a second", ("steady", "from process start"), rows)


def _round_trips(title: str, figures: Figures) -> str:
    half, worst = _medians(figures, ": p50"), _medians(figures, ": p99")
    rows = [Bars(name, (half[name], worst[name]), name.startswith(OURS)) for name in half]
    return bars(title, "milliseconds", ("p50", "p99"), rows)


def _growth(title: str, figures: Figures) -> str:
    found: dict[str, list[tuple[float, float]]] = {}
    for figure in figures:
        named = re.fullmatch(r"beside ([\d,]+) (\w+): rate", figure.name)
        if named:
            found.setdefault(named[2], []).append((float(named[1].replace(",", "")), figure.median))
    series = [Series(f"{kind} beside it", tuple(sorted(points))) for kind, points in found.items()]
    return lines(title, ("other tasks in the queue", "tasks a second"), series)


def _workers(title: str, figures: Figures) -> str:
    points = [
        (float(figure.name.split()[0]), figure.median)
        for figure in figures
        if re.fullmatch(r"\d+ workers?: rate of no-op tasks", figure.name)
    ]
    return lines(title, ("workers", "tasks a second"), [Series("tasks that do nothing", tuple(sorted(points)))])


PICTURES = (
    Picture(1, "performance-throughput.svg", "Jobs that do nothing, ten slots, two cores", _throughput),
    Picture(2, "performance-round-trip.svg", "From submitting a job to its result in the client", _round_trips),
    Picture(5, "performance-growth.svg", "The same work beside more and more other tasks", _growth),
    Picture(6, "performance-workers.svg", "The same work with more and more workers on the same cores", _workers),
)
