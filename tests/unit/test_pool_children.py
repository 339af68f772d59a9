"""The children of a pool, with nobody behind them: the test plays the guard and the child."""

import os
import socket
from collections.abc import Iterator

import pytest

from _yadtq import packets
from _yadtq.children import Child, Children
from _yadtq.jobs import Crashed, Interrupted, Job
from _yadtq.process import ChildProcess, GuardProcess
from _yadtq.reports import Telling
from _yadtq.starts import Permits

NOW = 1000.0


class PlayedGuard(GuardProcess):
    """Keeps what a child would get. takes: whether it takes requests to kill. asked: such requests."""

    def __init__(self) -> None:
        self.takes = True
        self.asked: list[int] = []
        self.links: list[int] = []

    def spawn(self, child: ChildProcess) -> bool:
        self.links = [os.dup(end) for end in child.far_ends]
        return True

    def kill_child(self, number: int) -> bool:
        self.asked.append(number)
        return self.takes


class Stage:
    """One child that is ready and has three short jobs; no other will be born."""

    def __init__(self) -> None:
        self.guard = PlayedGuard()
        self.born: list[Child] = []
        self.children = Children(["task"], packets.pack_note(packets.SETUP), self.guard, self.born.append)
        self.children.spawn()
        self.child = self.born[0]
        link, starts, reports = self.guard.links[:3]
        self.link = socket.socket(fileno=link)
        self.permits, self.telling = Permits(starts), Telling(reports, self.link)
        self.tell(packets.pack_note(packets.READY))
        self.jobs = [Job(f"claim-{number}", f"task-{number}", "task", "[]", "{}", 1) for number in (1, 2, 3)]
        self.children.slots.estimates.measured("task", 0.00001)
        self.children.slots.submit(self.jobs)
        self.children.balance(NOW)

    def tell(self, packet: bytes) -> None:
        self.telling.tell(packet)
        self.children.hear(self.child, NOW)

    def close(self) -> None:
        for each in self.children.living:
            each.process.close()
        self.link.close()
        for end in self.guard.links[1:]:
            os.close(end)


@pytest.fixture
def stage() -> Iterator[Stage]:
    found = Stage()
    yield found
    found.close()


def test_each_job_that_a_dead_child_had_begun_ends_where_an_outcome_could_not_be_read(stage: Stage) -> None:
    assert stage.permits.next() == 1
    stage.telling.tell(b"Z in the place of an outcome")
    assert stage.permits.next() == 2
    stage.children.bury(stage.child.process.number, "was killed", NOW)
    crashed, interrupted = stage.children.take_messages()
    assert isinstance(crashed, Crashed)
    assert crashed.job is stage.jobs[0]
    assert interrupted == Interrupted(stage.jobs[1], NOW, NOW, begun=True)
    assert stage.children.slots.recall() == [stage.jobs[2]]
    assert stage.children.slots.held() == 0


def test_a_child_that_cannot_be_understood_gets_no_job_any_more_and_gives_back_what_it_has_not_begun(
    stage: Stage,
) -> None:
    assert stage.permits.next() == 1
    stage.tell(b"Z")
    stage.children.balance(NOW)
    assert stage.children.slots.running() == ["claim-1"]
    assert stage.children.slots.recall() == stage.jobs[1:]
    assert stage.children.slots.held() == 1


def test_the_first_fault_of_a_child_is_told(stage: Stage) -> None:
    assert stage.permits.next() == 1
    stage.tell(b"Z")
    stage.tell(packets.pack_outcome(packets.Outcome(7, NOW, NOW, "1")))
    stage.children.bury(stage.child.process.number, "was killed", NOW)
    (crashed,) = stage.children.take_messages()
    assert isinstance(crashed, Crashed)
    assert "of no known kind" in crashed.reason


def test_who_cannot_be_understood_is_to_be_killed_until_the_guard_has_taken_that(stage: Stage) -> None:
    stage.guard.takes = False
    stage.tell(b"Z")
    stage.children.stop_faulty()
    assert len(stage.guard.asked) == 2
    stage.guard.takes = True
    stage.children.stop_faulty()
    stage.children.stop_faulty()
    assert stage.guard.asked == [stage.child.process.number] * 3
