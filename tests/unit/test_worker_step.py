"""What a worker says to Redis in one round, and what it says that it runs."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from _yadtq.claims import Claim, Outcome
from _yadtq.clock import SystemClock
from _yadtq.errors import OutboxFull
from _yadtq.incarnation import Incarnation
from _yadtq.log import Log
from yadtq import Settings, TaskWorker

SETTINGS = Settings.load({})


class FakeLife:
    """A life in which nothing is due but outcomes."""

    pool = SimpleNamespace(stuck=list)
    lost = ""

    def __init__(self) -> None:
        self.settled = 0

    def give_back(self, jobs: list[Any], reason: str) -> None: ...

    def beat_due_in(self) -> float:
        return 1.0

    def settle(self) -> float:
        self.settled += 1
        return 1.0


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> TaskWorker:
    """Its takes are refused, as by a full outbox."""
    made = TaskWorker(SETTINGS, {})

    def refuse(_: object) -> None:
        made._appetite.in_doubt = True
        raise OutboxFull("too many events wait")

    monkeypatch.setattr(made, "_take", refuse)
    return made


def test_a_take_that_fails_again_and_again_keeps_no_outcome_from_being_settled(worker: TaskWorker) -> None:
    life = FakeLife()
    for _ in range(3):
        worker._rest_until = 0.0
        worker._step(cast(Incarnation, life))
    assert life.settled == 2  # at the head of each round but the first


def test_what_has_ended_and_is_not_settled_still_runs_for_whoever_takes_over() -> None:
    pool: Any = SimpleNamespace(running=lambda: ["a@1-1"])
    store: Any = None
    life = Incarnation(SETTINGS, store, pool, Log(), SystemClock())
    claims = [Claim(name, "add", "[]", "{}", 1, 0, 0, None, None, "0", "1-1") for name in "bc"]
    life.outcomes = [Outcome(claims[0], "success", 2.0, 1.0, "1"), Outcome(claims[1], "release", 2.0)]
    assert life.running() == "a@1-1\nb@1-1"  # c was given back unbegun
