"""The pictures of the benchmark: well-formed, true to their figures, and of the right ones."""

from xml.etree import ElementTree

import pytest

from benchmarks.figures import Figure
from benchmarks.pictures import PICTURES
from benchmarks.svg import Bars, Series, bars, lines

SVG = "{http://www.w3.org/2000/svg}"
FIGURES = [
    Figure(1, "YADTQ, 20,000 jobs: steady", "jobs/s", (16000.0,)),
    Figure(1, "YADTQ, 20,000 jobs: from process start", "jobs/s", (8000.0,)),
    Figure(1, "Huey <3>: steady", "jobs/s", (4000.0,)),
    Figure(1, "Huey <3>: from process start", "jobs/s", (2000.0,)),
    Figure(1, "the floor", "jobs/s", (1.0,)),
    Figure(2, "YADTQ: p50", "ms", (4.0,)),
    Figure(2, "YADTQ: p99", "ms", (16.0,)),
    *(Figure(5, f"beside {size:,} waiting: rate", "tasks/s", (15000.0,)) for size in (1_000, 1_000_000)),
    *(Figure(5, f"beside {size:,} kept: rate", "tasks/s", (14000.0,)) for size in (1_000, 1_000_000)),
    Figure(5, "a script", "ms", (1.0,)),
    Figure(6, "1 worker: rate of no-op tasks", "tasks/s", (13000.0,)),
    Figure(6, "8 workers: rate of no-op tasks", "tasks/s", (17000.0,)),
]


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.file)
def test_a_picture_is_made_of_the_figures_of_its_row(picture: object) -> None:
    assert picture in PICTURES
    drawn = next(each for each in PICTURES if each == picture).draw(FIGURES)
    root = ElementTree.fromstring(drawn)
    assert root.tag == f"{SVG}svg"
    assert "the floor" not in texts(drawn)


def test_bars_are_as_long_as_their_values() -> None:
    drawn = bars(
        "Jobs", "a second", ("steady", "whole"), [Bars("a & b", (200.0, 100.0), ours=True), Bars("c", (50.0, 0.0))]
    )
    boxes = [each for each in ElementTree.fromstring(drawn).iter(f"{SVG}rect") if each.get("class") != "card"]
    widths = [float(each.get("width", "")) for each in boxes]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.2)
    assert widths[0] == pytest.approx(4 * widths[2], abs=0.2)
    assert [each.get("class") for each in boxes] == ["a", "b", "c", "d"]
    assert "a & b" in texts(drawn)


def test_bars_stand_in_the_order_of_their_values() -> None:
    shown = texts(PICTURES[0].draw(FIGURES))
    assert shown.index("YADTQ, 20,000 jobs") < shown.index("Huey <3>")


def test_a_flat_line_is_flat() -> None:
    drawn = lines("Growth", ("tasks", "a second"), [Series("waiting", ((1e3, 100.0), (1e5, 100.0), (1e6, 100.0)))])
    (line,) = ElementTree.fromstring(drawn).iter(f"{SVG}polyline")
    heights = {point.split(",")[1] for point in line.get("points", "").split()}
    assert len(heights) == 1


def test_a_line_of_one_point_is_drawn() -> None:
    assert "1,000" in texts(lines("Growth", ("tasks", "a second"), [Series("waiting", ((1e3, 100.0),))]))
