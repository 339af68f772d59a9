"""The log: one line an event, that nothing from outside can break or steer."""

import io
import re
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _yadtq.log import LINE_LIMIT, Log, Trouble, visible


def written(level: str = "DEBUG") -> tuple[Log, io.StringIO]:
    stream = io.StringIO()
    return Log(level, stream), stream


def test_a_line_has_time_level_sign_action_and_id() -> None:
    log, stream = written()
    log.info("take", "a1", "add args=[1]")
    log.error("wait", text="Redis does not answer")
    first, second = stream.getvalue().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO    → action=take id=a1 add args=\[1\]", first)
    assert second.endswith("ERROR     action=wait Redis does not answer")


def test_lines_are_gathered_until_one_matters() -> None:
    log, stream = written()
    log.info("take", "a")
    assert stream.getvalue() == ""
    log.warning("failed", "a")
    assert len(stream.getvalue().splitlines()) == 2
    log.debug("x")
    log.flush()
    log.flush()
    assert len(stream.getvalue().splitlines()) == 3


def test_a_level_leaves_out_what_is_below_it() -> None:
    log, stream = written("WARNING")
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    assert re.findall(r"action=(\w)", stream.getvalue()) == ["c", "d"]


@given(st.text(), st.text())
def test_whatever_comes_is_one_printable_line(task_id: str, text: str) -> None:
    log, stream = written()
    log.error("print", task_id, text)
    line = stream.getvalue()
    assert line.endswith("\n")
    assert line[:-1].isprintable()


def test_visible_writes_out_what_could_steer_a_terminal() -> None:
    assert visible("\x1b[31m\n\u202ex\ud800\x00 ü") == "\\x1b[31m\\n\\u202ex\\ud800\\x00 ü"
    assert visible("plain") == "plain"


def test_a_long_line_is_cut() -> None:
    log, stream = written()
    log.error("print", text="x" * 10 * LINE_LIMIT)
    assert "x" * LINE_LIMIT + "…\n" in stream.getvalue()


def test_lines_of_several_threads_do_not_mix() -> None:
    log, stream = written()

    def write(name: str) -> None:
        for _ in range(200):
            log.warning("print", name, name * 20)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 800
    assert all(re.search(r"id=(\w) \1{20}$", line) for line in lines)


def test_the_day_is_right_a_day_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC)
    monkeypatch.setattr("time.time_ns", lambda: int(now.timestamp() * 1e9))
    log, stream = written()
    log.info("a")
    now += timedelta(days=1)
    log.error("b")
    assert [line[:10] for line in stream.getvalue().splitlines()] == ["2026-03-01", "2026-03-02"]


def test_trouble_is_told_when_it_begins_changes_and_ends() -> None:
    log, stream = written()
    trouble = Trouble(log, "wait")
    trouble.over()
    for problem in ("Redis is down", "Redis is down", "Redis is loading"):
        trouble.say(problem)
    trouble.over()
    trouble.over()
    trouble.say("Redis is down")
    texts = [line.partition("action=wait ")[2] for line in stream.getvalue().splitlines()]
    assert texts == [
        "Redis is down (trying again)", "Redis is loading (trying again)", "it works again",
        "Redis is down (trying again)",
    ]  # fmt: skip
