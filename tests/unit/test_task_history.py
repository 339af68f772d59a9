"""The history of one task, and how it is told."""

import json
from typing import Any

import pytest

from _yadtq.events import Event
from _yadtq.history import Row
from _yadtq.occurrences import OF_TASK, moment, occurrences
from _yadtq.task_history import BEGINNINGS, TaskSearch
from tests.support.documented_events import documented_fields
from yadtq import AmbiguousId, TaskNotFound

AT = 1763827301.25
ERROR = '{"type":"ValueError","message":"boom\\u001b[31m","traceback":""}'
RUN = {"started_at": "1763827301.100", "finished_at": "1763827301.350"}


def event(seq: int, *tasks: dict[str, Any], **fields: Any) -> Event:
    """A call's event; one second after the one before."""
    told = {
        "generation": 7, "token": f"5-{seq}", "seq": seq, "epoch": 0, "at": f"{AT + seq:.3f}", "script": "take",
        "actor": "w1~ab",
    } | fields  # fmt: skip
    if tasks:
        told["tasks"] = list(tasks)
    return Event.of(Row(seq + 100, None, json.dumps(told).encode(), 0.0), 7, seq)


def entry(action: str, task_id: str = "t1", **fields: Any) -> dict[str, Any]:
    return {"action": action, "id": task_id} | fields


def registered(task_id: str = "t1") -> dict[str, Any]:
    return entry("register", task_id, task="add", args="[1, 2]", kwargs="{}", submitted_by="client~1#3", order=1)


def life() -> list[Event]:
    """Registered, raised, crashed, ended; an outcome came too late; its life time is over."""
    return [
        event(1, registered(), actor="client", script="register"),
        event(2, entry("take", attempt=1, worker="w1~ab"), admitted=["t1", "t2"]),
        event(3, entry("retry", attempt=1, worker="w1~ab", error=ERROR, retry_at="1763827309.000", begun=True, **RUN)),
        event(4, entry("take", attempt=2, worker="w2~cd")),
        event(5, entry("reclaim", attempt=2, worker="w2~cd", reason="its lease lapsed", begun=True)),
        event(6, entry("take", attempt=3, worker="w1~ab")),
        event(7, entry("refused", worker="w2~cd", token="5-4", kind="success")),
        event(8, entry("success", attempt=3, worker="w1~ab", result="3", **RUN)),
        event(9, entry("expire"), actor="relay"),
    ]


def search(prefix: str, *events: Event) -> TaskSearch:
    found = TaskSearch(prefix)
    for each in events:
        found.add(each)
    return found


# -- the history


def test_a_history_has_everything_in_its_order() -> None:
    history = search("t1", *reversed(life())).found()
    assert history.complete
    assert history.state() == "expired"
    actions = ["register", "read", "take", "retry", "take", "reclaim", "take", "refused", "success", "expire"]
    assert [step.happened.action for step in history.steps] == actions
    assert [(a["attempt"], a["worker"], a["outcome"]) for a in history.attempts()] == [
        (1, "w1~ab", "retry"), (2, "w2~cd", "reclaim"), (3, "w1~ab", "success"),
    ]  # fmt: skip
    first = history.attempts()[0]
    assert (first["taken_at"], first["started_at"], first["finished_at"]) == (AT + 2, AT - 0.15, AT + 0.1)
    told = history.as_json()
    assert (told["task"], told["args"], told["submitted_by"]) == ("add", "[1, 2]", "client~1#3")
    assert json.loads(json.dumps(told))["steps"][3]["error"] == ERROR


def test_it_is_told_in_lines() -> None:
    lines = list(search("t1", *life()).found().lines())
    assert lines[0] == "task t1: expired"
    assert lines[1] == (f"{moment(AT + 1)}  register  by client: add [1, 2] {{}}, submitted by client~1#3")
    assert lines[4] == (
        f"{moment(AT + 3)}  retry     attempt 1 by w1~ab ran {moment(AT - 0.15)} to {moment(AT + 0.1)} (0.250 s): "
        "ValueError: boom\\x1b[31m; again at 2025-11-22T16:01:49.000Z"
    )
    assert lines[8].endswith("refused   by w2~cd: its outcome (success) came too late, and changed nothing")
    assert all(line.isprintable() for line in lines)


def test_what_is_found_twice_counts_once() -> None:
    assert len(search("t1", *life(), *life()[3:]).found().steps) == len(search("t1", *life()).found().steps)


def test_a_history_without_its_beginning_says_so() -> None:
    found = search("t1", *life()[3:])
    assert not found.is_settled()
    assert list(found.found().lines())[1] == "its beginning is kept neither here nor in Kafka any more"
    assert search("t1", *life()).is_settled()


@pytest.mark.parametrize(
    ("events", "state"),
    [(1, "queued"), (2, "in-progress"), (3, "queued"), (8, "completed"), (9, "expired")],
)
def test_its_state_is_that_of_its_last_transition(events: int, state: str) -> None:
    assert search("t1", *life()[:events]).found().state() == state


def test_the_reset_that_removed_it_belongs_to_it() -> None:
    reset = event(20, action="reset", removed=3, new_epoch=1, request="r", floors={}, script="reset", actor="client")
    history = search("t1", *life()[:6], reset, event(21, registered(), epoch=1)).found()
    assert [step.happened.action for step in history.steps][-2:] == ["reset", "register"]
    assert search("t1", *life()[:6], reset).found().state() == "reset"
    assert "the queue was reset" in list(search("t1", *life()[:6], reset).found().lines())[-1]


def test_a_reset_of_another_epoch_or_after_its_end_does_not() -> None:
    reset = event(20, action="reset", removed=3, new_epoch=1, request="r", floors={})
    later = event(22, action="reset", removed=3, new_epoch=2, request="s", floors={}, epoch=1)
    assert search("t1", *life(), reset).found().state() == "expired"
    steps = search("t1", *life()[:6], reset, later).found().steps
    assert [step.happened.action for step in steps].count("reset") == 1


# -- the search


def test_a_prefix_is_enough_when_it_is_of_one_task() -> None:
    found = search("t", event(1, registered("t1")), event(2, registered("u1")))
    assert found.found().id == "t1"


def test_the_whole_id_wins_over_longer_ones() -> None:
    found = search("t1", event(1, *(registered(f"t1{n}") for n in range(30)), registered("t1")))
    assert found.found().id == "t1"


def test_several_tasks_are_an_error() -> None:
    with pytest.raises(AmbiguousId) as caught:
        search("t", event(1, *(registered(f"t{n}") for n in range(30)))).found()
    assert len(caught.value.matches) == 10


def test_none_is_an_error() -> None:
    assert search("x", *life()).is_empty()
    with pytest.raises(TaskNotFound, match=r"no event names the task x\\x1b: it never existed, or is older"):
        search("x\x1b", *life()).found()


@pytest.mark.parametrize("task_id", ["t1", 'a"b', "a\\b", "orders/17", "ünï", "日本/1"])
@pytest.mark.parametrize("written", [json.dumps, lambda told: json.dumps(told, ensure_ascii=False)])
def test_its_needles_are_in_every_line_that_matters(task_id: str, written: Any) -> None:
    for text in (written({"id": task_id}), written({"id": task_id}).replace("/", "\\/")):
        assert TaskSearch(task_id).wants(text.encode())
        assert TaskSearch(task_id[:2]).wants(text.encode())
        assert not TaskSearch("zz").wants(text.encode())


# -- the words


def test_every_action_has_its_words() -> None:
    assert OF_TASK.keys() == documented_fields().keys()
    assert not BEGINNINGS - OF_TASK.keys()


def lines(*events: Event) -> list[str]:
    return [each.line() for told in events for each in occurrences(told)]


def test_a_line_begins_with_time_and_id() -> None:
    assert lines(life()[2], life()[7]) == [
        "2025-11-22T16:01:44.250Z t1 ↻ action=retry attempt=1 worker=w1~ab seconds=0.250 "
        "ValueError: boom\\x1b[31m; again at 2025-11-22T16:01:49.000Z",
        "2025-11-22T16:01:49.250Z t1 ← action=success attempt=3 worker=w1~ab seconds=0.250 3",
    ]


def test_what_concerns_no_task_has_a_dash_for_its_id() -> None:
    joined = event(1, action="join", lease=5000)
    lost = event(2, lapsed={"worker": "w1~ab", "reason": "no heartbeat", "count": 3})
    assert lines(joined, lost) == [
        "2025-11-22T16:01:42.250Z -   action=join worker=w1~ab the worker joins",
        "2025-11-22T16:01:43.250Z -   action=lapsed worker=w1~ab the worker was lost: no heartbeat; it held 3 tasks",
    ]


def test_what_was_only_read_is_no_line() -> None:
    assert lines(event(1, admitted=["a"], positions={"0": 1})) == []


def test_what_an_entry_lacks_or_has_too_much_of_stops_nothing() -> None:
    strange = entry(
        "success",
        "i\n\x1b[2J" * 100,
        attempt="x",
        worker={"a": 1},
        result="r\u202e" * 9000,
        started_at=[],
        finished_at="x",
    )
    (line,) = lines(event(1, strange))
    assert line.isprintable()
    assert len(line) < 2100
    assert lines(event(1, *(entry(action) for action in OF_TASK)))
    assert lines(event(1, entry("new action", note="{0} {x}")))
