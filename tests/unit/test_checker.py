"""The checker of the chaos tests: it finds every kind of violation that is planted, and none in a sound history."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.support.checker import KINDS, WATCH_SECONDS, Verdict, check
from tests.support.event_log import EventLog
from tests.support.ledger import (
    ACKNOWLEDGED,
    ATTEMPTED,
    EXITED,
    RAISED,
    REFUSED,
    RETURNED,
    UNKNOWN,
    Fault,
    History,
    Reading,
    Reset,
    Run,
    Submission,
)

W1, W2 = frozenset({"w1"}), frozenset({"w2"})


def submitted(task: str, at: float, *kinds: str) -> list[Submission]:
    return [Submission(kind, task, at + number / 10) for number, kind in enumerate((ATTEMPTED, *kinds))]


def log(*steps: Sequence[tuple[str, str] | tuple[str, str, int]]) -> list[dict[str, Any]]:
    """An event log: each step is one event, each of its parts (action, task) or (action, task, attempt)."""
    return [
        {"generation": 1, "seq": number, "tasks": [told(*part) for part in step]}
        for number, step in enumerate(steps, 1)
    ]


def told(action: str, task: str, attempt: int = 1) -> Mapping[str, Any]:
    return {"action": action, "id": task, "attempt": attempt}


# Task a: an ordinary life. b: refused. c: started again elsewhere when its worker was killed, while a zombie's outcome
# was refused. d: its acknowledgement was lost, it ran. e: raised once.
EVENTS = log(
    [("register", "a"), ("register", "c")],
    [("take", "a"), ("take", "c")],
    [("success", "a")],
    [("register", "b")],
    [("withdraw", "b")],
    [("reclaim", "c")],
    [("take", "c", 2)],
    [("refused", "c")],
    [("success", "c", 2)],
    [("register", "d")],
    [("take", "d"), ("register", "e")],
    [("success", "d"), ("take", "e")],
    [("retry", "e")],
    [("take", "e", 2)],
    [("failed", "e", 2)],
)
SOUND = History(
    submissions=[
        *submitted("a", 1, ACKNOWLEDGED),
        *submitted("b", 2, REFUSED),
        *submitted("c", 3, ACKNOWLEDGED),
        *submitted("d", 4, UNKNOWN),
        *submitted("e", 5, ACKNOWLEDGED),
        *submitted("f", 6),
    ],
    runs=[
        Run("a", 1, "w1", "p1", 1.5, 1.6, RETURNED),
        Run("c", 1, "w1", "p1", 3.5),
        Run("d", 1, "w2", "p2", 4.5, 4.6, RETURNED),
        Run("e", 1, "w2", "p2", 5.5, 5.6, RAISED),
        Run("e", 2, "w2", "p2", 5.8, 5.9, RAISED),
        Run("c", 2, "w2", "p2", 9.0, 9.1, RETURNED),
    ],
    deaths={"p1": 4.0},
    faults=[Fault("kill-worker", 4.0, 4.0, workers=W1)],
    final={
        task: Reading(task, status, 100.0, attempt, 20.0)
        for task, status, attempt in (("a", "success", 1), ("c", "success", 2), ("d", "success", 1), ("e", "failed", 2))
    },
    log=EventLog(tuple(EVENTS)),
    last_event=(1, len(EVENTS)),
)


def only(verdict: Verdict, kind: str, *tasks: str) -> bool:
    """Whether exactly these tasks violate this, and nothing violates anything else."""
    return {found.kind for found in verdict.violations} == {kind} and verdict.of(kind) == list(tasks)


def test_a_sound_history_has_no_violation() -> None:
    verdict = check(SOUND)
    assert [str(violation) for violation in verdict.violations] == []
    assert verdict.figures == {
        "submitted": 6,
        "acknowledged": 3,
        "refused": 1,
        "unknown": 2,
        "attempts to submit": 6,
        "runs": 6,
        "started again": 2,
        "outcomes": 4,
        "events": 15,
        "void events": 0,
        "forgotten": 0,
        "resets": 0,
        "faults": 1,
    }


def test_what_was_started_again_is_measured() -> None:
    verdict = check(SOUND)
    found = {(each.task, each.fault, each.mends, round(each.seconds, 3), each.alone) for each in verdict.restarts}
    assert found == {("c", "kill-worker", "unseen", 5.0, True), ("e", "raised", "retry", 0.2, True)}


def test_an_empty_history_is_sound() -> None:
    assert check(History()).violations == ()


# -- lost


def test_an_acknowledged_task_without_outcome_is_lost() -> None:
    history = replace(SOUND, submissions=[*SOUND.submissions, *submitted("g", 7, ACKNOWLEDGED)])
    assert only(check(history), "lost", "g")


def test_an_acknowledged_task_that_never_ends_is_lost() -> None:
    waiting = Reading("g", "queued", None, 0, 20.0)
    events = [*EVENTS, {"generation": 1, "seq": 16, "tasks": [told("register", "g")]}]
    history = replace(
        SOUND,
        submissions=[*SOUND.submissions, *submitted("g", 7, ACKNOWLEDGED)],
        final={**SOUND.final, "g": waiting},
        log=EventLog(tuple(events)),
        last_event=(1, 16),
    )
    assert only(check(history), "lost", "g")


def test_a_registered_task_of_a_dead_client_that_never_ends_is_lost() -> None:
    events = [*EVENTS, {"generation": 1, "seq": 16, "tasks": [told("register", "f")]}]
    final = {**SOUND.final, "f": Reading("f", "queued", None, 0, 20.0)}
    assert only(check(replace(SOUND, log=EventLog(tuple(events)), last_event=(1, 16), final=final)), "lost", "f")


def test_a_reset_removes_what_was_submitted_before_it_and_nothing_else() -> None:
    removed = submitted("g", 7, ACKNOWLEDGED)
    history = replace(
        SOUND,
        submissions=[*SOUND.submissions, *removed],
        final={},
        log=EventLog((*EVENTS, {"generation": 1, "seq": 16, "action": "reset"})),
        last_event=(1, 16),
    )
    assert check(replace(history, resets=[Reset(10, 11, certain=True)])).violations == ()
    assert only(check(replace(history, resets=[Reset(6.5, 6.9, certain=True)])), "lost", "g")


# -- unexpected


def test_a_ghost_is_unexpected() -> None:
    """A run of a task that nobody submitted; no event tells of it either."""
    history = replace(SOUND, runs=[*SOUND.runs, Run("ghost", 1, "w1", "p1", 2.0, 2.1, RETURNED)])
    assert check(history).of("unexpected") == ["ghost"]


def test_a_refused_task_that_ran_is_unexpected() -> None:
    history = replace(SOUND, runs=[*SOUND.runs, Run("b", 1, "w1", "p1", 2.5, 2.6, RETURNED)])
    assert check(history).of("unexpected") == ["b"]


def test_a_refused_task_with_an_outcome_is_unexpected() -> None:
    history = replace(SOUND, final={**SOUND.final, "b": Reading("b", "success", 100.0, 1, 20.0)})
    assert check(history).of("unexpected") == ["b"]


@pytest.mark.parametrize("kinds", [(REFUSED, ATTEMPTED, ACKNOWLEDGED), (UNKNOWN, ATTEMPTED, REFUSED), ()])
def test_what_was_not_refused_each_time_may_run(kinds: tuple[str, ...]) -> None:
    others = [each for each in SOUND.submissions if each.task != "d"]
    assert check(replace(SOUND, submissions=[*others, *submitted("d", 4, *kinds)])).violations == ()


def test_a_task_that_outlives_a_reset_is_unexpected() -> None:
    history = replace(SOUND, resets=[Reset(5.0, 5.2, certain=True)])
    assert only(check(history), "unexpected", "a", "c")
    assert check(replace(SOUND, resets=[Reset(5.0, 5.2, certain=False)])).violations == ()


# -- double outcome


def test_a_final_state_that_changes_is_a_double_outcome() -> None:
    earlier = Reading("a", "failed", 50.0, 1, 8.0)
    assert only(check(replace(SOUND, readings=[earlier])), "double outcome", "a")


def test_a_final_state_that_is_taken_back_is_a_double_outcome() -> None:
    readings = [Reading("a", "success", 100.0, 1, 8.0), Reading("a", "processing", None, 2, 9.0)]
    assert only(check(replace(SOUND, readings=readings)), "double outcome", "a")


def test_a_final_state_that_only_moves_in_time_is_a_double_outcome() -> None:
    assert only(check(replace(SOUND, readings=[Reading("a", "success", 99.0, 1, 8.0)])), "double outcome", "a")


def test_two_recorded_outcomes_are_a_double_outcome() -> None:
    events = [*EVENTS, {"generation": 1, "seq": 16, "tasks": [told("success", "a")]}]
    assert only(check(replace(SOUND, log=EventLog(tuple(events)), last_event=(1, 16))), "double outcome", "a")


# -- overlap


def second_run_of_a(started: float, alone: bool) -> History:
    run = Run("a", 2, "w2", "p2", started, started + 1, RETURNED, alone=alone)
    events = [*EVENTS, {"generation": 1, "seq": 16, "tasks": []}]
    events[2] = {
        "generation": 1,
        "seq": 3,
        "tasks": [told("reclaim", "a"), told("take", "a", 2), told("success", "a", 2)],
    }
    faults = [*SOUND.faults, Fault("redis-cut", 1.5, 1.9, workers=W1)]
    return replace(SOUND, runs=[*SOUND.runs, run], faults=faults, log=EventLog(tuple(events)), last_event=(1, 16))


def test_two_runs_at_the_same_instant_overlap() -> None:
    assert only(check(second_run_of_a(1.55, alone=False)), "overlap", "a")
    assert only(check(second_run_of_a(1.55, alone=True)), "overlap", "a")
    assert check(second_run_of_a(1.65, alone=True)).violations == ()


def without_end(history: History, death: Mapping[str, float]) -> History:
    runs = [replace(run, ended=None, how="") if run.task == "a" and run.attempt == 1 else run for run in history.runs]
    return replace(history, runs=runs, deaths=death)


def test_a_run_without_end_lasts_until_its_process_was_seen_dead() -> None:
    late = second_run_of_a(1.65, alone=False)
    assert only(check(without_end(late, {"p1": 1.7})), "overlap", "a")
    assert check(without_end(late, {"p1": 1.6})).violations == ()


def test_a_run_of_a_process_that_never_died_overlaps_every_later_one() -> None:
    verdict = check(without_end(second_run_of_a(1.65, alone=True), {}))
    assert only(verdict, "overlap", "a", "c")


def test_the_lock_of_the_task_proves_a_death_that_was_seen_late() -> None:
    late = second_run_of_a(1.65, alone=True)
    assert check(without_end(late, {"p1": 1.65 + WATCH_SECONDS})).violations == ()
    assert only(check(without_end(late, {"p1": 1.7 + WATCH_SECONDS})), "overlap", "a")


# -- duplicate start


def test_a_second_start_without_a_fault_is_a_violation() -> None:
    assert only(check(replace(SOUND, faults=[])), "duplicate start", "c")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault("kill-worker", 4.0, 4.0, workers=W2), id="another worker"),
        pytest.param(Fault("kill-worker", 3.4, 3.4, workers=W1), id="before the first start"),
        pytest.param(Fault("kill-worker", 9.1, 9.1, workers=W1), id="after the second start"),
        pytest.param(Fault("kill-child", 4.0, 4.0, processes=frozenset({"p2"})), id="another process"),
        pytest.param(Fault("kafka-stop", 4.0, 9.0, mends="outage"), id="a fault that hits nobody"),
    ],
)
def test_a_fault_that_hit_something_else_explains_nothing(fault: Fault) -> None:
    assert only(check(replace(SOUND, faults=[fault])), "duplicate start", "c")


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (Fault("kill-child", 4.0, 4.0, processes=frozenset({"p1"}), mends="seen"), 5.0),
        (Fault("redis-kill", 1.0, 3.6, workers=W1 | W2, mends="outage"), 5.4),
        (Fault("stop-worker", 3.0, 20.0, workers=W1), 5.5),
    ],
)
def test_a_fault_explains_a_second_start_and_is_measured(fault: Fault, seconds: float) -> None:
    verdict = check(replace(SOUND, faults=[fault]))
    assert verdict.violations == ()
    assert [round(each.seconds, 3) for each in verdict.restarts if each.task == "c"] == [seconds]


def test_no_fault_explains_a_start_after_a_recorded_outcome() -> None:
    runs = [*SOUND.runs, Run("a", 2, "w2", "p2", 6.0, 6.1, RETURNED)]
    everything = Fault("redis-kill", 1.0, 7.0, workers=W1 | W2, mends="outage")
    verdict = check(replace(SOUND, runs=runs, faults=[everything]))
    assert verdict.of("duplicate start") == ["a"]


def third_run_of_c(faults: list[Fault]) -> History:
    runs = [*SOUND.runs, Run("c", 3, "w2", "p2", 9.5, 9.6, RETURNED)]
    events = [*EVENTS, {"generation": 1, "seq": 16, "tasks": []}]
    events[6] = {"generation": 1, "seq": 7, "tasks": [told("take", "c", 2), told("release", "c"), told("take", "c", 3)]}
    events[8] = {"generation": 1, "seq": 9, "tasks": [told("success", "c", 3)]}
    return replace(SOUND, runs=runs, faults=faults, log=EventLog(tuple(events)), last_event=(1, 16))


def test_a_fault_explains_one_start_of_a_task() -> None:
    lasting = Fault("redis-cut", 3.0, 9.3, workers=W1 | W2)
    assert only(check(third_run_of_c([lasting])), "duplicate start", "c")
    assert check(third_run_of_c([lasting, Fault("kill-worker", 9.2, 9.2, workers=W2)])).violations == ()


def test_a_handler_that_ended_its_process_explains_the_next_start() -> None:
    runs = [replace(run, how=EXITED) if run.task == "e" and run.attempt == 1 else run for run in SOUND.runs]
    verdict = check(replace(SOUND, runs=runs))
    assert verdict.violations == ()
    assert [(each.mends, each.alone) for each in verdict.restarts if each.task == "e"] == [("seen", True)]


def test_a_restart_during_another_fault_is_told_apart() -> None:
    other = Fault("kafka-stop", 8.0, 12.0, mends="outage")
    verdict = check(replace(SOUND, faults=[*SOUND.faults, other]))
    assert {each.task: each.alone for each in verdict.restarts} == {"c": False, "e": True}


# -- repeated attempt


def test_two_starts_under_one_attempt_are_a_violation() -> None:
    runs = [replace(run, attempt=1) if run.task == "c" else run for run in SOUND.runs]
    assert only(check(replace(SOUND, runs=runs)), "repeated attempt", "c")


# -- audit gap


def without_event(seq: int) -> History:
    return replace(SOUND, log=EventLog(tuple(event for event in EVENTS if event["seq"] != seq)))


def test_an_event_that_is_missing_is_an_audit_gap() -> None:
    verdict = check(without_event(8))
    assert only(verdict, "audit gap", "")
    assert "from 1-8 on" in verdict.violations[0].found


def test_events_that_are_missing_at_the_end_are_an_audit_gap() -> None:
    assert only(check(replace(SOUND, last_event=(1, 16))), "audit gap", "")


def test_events_of_a_generation_that_was_never_read_are_an_audit_gap() -> None:
    assert only(check(replace(SOUND, last_event=(2, 3))), "audit gap", "")


def without_action(action: str, task: str) -> History:
    events = [
        {**event, "tasks": [told for told in event["tasks"] if (told["action"], told["id"]) != (action, task)]}
        for event in EVENTS
    ]
    return replace(SOUND, log=EventLog(tuple(events)))


@pytest.mark.parametrize(
    ("action", "task"),
    [("register", "a"), ("take", "a"), ("success", "a"), ("reclaim", "c"), ("success", "c"), ("retry", "e")],
)
def test_a_transition_that_no_event_tells_is_an_audit_gap(action: str, task: str) -> None:
    verdict = check(without_action(action, task))
    assert {found.kind for found in verdict.violations} == {"audit gap"}
    assert set(verdict.of("audit gap")) == {task}


def test_a_start_that_no_event_tells_is_an_audit_gap() -> None:
    history = replace(SOUND, runs=[*SOUND.runs, Run("a", 2, "w1", "p1", 1.7, 1.8, RETURNED)])
    assert check(history).of("audit gap") == ["a"]


def test_all_kinds_at_once_are_all_found() -> None:
    """One history with everything in it: nothing hides behind anything else."""
    history = replace(
        SOUND,
        submissions=[*SOUND.submissions, *submitted("gone", 7, ACKNOWLEDGED)],
        runs=[
            *SOUND.runs,
            Run("ghost", 1, "w1", "p1", 2.0, 2.1, RETURNED),
            Run("a", 1, "w2", "p2", 1.55, 1.7, RETURNED, alone=False),
        ],
        readings=[Reading("d", "failed", 60.0, 1, 8.0)],
        log=without_event(8).log,
    )
    verdict = check(history)
    assert {found.kind for found in verdict.violations} == set(KINDS)
