"""The appetite: when a worker asks for tasks."""

import math

from _yadtq.appetite import LOOK_SECONDS, Appetite


def fed(got: int, room: int = 3, due: float | None = None) -> Appetite:
    """Fed at the instant 100."""
    appetite = Appetite()
    appetite.fed(room, got, due, 100.0)
    return appetite


def test_it_begins_hungry() -> None:
    appetite = Appetite()
    assert appetite.wants(1, 100.0)
    assert appetite.patience(1, 100.0) == 0.0


def test_without_room_it_wants_nothing() -> None:
    assert not Appetite().wants(0, 100.0)
    assert not fed(3).wants(0, 1000.0)


def test_a_full_answer_makes_it_ask_again_at_once() -> None:
    assert fed(3).wants(2, 100.0)
    assert fed(3).patience(2, 100.0) == 0.0
    assert fed(3).patience(0, 100.0) == LOOK_SECONDS  # nothing free: it only looks where the reader is


def test_a_smaller_answer_makes_it_wait_for_a_call() -> None:
    appetite = fed(2)
    assert not appetite.wants(1, 100.0)
    assert appetite.patience(1, 100.25) == LOOK_SECONDS - 0.25
    appetite.woken()
    assert appetite.wants(1, 100.0)


def test_it_looks_once_a_second_in_case_a_message_was_lost() -> None:
    appetite = fed(0)
    assert not appetite.looks(100.0 + LOOK_SECONDS - 0.01)
    assert appetite.looks(100.0 + LOOK_SECONDS)
    assert appetite.wants(1, 100.0 + LOOK_SECONDS)
    assert appetite.patience(1, 200.0) == 0.0


def test_it_asks_when_a_delayed_task_is_due() -> None:
    appetite = fed(0, due=0.3)
    assert not appetite.wants(1, 100.2)
    assert math.isclose(appetite.patience(1, 100.0), 0.3)
    assert appetite.wants(1, 100.31)
    assert not fed(0, due=5.0).wants(1, 100.9)
    assert fed(0, due=5.0).wants(1, 101.0)  # the look comes first


def test_a_take_whose_answer_was_lost_is_repeated_whatever_the_room() -> None:
    appetite = fed(0)
    appetite.in_doubt = True
    assert appetite.wants(0, 100.0)
    appetite.fed(0, 0, None, 100.0)
    assert not appetite.in_doubt
    assert not appetite.wants(0, 100.0)


def test_an_answer_that_nobody_had_room_for_leaves_it_hungry() -> None:
    """It was not registered as idle, so nobody wakes it."""
    assert fed(0, room=0).wants(1, 100.0)


def test_without_room_and_without_a_reader_it_does_not_spin() -> None:
    """A worker whose slots are all busy and that reads no partition has nothing to ask; nor does a due task help."""
    assert fed(0).patience(0, 105.0) == LOOK_SECONDS
    assert fed(0, due=0.5).patience(0, 100.75) == LOOK_SECONDS - 0.75
    assert fed(0, due=0.5).wants(1, 100.75)
