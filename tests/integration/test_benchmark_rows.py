"""The rows of the benchmark at tiny sizes, without the other task queues: they run, and measure what they should."""

import math
from collections.abc import Callable, Iterator

import pytest

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.rows import backlog, growth, payloads, round_trip, small_jobs, submitting, throughput, workers
from tests.support.measured_queue import private_servers

ROWS = {
    1: throughput.measure,
    2: round_trip.measure,
    3: submitting.measure,
    4: small_jobs.measure,
    5: growth.measure,
    6: workers.measure,
    7: payloads.measure,
    8: backlog.measure,
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("benchmark")
    with private_servers(folder) as servers:
        yield Bench(servers, folder, small=True, rounds=1, say=lambda line: None)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_measures_all_its_figures(row: int, bench: Bench) -> None:
    measure: Callable[[Bench], Iterator[Figure]] = ROWS[row]
    figures = list(measure(bench))
    names = [figure.name for figure in figures]
    assert len(names) == len(set(names))
    assert any(figure.goal for figure in figures)
    for figure in figures:
        assert figure.row == row
        assert figure.samples, figure.name
        assert all(math.isfinite(sample) for sample in figure.samples), figure
