"""The figures of the chaos tests that are computed: slopes, counts for every task queue, and the clocks that jump."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.chaos_clock import Clocks
from tests.support.chaos_endurance import Footprint, growth, slope
from tests.support.chaos_tally import table, tally
from tests.support.ledger import RETURNED, Run

TASKS = {"a", "b", "c"}
RUNS = [
    Run("a", 1, "w1", "p1", 1.0, 1.5, RETURNED),
    Run("b", 1, "w1", "p2", 1.0),
    Run("b", 2, "w2", "p3", 7.0, 7.5, RETURNED),
    Run("c", 1, "w2", "p3", 2.0, 2.5, RETURNED),
    Run("c", 2, "w1", "p4", 2.2, 2.7, RETURNED, alone=False),
    Run("other", 1, "w1", "p1", 9.0, 9.5, RETURNED),
]


def test_the_slope_is_that_of_the_line_through_the_points() -> None:
    assert slope([(1000, 5.0), (2000, 8.0), (3000, 11.0)]) == pytest.approx(3.0)
    assert slope([(1000, 5.0), (2000, 9.0), (3000, 5.0)]) == pytest.approx(0.0)
    assert slope([(1000, 5.0)]) == 0.0


def footprints(memory: int, descriptors: int) -> list[Footprint]:
    """So much more of the parent with each 1,000 tasks."""
    return [
        Footprint(1000 * n, (50_000_000 + memory * n, 9_000_000, 9_000_000), (20 + descriptors * n, 5, 9))
        for n in range(10)
    ]


def test_what_is_kept_for_each_task_is_growth() -> None:
    assert growth(footprints(5_000, 0)) == []
    assert growth(footprints(50_000, 0)) == ["memory grows by 50,000 bytes per 1,000 tasks; at most 20,000"]
    assert growth(footprints(0, 1)) == ["descriptors grow by 1.000 per 1,000 tasks"]


def test_runs_are_counted() -> None:
    count = tally(TASKS, RUNS, 0.5)
    assert (count.submitted, count.succeeded, count.lost) == (3, 3, 0)
    assert (count.restarts, count.twice, count.overlaps, count.seconds) == (2, 1, 1, 7.0)


def test_a_task_that_never_ended_is_lost() -> None:
    count = tally({*TASKS, "d"}, RUNS, 0.5)
    assert (count.lost, math.isnan(count.seconds)) == (1, True)


def test_the_table_has_a_line_for_each() -> None:
    lines = table([("we", tally(TASKS, RUNS, 0.5)), ("others", tally({"d"}, [], 0.5))])
    assert [line.split()[:3] for line in lines[1:]] == [["we", "3/3", "0"], ["others", "0/1", "1"]]
    assert len({len(line) for line in lines}) == 1


def test_a_clock_jumps_while_its_program_runs_and_the_monotonic_one_does_not(tmp_path: Path) -> None:
    clocks = Clocks(tmp_path)
    if not clocks.available:
        pytest.skip("there is no C compiler")
    code = "import sys, time\nfor _ in sys.stdin: print(time.time(), time.monotonic(), flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=clocks.environment("w1"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        seen: list[tuple[float, float]] = []
        for offset in (0, 60, -60, 0):
            clocks.set("w1", offset)
            print(file=process.stdin, flush=True)
            wall, monotonic = map(float, process.stdout.readline().split())
            seen.append((wall, monotonic))
        assert clocks.rules(process.pid)
        process.stdin.close()
    off = [wall - monotonic - (seen[0][0] - seen[0][1]) for wall, monotonic in seen]
    assert off == pytest.approx([0, 60, -60, 0], abs=1)
