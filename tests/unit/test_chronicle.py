"""What a server's log says of the events: a line for each kind, whatever stands in them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _yadtq.chronicle import OF_CALL, OF_TASK, Line, lines_of, losses_of, run_seconds
from _yadtq.events import Event
from tests.support.documented_events import documented_fields
from tests.support.event_made import event_with
from tests.support.pages import code_words

WORKER = "worker1~x7yp23ab"


def told(*tasks: dict[str, Any], **fields: Any) -> list[Line]:
    return list(lines_of(event_with(*tasks, **fields), {"a1": "add"}))


@pytest.mark.parametrize(
    ("entry", "level", "text"),
    [
        (
            {"action": "register", "task": "add", "submitted_by": "laptop-1~ab#7"},
            "INFO",
            "received: add, from laptop-1~ab",
        ),
        (
            {"action": "admit", "task": "add", "partition": 3, "offset": 17},
            "INFO",
            "received: add, from another producer, partition 3, offset 17",
        ),
        ({"action": "take", "attempt": 1, "worker": WORKER}, "INFO", f"started: add, attempt 1 on {WORKER}"),
        (
            {"action": "success", "attempt": 1, "worker": WORKER, "started_at": "10.000", "finished_at": "10.250"},
            "INFO",
            f"succeeded: add, attempt 1 on {WORKER}, 0.250 s",
        ),
        (
            {
                "action": "failed",
                "attempt": 2,
                "worker": WORKER,
                "error": json.dumps({"type": "ValueError", "message": "no", "traceback": "secret"}),
            },
            "ERROR",
            f"failed: add, attempt 2 on {WORKER}: ValueError: no",
        ),
        (
            {"action": "retry", "attempt": 1, "worker": WORKER, "reason": "KeyError: 'x'"},
            "WARNING",
            f"retried: add, attempt 1 on {WORKER} raised KeyError: 'x'",
        ),
        (
            {"action": "release", "attempt": 1, "worker": WORKER, "reason": "its worker stops"},
            "INFO",
            f"given back: add, attempt 1 on {WORKER}: its worker stops",
        ),
        (
            {"action": "reject", "error": json.dumps({"type": "Rejected", "message": "not JSON"})},
            "WARNING",
            "rejected: Rejected: not JSON",
        ),
        (
            {"action": "refused", "worker": WORKER, "kind": "success"},
            "WARNING",
            f"refused: {WORKER} came too late with its outcome (success); nothing was changed",
        ),
    ],
)
def test_a_task_has_its_lines(entry: dict[str, Any], level: str, text: str) -> None:
    assert told({"id": "a1", **entry}) == [Line(level, entry["action"], "a1", text)]


@pytest.mark.parametrize(
    ("fields", "level", "text"),
    [
        ({"action": "join", "lease": 30000}, "INFO", f"worker {WORKER} connected"),
        ({"action": "leave"}, "INFO", f"worker {WORKER} disconnected"),
        ({"action": "reset", "removed": 4}, "WARNING", "the queue was reset: 4 tasks are gone"),
        (
            {"action": "generation"},
            "WARNING",
            "generation 1 begins: the queue was founded, or Redis was restarted",
        ),
    ],
)
def test_a_call_has_its_line(fields: dict[str, Any], level: str, text: str) -> None:
    assert told(actor=WORKER, **fields) == [Line(level, fields["action"], "", text)]


def test_a_lost_worker_has_its_line() -> None:
    lost = {"worker": WORKER, "reason": "was not heard of for 30 s", "count": 2}
    (line,) = told(actor="worker2~aaaaaaaa", lapsed=lost)
    words = f"worker {WORKER} failed: it was not heard of for 30 s; it held 2 tasks, which were put back"
    assert line == Line("ERROR", "lapsed", "", words)
    assert losses_of(event_with(lapsed=lost)) == [lost]
    assert losses_of(event_with(lapsed="garbage")) == []


def test_every_documented_action_has_words() -> None:
    assert documented_fields().keys() == OF_TASK.keys()
    assert not {*OF_TASK, *OF_CALL, "lapsed"} - code_words("docs/server.md")
    assert {level for level, _ in (*OF_TASK.values(), *OF_CALL.values())} <= {"DEBUG", "INFO", "WARNING", "ERROR"}


def test_neither_arguments_nor_results_are_told() -> None:
    entry = {"id": "a1", "task": "encrypt", "args": '["secret"]', "kwargs": '{"key":"secret"}', "result": '"secret"'}
    for action in OF_TASK:
        assert "secret" not in repr(told({**entry, "action": action}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ("task", "attempt", "worker", "reason", "error", "started_at", "finished_at", "submitted_by", "kind")


@given(st.sampled_from([*OF_TASK, "unheard-of"]), st.dictionaries(st.sampled_from(FIELDS), JSON), JSON)
def test_whatever_an_event_holds_there_is_a_line(action: str, fields: dict[str, Any], lapsed: Any) -> None:
    event = event_with({"id": "a1", **fields, "action": action}, action="reset", lapsed=lapsed)
    actions = [line.action for line in lines_of(event, {})]
    assert (actions[0], actions[-1]) == ("reset", action)


@pytest.mark.parametrize(
    ("began", "ended", "seconds"),
    [("1.0", "3.5", 2.5), ("5", "4", 0.0), (None, "4", None), ("nan", "4", None), ("1", "inf", None), ([], {}, None)],
)
def test_the_run_time_of_an_attempt(began: Any, ended: Any, seconds: float | None) -> None:
    assert run_seconds({"started_at": began, "finished_at": ended}) == seconds


def test_an_event_without_anything_says_nothing() -> None:
    assert told() == []
    assert isinstance(event_with(), Event)
