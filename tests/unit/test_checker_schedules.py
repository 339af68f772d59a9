"""Schedules of faults: the same seed gives the same one, and what is printed can be replayed."""

import pytest

from tests.support.chaos_injector import STORIES
from tests.support.faults import KINDS, Step, read, schedule, written
from tests.support.pages import code_words

SECONDS = 600.0


def test_a_seed_gives_one_schedule() -> None:
    assert schedule(7, SECONDS, 4) == schedule(7, SECONDS, 4)
    assert schedule(7, SECONDS, 4) != schedule(8, SECONDS, 4)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_printed_can_be_read_again(seed: int) -> None:
    steps = schedule(seed, SECONDS, 4)
    assert read(written(steps)) == steps


@pytest.mark.parametrize("seed", range(20))
def test_a_schedule_holds_every_kind_within_its_bounds(seed: int) -> None:
    steps = schedule(seed, SECONDS, 4)
    assert {step.kind for step in steps} == KINDS.keys()
    assert all(0 < step.at <= SECONDS for step in steps)
    for step in steps:
        kind = KINDS[step.kind]
        assert kind.shortest <= step.seconds <= kind.longest
        assert step.worker in (range(1, 5) if "worker" in kind.on else (0,))


def test_a_schedule_may_have_some_kinds_only() -> None:
    assert {step.kind for step in schedule(1, SECONDS, 4, kinds=["redis-lost", "reset"])} == {"redis-lost", "reset"}


def test_every_fault_can_be_played() -> None:
    assert STORIES.keys() == KINDS.keys()


def test_a_fault_has_for_itself_what_it_needs() -> None:
    assert Step(1, "kill-worker", 2).needs([1, 2, 3]) == {"worker 2"}
    assert Step(1, "rolling").needs([1, 2]) == {"worker 1", "worker 2"}
    assert Step(1, "both-kafka-first").needs([1]) == {"kafka", "redis"}
    assert Step(1, "reset").needs([1]) == set()


def test_comments_and_order() -> None:
    text = "# a schedule\n\n 9.0 reset 0 0   # late\n 1.5 redis-kill 0 2.5\n"
    assert read(text) == [Step(1.5, "redis-kill", 0, 2.5), Step(9.0, "reset")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1.0 reset", "line 1: '1.0 reset' is no step"),
        ("1.0 reset 0 0\nsoon reset 0 0", "line 2: 'soon reset 0 0' is no step"),
        ("1.0 flood 0 0", "no fault is named 'flood'"),
    ],
)
def test_a_line_that_is_no_step_is_pointed_at(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read(text)


def test_every_fault_is_described() -> None:
    described = code_words("docs/reliability.md")
    assert set(KINDS) <= described
