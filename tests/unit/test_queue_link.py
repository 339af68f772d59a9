"""The manager's connection to the queue: who is buried, when Redis is away, and what is known of the workers."""

import io
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest

import yadtq
from _yadtq.records import Stats, Worker
from local.crew import Dead
from local.queue_link import MOST_WAITING, STALE_SECONDS, QueueLink
from tests.support.waiting import eventually

DEAD = Dead("w1", "boot ns 7 100", "it was ended by SIGKILL")
OURS = Worker("w1~aaaa", "w1", "online", 9.0, 1.0, "h", 7, 3, 2, 0, birth=DEAD.birth)
ELSEWHERE = replace(OURS, id="w1~bbbb", birth="boot other 7 100")  # another container: same host, name and number


class FakeOperator:
    """Stands for yadtq.Operator. away: what Redis' absence says; '' it is there."""

    def __init__(self) -> None:
        self.known: list[Worker] = []
        self.buried: list[tuple[str, str]] = []
        self.away = ""
        self.client = self

    def workers(self) -> list[Worker]:
        self._answer()
        return self.known

    def bury(self, worker: str, reason: str) -> bool:
        self._answer()
        self.buried.append((worker, reason))
        return True

    def snapshot(self) -> yadtq.Snapshot:
        self._answer()
        stats = Stats({}, 0, 0, 0, 0, 0, 0, 0, 0, 1)
        return yadtq.Snapshot(0.0, stats, tuple(self.known), (), (), (), 0.0, False, "", {})

    def _answer(self) -> None:
        if self.away:
            raise yadtq.ServerUnreachable("redis", self.away)


class Linked:
    """A link that runs, with its operator and what it logs."""

    def __init__(self) -> None:
        self.operator, self.stream = FakeOperator(), io.StringIO()
        self.log = yadtq.Log(stream=self.stream)
        self.link = QueueLink(cast("yadtq.Operator", self.operator), self.log)


@pytest.fixture
def linked() -> Iterator[Linked]:
    made = Linked()
    yield made
    made.operator.away = ""
    if made.link.is_alive():
        made.link.stop(10)
    assert not made.link.is_alive()


def test_only_the_very_process_that_died_is_buried(linked: Linked) -> None:
    earlier, offline = replace(OURS, id="w1~cccc"), replace(OURS, id="w1~dddd", state="offline")
    linked.operator.known = [ELSEWHERE, OURS, replace(OURS, id="w2~eeee", worker_id="w2"), earlier, offline]
    linked.link.bury(DEAD)
    linked.link.start()
    eventually(lambda: not linked.link.waiting)
    assert linked.operator.buried == [("w1~aaaa", DEAD.reason), ("w1~cccc", DEAD.reason)]


def test_who_has_no_birth_is_left_to_the_lease(linked: Linked) -> None:
    linked.operator.known = [replace(OURS, birth="")]
    linked.link.bury(replace(DEAD, birth=""))
    linked.link.start()
    eventually(lambda: not linked.link.waiting)
    assert linked.operator.buried == []


def test_the_dead_wait_for_redis_and_that_is_said_once(linked: Linked) -> None:
    linked.operator.known, linked.operator.away = [OURS], "Redis does not answer"
    linked.link.start()
    eventually(lambda: linked.link.problem)
    for _ in range(3):
        linked.link.bury(DEAD)
    assert linked.link.waiting == 3
    linked.operator.away = ""
    eventually(lambda: not linked.link.waiting)
    assert len(linked.operator.buried) == 3
    eventually(lambda: not linked.link.problem)
    assert linked.stream.getvalue().count("Redis does not answer (trying again)") == 1
    linked.log.flush()
    assert "the queue can be seen again" in linked.stream.getvalue()


def test_who_waits_for_redis_is_bounded(linked: Linked) -> None:
    for _ in range(MOST_WAITING + 5):
        linked.link.bury(DEAD)
    assert linked.link.waiting == MOST_WAITING


def test_an_old_picture_is_none(linked: Linked) -> None:
    assert linked.link.snapshot(0.0) is None
    assert linked.link.workers(0.0) == {}
    latest = replace(OURS, id="w1~ffff", started_at=2.0)
    linked.operator.known = [latest, OURS, replace(OURS, birth="")]
    linked.link.start()
    eventually(lambda: linked.link.snapshot(time.monotonic()))
    assert linked.link.workers(time.monotonic()) == {DEAD.birth: latest}
    assert linked.link.snapshot(time.monotonic() + STALE_SECONDS + 5) is None


def test_the_dead_are_told_of_before_it_ends(linked: Linked) -> None:
    linked.operator.known = [OURS]
    linked.link.start()
    eventually(lambda: linked.link.snapshot(0.0))
    linked.link.bury(DEAD)
    linked.link.stop(10)
    assert linked.operator.buried == [("w1~aaaa", DEAD.reason)]
