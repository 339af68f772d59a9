"""The event log over several generations, and what a Redis that lost writes may forget, and what it may not."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.support.checker import check
from tests.support.event_log import EventLog, read_log
from tests.support.ledger import (
    ACKNOWLEDGED,
    ATTEMPTED,
    REFUSED,
    RETURNED,
    Fault,
    History,
    Reading,
    Run,
    Submission,
)

EVERYBODY = frozenset({"w1", "w2"})
# Redis was killed at 4.5 and came back at 5 as it had been at 2.
LOSS = Fault("redis-restore", 4.5, 5.0, workers=EVERYBODY, mends="outage", forgets_since=2.0)


def marker(generation: int, before: int | None = None) -> Mapping[str, Any]:
    return {"generation": generation, "action": "generation", "before": generation - 1 if before is None else before}


def event(generation: int, seq: int, *told: tuple[str, str, int]) -> Mapping[str, Any]:
    tasks = [{"action": what, "id": task, "attempt": n, "finished_at": f"{50.0 * n}"} for what, task, n in told]
    return {"generation": generation, "seq": seq, "tasks": tasks}


def rows(*events: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    return [(b"%d-%d" % (each["generation"], each.get("seq", 0)), json.dumps(each).encode()) for each in events]


def numbers(events: Sequence[Mapping[str, Any]]) -> list[tuple[int, int]]:
    return [(each["generation"], each["seq"]) for each in events]


# -- the event log


def test_a_log_without_markers_is_freed_of_repeats_and_brought_into_order() -> None:
    log = read_log(rows(event(1, 1), event(1, 3), event(1, 2), event(1, 3), event(2, 1)))
    assert (numbers(log.events), log.repeats, log.void) == ([(1, 1), (1, 2), (1, 3), (2, 1)], 1, ())


def test_numbers_rise_over_all_generations_and_a_repeat_may_have_another_stamp() -> None:
    log = read_log(rows(marker(1), event(1, 1), event(1, 2), marker(5), event(5, 2), event(5, 4), event(5, 3)))
    assert numbers(log.events) == [(1, 1), (1, 2), (5, 3), (5, 4)]
    assert (log.repeats, log.generations) == (1, (1, 5))


def test_what_an_older_generation_sends_behind_a_marker_is_void() -> None:
    late = event(1, 2, ("success", "late", 1))
    log = read_log(rows(marker(1), event(1, 1), marker(5), late, event(5, 2, ("take", "a", 1))))
    assert log.void == (late,)
    assert numbers(log.events) == [(1, 1), (5, 2)]


def test_a_marker_whose_sender_gave_up_ends_only_what_it_knew() -> None:
    log = read_log(rows(marker(1), marker(5, 1), event(5, 1), marker(9, 1), event(5, 2), event(1, 2)))
    assert numbers(log.events) == [(5, 1), (5, 2)]
    assert numbers(log.void) == [(1, 2)]


def test_a_marker_that_comes_late_or_twice_begins_nothing() -> None:
    log = read_log(rows(marker(1), marker(5), event(5, 1), marker(3), marker(5), event(3, 2), event(5, 2)))
    assert numbers(log.events) == [(5, 1), (5, 2)]
    assert numbers(log.void) == [(3, 2)]


def test_an_empty_log_is_empty() -> None:
    assert read_log([]) == EventLog()


# -- a Redis that came back as it had been before


def life(first_ends: float | None, *middle: tuple[str, str, int], late: Sequence[Mapping[str, Any]] = ()) -> History:
    """Task a was taken at 3 and, after the loss, at 6. middle: told between them. late: sent behind the marker."""
    told = [marker(1), event(1, 1, ("register", "a", 1)), event(1, 2, ("take", "a", 1)), event(1, 3, *middle)]
    after = [event(9, 4, ("take", "a", 2)), event(9, 5, ("success", "a", 2))]
    return History(
        submissions=[Submission(ATTEMPTED, "a", 1.0), Submission(ACKNOWLEDGED, "a", 1.1)],
        runs=[
            Run("a", 1, "w1", "p1", 3.0, first_ends, RETURNED if first_ends else ""),
            Run("a", 2, "w2", "p2", 6.0, 6.5, RETURNED),
        ],
        deaths={"p1": 5.2},
        faults=[LOSS],
        final={"a": Reading("a", "success", 100.0, 2, 20.0)},
        log=read_log(rows(*told, marker(9), *late, *after)),
        last_event=(9, 5),
    )


def test_a_run_that_was_cut_short_starts_again() -> None:
    verdict = check(life(None, ("release", "a", 1)))
    assert (verdict.violations, verdict.forgotten) == ((), ())
    assert [(each.fault, each.mends, each.forgets) for each in verdict.restarts] == [("redis-restore", "outage", True)]


def test_an_outcome_that_only_the_lost_redis_knew_is_forgotten() -> None:
    verdict = check(life(4.0, ("release", "a", 1)))
    assert verdict.violations == ()
    assert [(each.kind, each.task) for each in verdict.forgotten] == [("duplicate start", "a")]
    assert verdict.figures["forgotten"] == 1


def test_an_outcome_that_the_event_log_tells_may_not_run_again() -> None:
    verdict = check(life(4.0, ("success", "a", 1)))
    assert verdict.of("duplicate start") == ["a"]
    assert verdict.forgotten == ()


def test_an_outcome_that_is_void_counts_as_forgotten() -> None:
    verdict = check(life(4.0, ("release", "a", 1), late=[event(1, 4, ("success", "a", 1))]))
    assert verdict.violations == ()
    assert [each.kind for each in verdict.forgotten] == ["duplicate start"]


def test_a_loss_explains_no_start_that_it_did_not_hit() -> None:
    late = [*life(4.0, ("release", "a", 1)).runs]
    moved = [replace(late[0], started=5.5, ended=5.6), late[1]]
    assert check(replace(life(4.0, ("release", "a", 1)), runs=moved)).of("duplicate start") == ["a"]


def shown_before(at: float, finished_at: float = 50.0) -> Reading:
    return Reading("a", "success", finished_at, 1, at)


def test_an_outcome_that_was_shown_and_lost_is_forgotten_and_one_that_was_told_is_not() -> None:
    forgotten = check(replace(life(4.0, ("release", "a", 1)), readings=[shown_before(4.1)]))
    assert forgotten.violations == ()
    assert {each.kind for each in forgotten.forgotten} == {"duplicate start", "double outcome"}
    told = check(replace(life(4.0, ("success", "a", 1)), readings=[shown_before(4.1)]))
    assert told.of("double outcome") == ["a"]
    another = check(replace(life(4.0, ("success", "a", 1)), readings=[shown_before(4.1, 49.0)]))
    assert another.of("double outcome") == []  # its attempt has the same number, and it is not what the log tells


def without_first_take(started: float) -> History:
    history = life(None)
    log = tuple(event(1, 2) if each["seq"] == 2 else each for each in history.log.events)
    runs = [replace(history.runs[0], started=started), history.runs[1]]
    return replace(history, runs=runs, log=replace(history.log, events=log))


def test_a_start_that_only_the_lost_redis_knew_is_forgotten() -> None:
    verdict = check(without_first_take(3.0))
    assert verdict.violations == ()
    assert [(each.kind, each.task) for each in verdict.forgotten] == [("audit gap", "a")]


def test_a_start_before_what_was_kept_must_be_told() -> None:
    assert check(without_first_take(1.5)).of("audit gap") == ["a"]


def test_the_same_attempt_again_is_forgotten_only_when_the_first_take_is() -> None:
    history = without_first_take(3.0)
    again = [replace(run, attempt=1) for run in history.runs]
    events = tuple({**each, "tasks": [{**told, "attempt": 1} for told in each["tasks"]]} for each in history.log.events)
    log = replace(history.log, events=events)
    verdict = check(replace(history, runs=again, log=log))
    assert verdict.violations == ()
    assert "repeated attempt" in {each.kind for each in verdict.forgotten}
    assert check(replace(history, runs=again, log=log, faults=[replace(LOSS, forgets_since=None)])).of(
        "repeated attempt"
    ) == ["a"]


# -- submissions


def refused_and_ran(*withdrawn: tuple[str, str, int]) -> History:
    history = life(None, ("release", "a", 1), *withdrawn)
    return replace(history, submissions=[Submission(ATTEMPTED, "a", 2.5), Submission(REFUSED, "a", 2.6)])


def test_a_refusal_that_only_the_lost_redis_knew_is_forgotten() -> None:
    verdict = check(refused_and_ran())
    assert verdict.violations == ()
    assert [each.kind for each in verdict.forgotten] == ["unexpected"]


def test_a_refusal_that_the_event_log_tells_is_kept() -> None:
    assert check(refused_and_ran(("withdraw", "a", 1))).of("unexpected") == ["a"]


@pytest.mark.parametrize(
    ("messages", "lost"),
    [
        pytest.param(None, ["b"], id="nobody has looked: Kafka acknowledged it, so it is there"),
        pytest.param(frozenset({"a", "b"}), ["b"], id="its message is there"),
        pytest.param(frozenset({"a"}), [], id="Kafka has lost it too"),
    ],
)
def test_an_acknowledged_task_is_lost_unless_both_servers_lost_it(
    messages: frozenset[str] | None, lost: list[str]
) -> None:
    history = life(None, ("release", "a", 1))
    more = [Submission(ATTEMPTED, "b", 3.0), Submission(ACKNOWLEDGED, "b", 3.1)]
    verdict = check(replace(history, submissions=[*history.submissions, *more], messages=messages))
    assert verdict.of("lost") == lost
    assert [each.task for each in verdict.forgotten] == ([] if lost else ["b"])


# -- numbers


@pytest.mark.parametrize(
    ("missing", "fault", "forgotten"),
    [
        pytest.param(2, LOSS, True, id="before the loss, and a later one was sent"),
        pytest.param(2, replace(LOSS, forgets_since=None), False, id="Redis had lost nothing"),
        pytest.param(3, LOSS, False, id="the last before the loss: its number is given again"),
        pytest.param(4, LOSS, False, id="after the loss"),
    ],
)
def test_an_event_may_be_missing_only_before_a_loss(missing: int, fault: Fault, forgotten: bool) -> None:
    told = [marker(1), event(1, 1), event(1, 2), event(1, 3), marker(9), event(9, 4), event(9, 5)]
    log = read_log(rows(*[each for each in told if each.get("seq") != missing]))
    verdict = check(History(faults=[fault], log=log, last_event=(9, 5)))
    assert [each.kind for each in (verdict.forgotten if forgotten else verdict.violations)] == ["audit gap"]
    assert (verdict.violations == ()) == forgotten


def test_a_redis_of_another_generation_than_the_newest_marker_is_an_audit_gap() -> None:
    verdict = check(replace(life(None, ("release", "a", 1)), last_event=(7, 5)))
    assert verdict.of("audit gap") == [""]
    assert "Redis is at 7" in verdict.violations[0].found
