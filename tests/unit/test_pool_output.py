"""What handlers print arrives by line, before the outcome, bounded."""

import pytest

from _yadtq.jobs import Crashed, Ended, Printed
from _yadtq.output import KEPT_BYTES, LINE_CHARACTERS, TASK_LINES, Lines
from tests.support.pools import running_pool


def test_lines_come_with_the_task_and_stream_before_the_outcome() -> None:
    with running_pool() as driver:
        job = driver.submit("say", "grüß dich\nzweite")
        driver.ended(job)
        lines = driver.printed(job)
        assert sorted(lines) == sorted(
            [
                ("stdout", "grüß dich"),
                ("stdout", "zweite"),
                ("stderr", "GRÜSS DICH"),
                ("stderr", "ZWEITE"),
                ("stdout", "no end of line"),
            ]
        )
        assert isinstance(driver.messages[-1], Ended)


def test_bytes_that_are_no_text_do_no_harm() -> None:
    with running_pool() as driver:
        job = driver.submit("say_bytes")
        driver.ended(job)
        driver.until(lambda: len(driver.of(Printed)) == 2, "both lines")
        lines = {each.line for each in driver.of(Printed)}
        assert lines == {"through the pipe \\xff", "half a character \\xe2\\x82"}


@pytest.mark.parametrize("task", ["flood", "flood_pipe"])
def test_a_flood_is_cut_and_says_how_much_is_missing(task: str) -> None:
    with running_pool() as driver:
        job = driver.submit(task, 7500 if task == "flood_pipe" else 50_000)
        driver.ended(job)
        lines = [each.line for each in driver.of(Printed)]
        if task == "flood":
            assert lines[:-1] == [str(number) for number in range(TASK_LINES)]
            assert "49,000 more lines" in lines[-1]
        else:
            # What goes past sys.stdout may come after the outcome.
            assert lines[:10] == [str(number) for number in range(10)]
            assert len(lines) <= 2 * TASK_LINES + 2


def test_a_flood_before_a_crash_is_cut_too() -> None:
    with running_pool() as driver:
        job = driver.submit("flood_and_leave", 3000)
        assert isinstance(driver.outcome(job), Crashed)
        lines = [line for _, line in driver.printed(job)]
        assert len(lines) == TASK_LINES + 1
        assert "more lines were left out" in lines[-1]


def test_each_task_has_its_own_bound() -> None:
    with running_pool(1) as driver:
        driver.run("flood", 2000)
        job = driver.submit("flood", 3)
        driver.ended(job)
        assert [line for _, line in driver.printed(job)] == ["0", "1", "2"]


def test_a_long_line_is_cut() -> None:
    with running_pool() as driver:
        job = driver.submit("long_line")
        driver.ended(job)
        ((_, line),) = driver.printed(job)
        assert line == "ä" * (LINE_CHARACTERS - 1) + "…"


def test_a_closed_stdout_is_open_again_for_the_next_task() -> None:
    with running_pool(1) as driver:
        driver.run("close_stdout")
        job = driver.submit("say", "still here")
        assert driver.ended(job).failure is None
        assert ("stdout", "still here") in driver.printed(job)


def test_lines_are_cut_from_any_pieces_of_bytes() -> None:
    whole = "eins\nzwöi\n\ndrei\r\nrest".encode()
    for size in range(1, len(whole) + 1):
        lines = Lines()
        found = [line for start in range(0, len(whole), size) for line in lines.feed(whole[start : start + size])]
        assert found == ["eins", "zwöi", "", "drei"]
        assert lines.rest() == ["rest"]
        assert lines.rest() == []


def test_a_line_without_end_takes_bounded_memory() -> None:
    lines = Lines()
    for _ in range(1000):
        assert lines.feed(b"x" * 10_000) == []
    assert len(lines._part) <= KEPT_BYTES
    (line,) = lines.feed(b"\n")
    assert len(line) == LINE_CHARACTERS
