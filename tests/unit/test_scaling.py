"""How many workers there should be: up at once when tasks wait, down slowly, and never to and fro."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _yadtq.records import Stats, Worker
from _yadtq.snapshots import Snapshot
from local.scaling import Picture, Rules, Scale, decide, picture_of
from tests.support.servers import ROOT

RULES = Rules(minimum=1, maximum=8, slots_each=3)
IDLE = Picture(waiting=0, waiting_seconds=0.0, slots=12, busy=0)


def after(seconds: float, picture: Picture | None, scale: Scale, rules: Rules = RULES) -> Scale:
    """The scale after so many seconds of the same picture, one decision a second."""
    for now in range(int(seconds) + 1):
        scale = decide(scale, picture, float(now), rules)
    return scale


def test_a_calm_queue_changes_nothing() -> None:
    busy = Picture(waiting=0, waiting_seconds=0.0, slots=6, busy=5)
    assert after(1000, busy, Scale(2)).target == 2


def test_a_burst_asks_for_workers_at_once() -> None:
    burst = Picture(waiting=31, waiting_seconds=0.1, slots=3, busy=3)
    assert decide(Scale(1), burst, 0.0, RULES).target == 2
    assert decide(Scale(1), replace(burst, waiting=30), 0.0, RULES).target == 1


def test_a_task_that_waits_too_long_asks_for_a_worker() -> None:
    one = Picture(waiting=1, waiting_seconds=2.0, slots=3, busy=3)
    assert decide(Scale(1), one, 0.0, RULES).target == 2
    assert decide(Scale(1), replace(one, waiting_seconds=1.9), 0.0, RULES).target == 1


def test_an_old_task_that_nobody_could_begin_asks_for_nobody() -> None:
    stuck = Picture(waiting=0, waiting_seconds=500.0, slots=3, busy=3)
    assert after(100, stuck, Scale(1)).target == 1


def test_without_any_worker_one_task_is_enough() -> None:
    none = Picture(waiting=1, waiting_seconds=0.0, slots=0, busy=0)
    assert decide(Scale(0), none, 0.0, replace(RULES, minimum=0)).target == 1


def test_a_long_backlog_doubles_step_by_step_up_to_the_maximum() -> None:
    long = Picture(waiting=1000, waiting_seconds=5.0, slots=3, busy=3)
    targets, scale = [], Scale(1)
    for now in range(20):
        scale = decide(scale, long, float(now), RULES)
        targets.append(scale.target)
    assert targets == [2] * 5 + [4] * 5 + [8] * 10
    assert "all that may be" in scale.why


def test_it_takes_no_more_workers_than_the_tasks_could_use() -> None:
    few = Picture(waiting=4, waiting_seconds=3.0, slots=12, busy=12)
    assert decide(Scale(4), few, 0.0, RULES).target == 6


def test_an_idle_crew_shrinks_slowly_to_the_minimum() -> None:
    assert after(29, IDLE, Scale(4)).target == 4
    assert after(30, IDLE, Scale(4)).target == 3
    assert after(34, IDLE, Scale(4)).target == 3
    assert after(35, IDLE, Scale(4)).target == 2
    assert after(1000, IDLE, Scale(4)).target == 1


@pytest.mark.parametrize("pause", [replace(IDLE, waiting=1), replace(IDLE, busy=5), None])
def test_a_moment_of_work_begins_the_wait_anew(pause: Picture | None) -> None:
    scale = decide(after(29, IDLE, Scale(4)), pause, 29.5, RULES)
    assert decide(scale, IDLE, 30.0, RULES).target == 4
    assert decide(decide(scale, IDLE, 30.0, RULES), IDLE, 60.0, RULES).target == 3


def test_nobody_leaves_when_the_others_would_have_too_much_to_do() -> None:
    assert after(1000, replace(IDLE, busy=4), Scale(4)).target == 3  # 4 of 6 slots would be busy, were there two
    assert after(1000, replace(IDLE, busy=5), Scale(4)).target == 4  # 5 of 9, more than half


def test_what_cannot_be_seen_changes_nothing() -> None:
    assert after(1000, None, Scale(4)).target == 4


@pytest.mark.parametrize(("target", "expected"), [(0, 1), (9, 8)])
def test_the_bounds_hold_also_when_nothing_is_seen(target: int, expected: int) -> None:
    assert decide(Scale(target), None, 0.0, RULES).target == expected


@given(
    st.lists(
        st.none()
        | st.builds(
            Picture,
            waiting=st.integers(0, 10_000),
            waiting_seconds=st.floats(0, 1e6),
            slots=st.integers(0, 100),
            busy=st.integers(0, 100),
        )
    ),
    st.integers(0, 5),
    st.integers(0, 20),
)
def test_no_sequence_of_pictures_breaks_the_rules(pictures: list[Picture | None], low: int, more: int) -> None:
    rules = Rules(minimum=low, maximum=max(1, low + more))
    scale = Scale(low)
    for now, picture in enumerate(pictures):
        new = decide(scale, picture, float(now), rules)
        assert rules.minimum <= new.target <= rules.maximum
        assert new.target >= scale.target - 1
        assert new.target <= max(scale.target * rules.growth, scale.target + 1)
        if new.target != scale.target:
            assert picture is not None
            assert (new.target > scale.target) == bool(picture.waiting)
            assert new.changed_at == now
        scale = new


def snapshot(*workers: Worker, quarantine: bool = False) -> Snapshot:
    stats = Stats({}, len(workers), 0, 0, 7, 1, 5, 0, 0, 1)
    return Snapshot(0.0, stats, workers, (), (), (), 4.0, quarantine, "", {})


def worker(birth: str, state: str = "online") -> Worker:
    return Worker("w~1", "w", state, 0.0, 0.0, "h", 1, 3, 2, 0, birth=birth)


def test_the_picture_is_of_this_machines_workers_and_of_all_tasks() -> None:
    seen = snapshot(worker("a"), worker("b"), worker("c"), worker("a", "offline"), worker("b", "draining"))
    assert picture_of(seen, {"a", "b"}) == Picture(waiting=12, waiting_seconds=4.0, slots=6, busy=4)
    assert picture_of(snapshot(quarantine=True), {"a"}) is None


def test_the_thresholds_of_the_documentation_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "manager.md").read_text(encoding="utf-8")
    told = {name: float(value) for name, value in re.findall(r"^\| `(\w+)` +\| ([\d.]+)[ |]", page, re.MULTILINE)}
    given_by_flags = {"minimum", "maximum", "slots_each"}
    assert told == {name: getattr(Rules(), name) for name in Rules.__dataclass_fields__.keys() - given_by_flags}
