"""The watch over the lag: tasks that wait while workers are idle are told once, and so is their end."""

import io

import pytest

from _yadtq.lag import PATIENCE_SECONDS, LagWatch
from _yadtq.log import Log
from _yadtq.snapshots import Snapshot
from tests.support.snapshot_made import snapshot_with, worker_with

IDLE = (worker_with(busy=1), worker_with("worker2", "offline"))
LATER = PATIENCE_SECONDS + 1


def told(*looks: tuple[float, Snapshot]) -> list[str]:
    """The lines that such looks, at these seconds, lead to."""
    stream = io.StringIO()
    log = Log("INFO", stream)
    watch = LagWatch(log)
    for now, snapshot in looks:
        watch.note(now, snapshot)
    log.flush()
    return stream.getvalue().splitlines()


def test_unread_messages_before_idle_workers_are_told_once() -> None:
    stands = snapshot_with(IDLE, {0: 0, 3: 2})
    (line,) = told((0, stands), (5, stands), (LATER, stands), (2 * LATER, stands))
    assert "WARNING" in line
    assert "action=lag" in line
    assert "2 free slots: 0 are ready, 2 messages are unread (partition 3: 2)" in line


def test_ready_tasks_before_idle_workers_are_told_also_without_kafka() -> None:
    stands = snapshot_with(IDLE, None, ready=4)
    (line,) = told((0, stands), (LATER, stands))
    assert "4 are ready, none is unread" in line


def test_the_end_is_told() -> None:
    stands = snapshot_with(IDLE, {0: 2})
    assert len(told((0, stands), (LATER, stands), (LATER + 1, snapshot_with(IDLE, {0: 0})))) == 2


def test_it_is_told_again_when_it_begins_again() -> None:
    stands, moves = snapshot_with(IDLE, {0: 2}), snapshot_with(IDLE, {0: 0})
    lines = told((0, stands), (LATER, stands), (LATER + 1, moves), (LATER + 2, stands), (3 * LATER, stands))
    assert ["it is over" in line for line in lines] == [False, True, False]


@pytest.mark.parametrize(
    "between",
    [
        snapshot_with(IDLE, {0: 1}),  # progress
        snapshot_with(IDLE, {0: 0}),
        snapshot_with((worker_with(busy=3),), {0: 2}),  # all are busy
        snapshot_with((worker_with(state="draining"),), {0: 2}),
        snapshot_with((), {0: 2}),
        snapshot_with(IDLE, {0: 2}, quarantine=True),
    ],
)
def test_a_queue_that_moves_or_cannot_is_none(between: Snapshot) -> None:
    stands = snapshot_with(IDLE, {0: 2})
    assert told((0, stands), (10, between), (LATER, stands)) == []
