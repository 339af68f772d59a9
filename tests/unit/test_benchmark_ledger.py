"""What the benchmarks make of what jobs and partitions have shown: rates, free slots, pauses."""

from pathlib import Path

import pytest

from benchmarks.ledger import Run, gaps, merged, missed, overlap, rate, runs_in, steady_rate
from benchmarks.rows.backlog import longest_pause
from benchmarks.rows.growth import behind, spread_of
from benchmarks.rows.small_jobs import complete, durations


def run(task: str, slot: str, began: float, ended: float) -> Run:
    return Run(task, slot, began, ended)


def test_the_runs_of_all_slots_are_read_in_the_order_of_their_starts(tmp_path: Path) -> None:
    (tmp_path / "7").write_text("a 1.0 2.0\nc 3.0 3.5\n")
    (tmp_path / "8").write_text("b 1.5 2.0\n")
    assert runs_in(tmp_path) == [run("a", "7", 1.0, 2.0), run("b", "8", 1.5, 2.0), run("c", "7", 3.0, 3.5)]


def test_the_rate_is_from_the_first_start_to_the_last_end() -> None:
    assert rate([run("a", "1", 10.0, 11.0), run("b", "2", 10.5, 14.0)]) == pytest.approx(0.5)


def test_the_steady_rate_leaves_out_the_first_and_the_last_tenth() -> None:
    slow_ends = [run("first", "1", 0.0, 50.0), *(run(str(n), "1", n, n + 100.0) for n in range(19))]
    assert steady_rate([*slow_ends, run("last", "1", 0.0, 900.0)]) == pytest.approx(1.0)


def test_a_slot_that_goes_on_at_once_has_missed_nothing() -> None:
    runs = [run("a", "1", 0.0, 5.0), run("b", "1", 5.0, 6.0)]
    assert missed(runs, {"a": 0.0, "b": 0.0}, 1) == [0.0, 0.0]


def test_a_free_slot_misses_what_waits_for_another_one() -> None:
    runs = [run("a", "1", 0.0, 5.0), run("b", "2", 0.0, 1.0), run("c", "1", 5.0, 6.0)]
    assert missed(runs, {"a": 0.0, "b": 0.0, "c": 2.0}, 2) == [0.0, 0.0, 0.0, pytest.approx(3.0)]


def test_a_free_slot_misses_nothing_while_nobody_waits() -> None:
    runs = [run("a", "1", 0.0, 1.0), run("b", "1", 9.0, 9.5)]
    assert missed(runs, {"a": 0.0, "b": 8.75}, 1) == [0.0, pytest.approx(0.25)]


def test_a_slot_that_never_ran_anything_has_missed_all_the_waiting() -> None:
    runs = [run("a", "1", 0.0, 5.0), run("b", "1", 5.0, 6.0)]
    assert missed(runs, {"a": 0.0, "b": 1.0}, 2) == [0.0, 0.0, pytest.approx(4.0)]


def test_a_task_that_began_before_its_client_knew_has_not_waited() -> None:
    assert missed([run("a", "1", 1.0, 2.0)], {"a": 1.5}, 1) == [0.0]


def test_gaps_are_between_runs_of_the_same_slot() -> None:
    runs = [run("a", "1", 0.0, 1.0), run("b", "2", 0.0, 3.0), run("c", "1", 1.5, 2.0), run("d", "2", 3.25, 4.0)]
    assert gaps(runs) == [0.5, 0.25]


def test_stretches_that_touch_become_one() -> None:
    spans = merged([(5.0, 6.0), (0.0, 2.0), (1.0, 1.5), (2.0, 3.0)])
    assert spans == [(0.0, 3.0), (5.0, 6.0)]
    assert overlap(spans, (2.5, 5.5)) == pytest.approx(1.0)


def test_runs_that_are_missing_or_double_are_no_measurement() -> None:
    once = [run("a", "1", 0.0, 1.0)]
    assert complete(once, 1) == once
    for wrong in ([], [*once, *once]):
        with pytest.raises(RuntimeError, match="submitted"):
            complete(wrong, 1)


def test_mixed_jobs_spread_over_all_orders_of_magnitude_and_are_the_same_each_time() -> None:
    lengths = durations(101, 10.0)
    assert sorted(lengths)[0] == pytest.approx(0.001)
    assert sorted(lengths)[50] == pytest.approx(0.1)
    assert sorted(lengths)[-1] == pytest.approx(10.0)
    assert durations(101, 10.0) == lengths != sorted(lengths)


def test_the_longest_pause_is_that_of_the_slowest_partition() -> None:
    looks = [(0.0, {b"0": b"1", b"1": b"1"}), (1.0, {b"0": b"2", b"1": b"1"}), (2.0, {b"0": b"3", b"1": b"2"})]
    assert longest_pause(looks) == 2.0


def test_a_partition_that_stands_still_to_the_end_pauses_so_long() -> None:
    looks = [(0.0, {b"0": b"1"}), (1.0, {b"0": b"2"}), (4.0, {b"0": b"2"}), (6.0, {b"0": b"2"})]
    assert longest_pause(looks) == 5.0


def test_a_partition_whose_position_appears_late_has_paused_before() -> None:
    looks = [(0.0, {b"0": b"1"}), (1.0, {b"0": b"2"}), (3.0, {b"0": b"3", b"1": b"1"})]
    assert longest_pause(looks) == 3.0


def test_flat_compares_the_medians_of_sizes() -> None:
    assert behind([[1.0, 2.0, 9.0], [2.0, 2.2, 2.4]]) == pytest.approx(10.0)
    assert "125 %" in spread_of([[4.0, 9.0], [1.0, 1.1]])
