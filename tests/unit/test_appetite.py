"""When a worker asks the queue for tasks."""

from _yadtq.appetite import LOOK_SECONDS, Appetite

NOW = 100.0


def fed(room: int, got: int, due_seconds: float | None = None) -> Appetite:
    appetite = Appetite()
    appetite.fed(room, got, due_seconds, NOW)
    return appetite


def test_it_asks_again_at_once_after_an_answer_that_filled_every_slot() -> None:
    assert fed(room=3, got=3).wants(room=1, now=NOW)
    assert fed(room=3, got=3).patience(room=1, now=NOW) == 0.0


def test_it_waits_to_be_woken_after_an_answer_that_left_a_slot_free() -> None:
    appetite = fed(room=3, got=2)
    assert not appetite.wants(room=1, now=NOW)
    assert appetite.patience(room=1, now=NOW) == LOOK_SECONDS
    appetite.woken()
    assert appetite.wants(room=1, now=NOW)


def test_it_asks_as_soon_as_a_slot_is_free_after_it_handed_in_reads_without_one() -> None:
    appetite = fed(room=0, got=0)
    assert not appetite.wants(room=0, now=NOW)
    assert appetite.patience(room=0, now=NOW) == LOOK_SECONDS
    assert appetite.wants(room=1, now=NOW)
    assert appetite.patience(room=1, now=NOW) == 0.0


def test_it_looks_once_a_second_and_when_a_delayed_task_is_due() -> None:
    assert fed(room=3, got=0).wants(room=3, now=NOW + LOOK_SECONDS)
    assert fed(room=3, got=0, due_seconds=0.25).patience(room=3, now=NOW) == 0.25
    assert fed(room=3, got=0, due_seconds=0.25).wants(room=3, now=NOW + 0.25)


def test_it_asks_again_when_it_never_read_the_answer() -> None:
    appetite = fed(room=3, got=0)
    appetite.in_doubt = True
    assert appetite.wants(room=0, now=NOW)
