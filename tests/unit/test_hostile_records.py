"""Records, events of the log and answers, with anything in what somebody outside has a hand in."""

import base64
import io
import json
from dataclasses import replace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from _yadtq.failure import Failure
from _yadtq.log import LINE_LIMIT, Log, visible
from _yadtq.records import Attempt, Task, Worker, task_of, worker_of
from _yadtq.states import STATUSES
from shell.answers import Answer
from shell.commands import perform, understand
from shell.live import Live, queue_now
from shell.parsing import tokens_of_line
from shell.render import Screen, json_line, text_lines
from shell.session import Manner
from shell.views import outcome_line
from tests.support.hostile import bounded, shown_harmlessly, texts, values
from tests.support.memory_client import SIGNATURES, MemoryClient, worker
from tests.support.shell_session import session_of

COLUMNS = 80
BRIEF = 1_000  # characters of a line of a table or about an outcome, whatever stands in it
any_json = values.map(json.dumps)
"""As Redis might have it, NaN and lone surrogates included."""

failures = st.builds(Failure, texts, texts, texts)
attempts = st.builds(
    Attempt, st.integers(0, 30), texts, st.just(1.0), st.just(2.0), st.sampled_from(("crash", "retry")), texts
)
ids = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=60)


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    return Task(
        id=draw(ids),
        status=draw(st.sampled_from(STATUSES)),
        task=draw(texts),
        args=draw(st.lists(texts, max_size=2)),
        kwargs=draw(st.dictionaries(texts, texts, max_size=2)),
        result=draw(texts | st.lists(texts, max_size=2)),
        error=draw(st.none() | failures),
        attempt=draw(st.integers(0, 3)),
        worker_id=draw(texts),
        submitted_by=draw(texts),
        submitted_at=1.0,
        started_at=1.0,
        finished_at=2.0,
        history=tuple(draw(st.lists(attempts, max_size=2))),
        message=draw(st.binary(max_size=60)),
    )


@bounded
@given(tasks(), st.sampled_from((0, 20, COLUMNS)))
def test_no_answer_about_a_task_steers_the_terminal(task: Task, columns: int) -> None:
    client = MemoryClient()
    client.put(task)
    client.known_workers = [worker(task.worker_id, host=task.task, running=(task.id, task.worker_id))]
    session = session_of(client, Manner.ONE_SHOT)
    for line in ("Show-Tasks", f"View {json.dumps(task.id, ensure_ascii=False)}", "Workers", "Stats"):
        for answer in perform(session, understand(session, line, tokens_of_line(line))):
            assert_harmless(answer, columns, brief=not line.startswith("View"))
    assert_harmless(outcome_line(task, 2.0), columns, brief=bool(columns))


def assert_harmless(answer: Answer, columns: int, brief: bool) -> None:
    for line in text_lines(answer, Screen(columns)):
        assert shown_harmlessly(line)
        assert not brief or len(line) <= BRIEF
    shown = json_line(answer)  # type: ignore[arg-type]  # neither a stream nor the end of a session
    assert shown_harmlessly(shown)
    assert shown.isascii()


fields = st.sampled_from(
    ("task", "args", "kwargs", "result", "error", "attempt", "failures", "crashes", "worker_id", "submitted_by",
     "submitted_at", "started_at", "finished_at", "retry_at", "history", "message", "order", "unknown")
)  # fmt: skip
numbers = st.sampled_from(("1", "-1", "0", "1e308", "1e999", "nan", "-inf", "1" * 5_000, "", "\u0661", "0x1", "1_0"))
contents = texts | any_json | numbers | st.binary(max_size=20).map(lambda data: base64.b64encode(data).decode())


@bounded
@given(st.sampled_from(STATUSES), st.dictionaries(fields, contents, max_size=5))
@example("failed", {"error": '["type"]'})
@example("failed", {"error": '{"type": 1}'})
@example("success", {"history": '[1, {"n": "x"}, {"o": 1}]', "finished_at": "1e300", "message": "no base64 \u00e9"})
def test_a_record_that_nobody_could_have_written_hides_no_other(status: str, fields: dict[str, str]) -> None:
    task = task_of("a", {"status": status, **fields})
    assert task.attempt >= 0
    client = MemoryClient()
    client.put(task)
    client.put(replace(task, id="b"))
    session = session_of(client, Manner.ONE_SHOT)
    for line in ("Show-Tasks", "View a"):
        for answer in perform(session, understand(session, line, tokens_of_line(line))):
            assert_harmless(answer, COLUMNS, brief=line == "Show-Tasks")
    assert queue_now(client, Live())["recent"]


worker_fields = st.sampled_from(("state", "last_seen", "started_at", "executed", "slots", "running", "about"))


@bounded
@given(st.booleans(), st.dictionaries(worker_fields, contents, max_size=4))
@example(True, {"about": "[]"})
@example(True, {"about": '{"tasks": [{"name": 1}], "host": [], "process": "x"}'})
@example(True, {"about": '{"tasks": [{"name": "a", "about": "", "parameters": [[1], 2, ["a", "b", 1, "c", "d"]]}]}'})
def test_a_worker_that_says_nonsense_hides_no_other(live: bool, fields: dict[str, str]) -> None:
    told: Worker = worker_of("worker1~abcdefgh", live, fields)
    client = MemoryClient()
    client.known_workers = [told, worker("other")]
    session = session_of(client, Manner.ONE_SHOT)
    for line in ("Workers", "Help", "ADD 1"):
        for answer in perform(session, understand(session, line, tokens_of_line(line))):
            assert all(shown_harmlessly(shown) for shown in text_lines(answer, Screen(COLUMNS)))
    assert len(SIGNATURES) <= len(session.signatures())


# -- the log


@bounded
@given(texts, texts)
def test_a_line_of_the_log_is_one_line_of_bounded_length(task_id: str, text: str) -> None:
    stream = io.StringIO()
    Log("DEBUG", stream).error("print", task_id, text)
    assert stream.getvalue().endswith("\n")
    line = stream.getvalue()[:-1]
    assert shown_harmlessly(line)
    assert len(line) <= LINE_LIMIT + BRIEF


@bounded
@given(texts)
def test_what_is_made_visible_is_harmless_and_loses_nothing(text: str) -> None:
    shown = visible(text)
    assert shown_harmlessly(shown)
    assert len(shown) <= 10 * len(text)
    assert visible(shown) == shown
    if text.isprintable():
        assert shown == text


class Counted(str):
    """A text that tells how much of it was looked at."""

    looked_at = 0

    def __getitem__(self, place: Any) -> str:
        found = super().__getitem__(place)
        self.looked_at += len(found)
        return found

    def __iter__(self) -> Any:
        raise AssertionError("all of it is looked at")


def test_of_a_huge_text_no_more_is_made_visible_than_is_shown() -> None:
    text = Counted("\n" * 5_000_000)
    stream = io.StringIO()
    Log("DEBUG", stream).error("print", "a", text)
    assert len(stream.getvalue()) <= LINE_LIMIT + BRIEF
    assert text.looked_at <= LINE_LIMIT + 1
