"""Which job goes to which child, decided without processes."""

import pytest

from _yadtq.jobs import Job
from _yadtq.slots import (
    AHEAD_SECONDS,
    GATHER_SECONDS,
    HORIZON_SECONDS,
    MOST_JOBS,
    OVERHEAD_SECONDS,
    OVERRUN_SECONDS,
    PATIENCE_SECONDS,
    UNEVEN_SECONDS,
    Estimates,
    Slot,
    Slots,
)

NAMES = ("small", "long", "new")
SMALL, LONG = 0.0001, 1.0


def jobs(name: str, count: int, limit: float = 0.0) -> list[Job]:
    return [Job(f"{name}-{number}", f"id-{number}", name, "[]", "{}", 1, limit) for number in range(count)]


def slots_of(size: int) -> tuple[Slots, list[Slot]]:
    """Slots whose small and long tasks are known."""
    slots = Slots(NAMES)
    slots.estimates.measured("long", LONG)
    for _ in range(50):
        slots.estimates.measured("small", SMALL)
    return slots, [slots.add(serial) for serial in range(size)]


def hand_over(slots: Slots, now: float = 0.0) -> list[int]:
    return [slot.serial for slot, batch in slots.hand_over(now) for _ in batch]


def end_first(slots: Slots, slot: Slot, now: float, seconds: float) -> None:
    assert slots.ended(slot, slot.jobs[0].number, now, seconds)


def test_an_estimate_follows_the_measurements() -> None:
    estimates = Estimates(NAMES)
    assert estimates.expected("small") is None
    estimates.measured("small", 1.0)
    assert estimates.expected("small") == pytest.approx(1.0 + OVERHEAD_SECONDS)
    for _ in range(60):
        estimates.measured("small", 0.001)
    assert estimates.expected("small") == pytest.approx(0.001, rel=0.1)


def test_names_that_nobody_registered_take_no_memory_and_are_quick() -> None:
    estimates = Estimates(NAMES)
    estimates.measured("from outside", 9.0)
    assert estimates.expected("from outside") == OVERHEAD_SECONDS
    assert estimates.mix is None


def test_a_task_of_unknown_length_goes_alone_and_nothing_goes_behind_it() -> None:
    slots, _ = slots_of(2)
    slots.submit([*jobs("new", 3), *jobs("small", 5)])
    assert sorted(hand_over(slots)) == [0, 1]
    assert len(slots.waiting) == 6


def test_small_tasks_are_handed_over_ahead_up_to_the_bound_and_evenly() -> None:
    slots, (first, second) = slots_of(2)
    slots.submit(jobs("small", 500))
    hand_over(slots)
    for slot in (first, second):
        assert slot.remaining(0.0) <= AHEAD_SECONDS
        assert slot.remaining(0.0) > AHEAD_SECONDS - 3 * SMALL
    assert abs(first.remaining(0.0) - second.remaining(0.0)) <= UNEVEN_SECONDS
    assert len(slots.waiting) == 500 - len(first.jobs) - len(second.jobs)


def test_few_small_tasks_wake_one_child() -> None:
    slots, (first, second) = slots_of(2)
    slots.submit(jobs("small", 5))
    assert len(list(slots.hand_over(0.0))) == 1
    assert (len(first.jobs), len(second.jobs)) == (5, 0)
    assert slots.overloaded(0.0) == []


def test_what_one_child_gets_at_once_is_not_to_be_taken_back_for_another() -> None:
    slots, (first, second) = slots_of(2)
    slots.submit(jobs("small", 7))
    hand_over(slots)
    assert (len(first.jobs), len(second.jobs)) == (7, 0)
    assert slots.overloaded(0.0) == []
    slots.submit(jobs("small", 1))
    hand_over(slots)
    assert len(second.jobs) == 1


def test_outcomes_gather_only_while_no_child_runs_out_of_work() -> None:
    slots, (first, _) = slots_of(2)
    assert slots.gather_seconds() == 0.0
    slots.submit(jobs("small", 1))
    hand_over(slots)
    assert slots.gather_seconds() == 0.0
    slots.submit(jobs("small", 500))
    hand_over(slots)
    assert slots.gather_seconds() == GATHER_SECONDS
    while len(first.jobs) > 2:
        end_first(slots, first, 0.0, SMALL)
    assert slots.gather_seconds() == first.behind
    end_first(slots, first, 0.0, SMALL)
    # The child with one job more does not count: nobody knows when it is free.
    assert slots.gather_seconds() == GATHER_SECONDS


def test_outcomes_gather_until_the_last_child_is_nearly_free_when_nothing_waits() -> None:
    slots, (first, second) = slots_of(2)
    slots.submit(jobs("small", 9))
    hand_over(slots)
    assert not slots.waiting
    assert slots.gather_seconds() == GATHER_SECONDS
    while len(first.jobs) > 3:
        end_first(slots, first, 0.0, SMALL)
    assert slots.gather_seconds() == max(first.behind, second.behind)
    while len(first.jobs) > 1:
        end_first(slots, first, 0.0, SMALL)
    while len(second.jobs) > 1:
        end_first(slots, second, 0.0, SMALL)
    assert slots.gather_seconds() == 0.0


def test_long_tasks_go_one_to_a_child() -> None:
    slots, (first, second) = slots_of(2)
    slots.submit(jobs("long", 5))
    hand_over(slots)
    assert (len(first.jobs), len(second.jobs)) == (1, 1)


def test_jobs_keep_their_order_when_they_come_back() -> None:
    slots, (slot,) = slots_of(1)
    slots.submit(jobs("small", 100))
    hand_over(slots)
    behind = {placed.number for placed in list(slot.jobs)[1:]}
    slots.taken_back(slot, behind, 0.0)
    assert [placed.number for placed in slots.waiting] == list(range(2, 101))
    assert len(slot.jobs) == 1
    assert slot.behind == 0.0


def test_a_child_that_has_begun_nothing_gives_back_all() -> None:
    slots, (slot,) = slots_of(1)
    slots.submit(jobs("small", 3))
    hand_over(slots)
    slots.taken_back(slot, {1, 2, 3}, 0.0)
    assert not slot.jobs
    assert slots.held() == 3
    assert slots.running() == []


def test_a_full_socket_gets_no_more_until_an_outcome_comes() -> None:
    slots, (slot,) = slots_of(1)
    slots.submit(jobs("small", 10))
    for handed, batch in slots.hand_over(0.0):
        slots.refused(handed, len(batch) - 3, 0.0)
    assert len(slot.jobs) == 3
    assert [placed.number for placed in slots.waiting] == list(range(4, 11))
    assert hand_over(slots) == []
    end_first(slots, slot, 0.0, SMALL)
    assert hand_over(slots)


def test_a_blocked_slot_is_tried_again_and_counts_as_stuck() -> None:
    slots, (slot,) = slots_of(1)
    slots.submit(jobs("small", 2))
    for handed, batch in slots.hand_over(0.0):
        slots.refused(handed, len(batch), 0.0)
    assert hand_over(slots) == []
    slots.unblock()
    assert not slot.full
    for handed, batch in slots.hand_over(0.0):
        slots.refused(handed, len(batch), 0.0)
    assert len(slots.stuck(0.0)) == 2


def test_room_is_the_free_children_when_tasks_are_long() -> None:
    slots = Slots(NAMES)
    for serial in range(3):
        slots.add(serial)
    assert slots.room(0.0) == 3
    slots.estimates.measured("long", LONG)
    slots.submit(jobs("long", 1))
    hand_over(slots)
    assert slots.room(0.0) == 2
    slots.submit(jobs("long", 2))
    hand_over(slots)
    assert slots.room(0.0) == 0


def test_room_is_many_small_tasks_but_bounded() -> None:
    slots, _ = slots_of(2)
    assert slots.estimates.mix is not None
    room = slots.room(0.0)
    assert room == int(2 * HORIZON_SECONDS / slots.estimates.mix)
    slots.submit(jobs("small", room))
    hand_over(slots)
    assert slots.room(0.0) <= 3
    for serial in range(100):
        slots.add(serial)
    assert slots.room(0.0) == MOST_JOBS


def test_no_room_beside_what_waits() -> None:
    slots, _ = slots_of(1)
    slots.submit(jobs("new", 4))
    hand_over(slots)
    assert slots.room(0.0) == 0


def test_one_long_task_does_not_hide_many_small_ones_for_long() -> None:
    slots, _ = slots_of(1)
    slots.estimates.measured("long", 3600.0)
    for _ in range(20):
        slots.estimates.measured("small", SMALL)
    assert slots.room(0.0) > 10


def test_jobs_behind_one_that_overruns_are_to_be_taken_back() -> None:
    slots, (slot,) = slots_of(1)
    slots.submit(jobs("small", 10))
    hand_over(slots)
    assert slots.overloaded(SMALL) == []
    assert slots.overloaded(OVERRUN_SECONDS + 2 * SMALL) == [slot]
    slots.taken_back(slot, {placed.number for placed in list(slot.jobs)[1:]}, 0.006)
    # Nothing goes behind it again.
    assert hand_over(slots, 0.006) == []


def test_a_free_child_gets_what_waits_behind_another() -> None:
    slots, (slot,) = slots_of(1)
    slots.submit(jobs("small", 20))
    hand_over(slots)
    assert slots.overloaded(0.0) == []
    other = slots.add(7)
    assert slots.overloaded(0.0) == [slot]
    slots.taken_back(slot, {placed.number for placed in list(slot.jobs)[1:]}, 0.0)
    hand_over(slots)
    assert abs(slot.remaining(0.0) - other.remaining(0.0)) <= UNEVEN_SECONDS


def test_jobs_that_nobody_is_free_for_are_stuck() -> None:
    slots, _ = slots_of(2)
    slots.submit([*jobs("long", 2), *jobs("small", 3)])
    hand_over(slots)
    assert [job.task for job in slots.stuck(0.0)] == ["small"] * 3
    assert slots.held() == 2


def test_jobs_that_a_child_will_soon_be_free_for_are_not_stuck() -> None:
    slots, _ = slots_of(2)
    slots.submit([*jobs("long", 1), *jobs("small", 60)])
    hand_over(slots)
    assert slots.waiting
    assert slots.stuck(0.0) == []


def test_only_those_that_fit_into_the_patience_stay() -> None:
    slots, _ = slots_of(1)
    slots.submit(jobs("small", 1000))
    hand_over(slots)
    stuck = slots.stuck(0.0)
    fitting = PATIENCE_SECONDS / (SMALL + OVERHEAD_SECONDS)
    assert 1000 - fitting * 1.1 < len(stuck) < 1000 - fitting * 0.9
    assert stuck[-1].claim == "small-999"


def test_jobs_of_a_name_that_has_turned_slow_are_stuck_before_it_ends() -> None:
    slots, _ = slots_of(2)
    slots.submit([*jobs("long", 1), *jobs("new", 9)])
    hand_over(slots)
    early = slots.stuck(0.001)
    assert slots.waiting
    late = slots.stuck(0.5)
    assert len(early) + len(late) == 8
    assert slots.held() == 2


def test_all_is_stuck_while_no_child_lives() -> None:
    slots = Slots(NAMES)
    slots.submit(jobs("small", 2))
    assert len(slots.stuck(0.0)) == 2


def test_a_doomed_child_gets_nothing() -> None:
    slots, (slot,) = slots_of(1)
    slot.doomed = True
    slots.submit(jobs("small", 1))
    assert hand_over(slots) == []
    assert slots.room(0.0) == 0


def test_time_limits_count_from_the_beginning_of_the_job_itself() -> None:
    slots, (slot,) = slots_of(1)
    slots.submit(jobs("small", 2, limit=0.5))
    hand_over(slots, 10.0)
    assert slots.expired(10.4) == []
    end_first(slots, slot, 10.4, SMALL)
    assert slots.expired(10.8) == []
    assert slots.expired(10.91) == [slot]


def test_the_next_look_is_due_when_something_can_change() -> None:
    slots, (slot,) = slots_of(1)
    assert slots.seconds_to_check(0.0) == 1.0
    slots.submit(jobs("small", 1, limit=0.3))
    hand_over(slots)
    assert slots.seconds_to_check(0.1) == pytest.approx(0.2)
    slots.submit(jobs("small", 1))
    hand_over(slots)
    assert slots.seconds_to_check(0.0) < OVERRUN_SECONDS + 2 * (SMALL + OVERHEAD_SECONDS)
    slots.submit(jobs("new", 1))
    assert slots.seconds_to_check(0.0) <= OVERRUN_SECONDS
    assert slot.jobs


def test_the_outcome_of_another_job_is_noticed() -> None:
    slots, (slot,) = slots_of(1)
    slots.submit(jobs("small", 2))
    hand_over(slots)
    assert slots.ended(slot, 2, 0.0, SMALL) is None
    assert len(slot.jobs) == 2
