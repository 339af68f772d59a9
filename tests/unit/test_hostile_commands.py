"""Lines that somebody types or pipes into the shell: understood or refused in a line, never evaluated."""

import io
import json
import shlex

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shell import pipe
from shell.commands import COMMANDS, understand
from shell.history import SharedHistory
from shell.live import Live
from shell.parsing import BadInput, Form, json_value, tokens_of_arguments, tokens_of_line
from shell.render import Output, Screen, pointed
from shell.session import Manner, Session
from shell.toolbar import hint, toolbar
from tests.support.hostile import HUGE, PROGRAMS, bounded, nested, raw_numbers, result_of, shown_harmlessly, texts
from tests.support.memory_client import MemoryClient
from tests.support.shell_session import ends_at_once, session_of

WIDEST = 3_000  # characters of a line that is about an input, however long that is
names = st.sampled_from([command.name for command in COMMANDS if command.name not in ("Exit", "Enter")])
parts = (
    names
    | st.sampled_from(("ADD", "submit", "greet", "name=", "--json", "--limit", "_", "[1,2]", '"a b"', "-"))
    | texts
)
lines = st.lists(parts | raw_numbers | nested, max_size=6).map(" ".join)


@pytest.fixture(scope="module")
def session() -> Session:
    """A session in which each task has ended as soon as it is submitted."""
    client = MemoryClient()
    ends_at_once(client, status="success", result="done")
    return session_of(client, Manner.PIPE)


@bounded
@given(lines)
@example("ADD 2 3")
@example("View \x1b[2J")
@example("Show-Tasks \u202e")
@example("nothing\x00like\x1b]0;x\x07this")
def test_whatever_is_typed_is_answered_in_lines_that_steer_nothing(session: Session, line: str) -> None:
    if "exit" in line.lower() or "quit" in line.lower() or "enter" in line.lower():
        return
    out, problems = io.StringIO(), io.StringIO()
    pipe.execute(session, line, Output(out, problems), Screen(80))
    for written in (out.getvalue(), problems.getvalue()):
        assert written == "" or written.endswith("\n")
        assert all(shown_harmlessly(each) for each in written.split("\n"))
    assert all(len(each) <= WIDEST for each in problems.getvalue().split("\n"))


@bounded
@given(st.lists(parts | raw_numbers | nested, max_size=5))
def test_a_programs_arguments_are_understood_or_refused(arguments: list[str]) -> None:
    found = result_of(lambda: tokens_of_arguments(arguments), BadInput)
    if isinstance(found, tuple):
        line, tokens = found
        assert len(tokens) == len(arguments)
        assert line == shlex.join(arguments)
    else:
        assert shown_harmlessly(str(found))
        assert len(str(found)) <= WIDEST


@bounded
@given(texts)
def test_a_quoted_text_arrives_as_it_is(text: str) -> None:
    """Whatever it says: it is quoted as JSON is, and comes out as the same text."""
    line = f"greet {json.dumps(text, ensure_ascii=False)}"
    found = result_of(lambda: tokens_of_line(line), BadInput)
    if isinstance(found, list):
        assert [(token.form, token.text) for token in found[1:]] == [(Form.QUOTED, text)]
    else:
        assert any("\ud800" <= char <= "\udfff" for char in text), found


@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_that_is_typed_is_a_program(program: str) -> None:
    client = MemoryClient()
    session = session_of(client)
    line = f"greet {json.dumps(program)}"
    call = understand(session, line, tokens_of_line(line))
    call.command.run(session, **call.values)
    assert [task.args for task in client.all()] == [[program]]


@bounded
@given(raw_numbers | nested | texts)
def test_json_of_an_argument_is_read_or_refused(text: str) -> None:
    refusal = result_of(lambda: json_value(text), BadInput)
    if isinstance(refusal, BadInput):
        assert shown_harmlessly(str(refusal))
        assert len(str(refusal)) <= WIDEST


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE)
def test_a_huge_operand_is_read_or_refused_in_a_short_line(text: str) -> None:
    for read in (lambda: tokens_of_line(f"greet {text}"), lambda: tokens_of_arguments(["greet", text])):
        refusal = result_of(read, BadInput)
        if isinstance(refusal, BadInput):
            assert shown_harmlessly(str(refusal))
            assert all(len(shown) <= WIDEST for shown in pointed(refusal, Screen(80), None))


@bounded
@given(texts)
def test_the_toolbar_shows_what_is_being_typed_harmlessly(text: str) -> None:
    live = Live(kafka_trouble=text, redis_trouble=text)
    assert shown_harmlessly(hint(live, text.replace("\n", " ")))
    shown = "".join(part[1] for part in toolbar(live, hint(live, text), 80))
    assert all(shown_harmlessly(line) for line in shown.split("\n"))
    assert len(shown) <= 1_000


@bounded
@given(st.lists(texts, max_size=3))
def test_the_history_takes_any_line(tmp_path_factory: pytest.TempPathFactory, typed: list[str]) -> None:
    history = SharedHistory(tmp_path_factory.mktemp("history") / "history")
    for line in typed:
        history.store_string(line)
    kept = list(history.load_history_strings())
    assert all("\n" not in line for line in kept)
