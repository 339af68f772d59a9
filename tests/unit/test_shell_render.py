"""Answers become text that a terminal cannot misread, fits it, and says everything without colour too."""

import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shell.answers import TASK_FAILED, UNREACHABLE, USAGE, Column, Leave, Line, Record, Stream, Table
from shell.parsing import BadInput
from shell.render import Output, Screen, exit_code, json_line, pointed, text_lines, wants_colour
from shell.width import cut, width
from yadtq import BadArguments, ServerUnreachable, TaskNotFound

PLAIN = Screen()
NARROW = Screen(40)
COLOUR = Screen(80, True)
EVIL = "\x1b[31mred\x07\x9b2J\u202ertl\u2066\x00\n\r\t\x7f\ud800"
TASKS = Table(
    (
        Column("id"),
        Column("task", flexible=True),
        Column("state"),
        Column("worker", flexible=True, droppable=True),
        Column("age", right=True),
    ),
    (("a1", "add 2 3", "completed", "worker1", "5s"), ("b2", "compress " + "x" * 300, "failed", "worker12", "10m")),
    note="page 1 of 2",
)


def test_nothing_from_outside_steers_the_terminal() -> None:
    for answer in (
        Line(EVIL),
        Line(EVIL, state="failed", brief=True),
        Record(((EVIL, EVIL),), tables=((EVIL, Table((Column("a", flexible=True),), ((EVIL,),), note=EVIL)),)),
        Table((), (), empty=EVIL),
        Leave(EVIL),
    ):
        assert all(line.isprintable() for line in text_lines(answer, PLAIN)), answer


@given(st.text())
def test_every_line_is_printable_whatever_comes(text: str) -> None:
    table = Table((Column("a", flexible=True), Column("b")), ((text, text[:5]),))
    for answer in (Line(text), Record((("name", text),)), table):
        for line in text_lines(answer, Screen(60)):
            assert line.isprintable()
    written = json_line(Line("", {"value": text}))
    assert written.isascii()
    assert written.isprintable()
    assert json.loads(written) == {"value": text}


@given(st.text(), st.integers(1, 50))
def test_what_is_cut_fits(text: str, columns: int) -> None:
    shown = "".join(char for char in text if char.isprintable())
    assert width(cut(shown, columns)) <= columns
    assert cut(shown, 1000) == shown


def test_wide_characters_are_aligned() -> None:
    table = Table((Column("task", flexible=True), Column("state")), (("日本語", "queued"), ("abc", "queued")))
    lines = text_lines(table, PLAIN)
    assert [width(line.partition("queued")[0]) for line in lines[2:]] == [8, 8]


def test_a_table_fits_its_screen_and_spares_what_can_be_spared() -> None:
    lines = text_lines(TASKS, Screen(60))
    assert max(width(line) for line in lines) <= 60
    assert lines[0].split() == ["id", "task", "state", "worker", "age"]
    narrow = text_lines(TASKS, NARROW)
    assert max(width(line) for line in narrow) <= 40
    assert "completed" in narrow[2]
    assert text_lines(TASKS, Screen(32))[0].split() == ["id", "task", "state", "age"]
    assert narrow[-1] == "page 1 of 2"


def test_without_a_screen_a_table_is_cut_only_where_it_would_be_endless() -> None:
    lines = text_lines(TASKS, PLAIN)
    assert "x" * 150 in lines[3]
    assert "x" * 250 not in lines[3]


def test_an_empty_table_says_so() -> None:
    assert text_lines(Table(TASKS.columns, (), empty="no tasks yet"), PLAIN) == ["no tasks yet"]


def test_every_coloured_state_is_also_a_word() -> None:
    coloured = text_lines(TASKS, COLOUR)
    assert any("\x1b[32mcompleted\x1b[0m" in line for line in coloured)
    without = [re.sub(r"\x1b\[\d+m", "", line) for line in coloured]
    assert without == text_lines(TASKS, Screen(80))
    assert text_lines(Line("a1  failed  x", state="failed"), COLOUR) == ["a1  \x1b[31mfailed\x1b[0m  x"]
    assert text_lines(Record((("state", "queued"),)), COLOUR) == ["state  \x1b[36mqueued\x1b[0m"]


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colour_can_be_refused(environment: dict[str, str], wanted: bool) -> None:
    assert wants_colour(environment) is wanted


def test_a_record_keeps_the_lines_of_a_text() -> None:
    record = Record((("id", "a1"), ("traceback", "first\r\n  second\x1b")))
    assert text_lines(record, PLAIN) == ["id         a1", "traceback  first", r"             second\x1b"]


def test_a_brief_line_fits_the_screen() -> None:
    assert text_lines(Line("x" * 100, brief=True), NARROW) == ["x" * 39 + "…"]
    assert text_lines(Line("x" * 100, brief=True), PLAIN) == ["x" * 100]


def test_the_caret_is_under_the_typed_line_at_the_prompt() -> None:
    error = BadInput("must be a number", "ADD 日本 x", 7)
    assert pointed(error, Screen(80), 7) == [" " * 16 + "^", "must be a number"]


def test_the_line_is_shown_again_elsewhere() -> None:
    error = BadInput("must be a number", "ADD 2 \x1bx", 6)
    assert pointed(error, PLAIN, None) == ["must be a number", r"  ADD 2 \x1bx", "        ^"]
    assert pointed(BadInput("no place"), PLAIN, 7) == ["no place"]


@pytest.mark.parametrize("column", [0, 50, 500, 1000])
def test_the_caret_stays_on_the_screen(column: int) -> None:
    line = "x" * column + "!" + "y" * (1000 - column)
    message, shown, caret = pointed(BadInput("why", line, column), NARROW, 7)
    assert message == "why"
    assert width(shown) < 40
    assert shown[caret.index("^")] == "!"


def test_answers_and_problems_go_to_their_outputs_and_the_worst_code_is_kept() -> None:
    out, problems = io.StringIO(), io.StringIO()
    output = Output(out, problems)
    output.show(Stream(iter([Line("one"), Line("two", code=TASK_FAILED, problem=True)])), PLAIN)
    output.show(Leave(), PLAIN)
    output.failed(TaskNotFound("none\x1b"), PLAIN)
    assert out.getvalue() == "one\n"
    assert problems.getvalue() == "two\nnone\\x1b\n"
    assert output.code == TASK_FAILED


def test_as_json_every_answer_is_one_line() -> None:
    out, problems = io.StringIO(), io.StringIO()
    output = Output(out, problems)
    output.show(Line("done", {"id": "a\x1b\x7f", "n": 10**30}), PLAIN, True)
    output.show(Line("said"), PLAIN, True)
    output.show(Table((), (), data=[]), PLAIN, True)
    output.show(Line("failed", {"status": "failed"}, problem=True), PLAIN, True)
    output.show(Line("a note", problem=True), PLAIN, True)
    lines = out.getvalue().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"id": "a\x1b\x7f", "n": 10**30},
        {"message": "said"},
        [],
        {"status": "failed"},
    ]
    assert all(line.isprintable() for line in lines)
    assert problems.getvalue() == "a note\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadInput("x"), USAGE),
        (BadArguments("x"), USAGE),
        (ServerUnreachable("kafka", "x"), UNREACHABLE),
        (TaskNotFound("x"), TASK_FAILED),
    ],
)
def test_errors_have_exit_codes(error: Exception, code: int) -> None:
    assert exit_code(error) == code
