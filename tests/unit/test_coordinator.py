"""The loop of a server, turn by turn, before servers that say what the test wants."""

import io
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from _yadtq.coordinator import LEASE_MS, LIVE_SECONDS, PICTURE_SECONDS, READY_SECONDS, Coordinator
from _yadtq.errors import ProtocolTooNew, QueueMissing, RedisRestarted, ServerUnreachable
from _yadtq.log import Log
from _yadtq.picture import Picture
from _yadtq.settings import Settings
from tests.support.snapshot_made import snapshot_with

Answer = tuple[bool, bool] | Exception
AWAY = ServerUnreachable("redis", "Redis does not answer at localhost:6379")
LEADS, STANDS_BY = (True, True), (False, False)


class FakeRelay:
    """What was asked of it. founded: calls that may found the queue. led: requests to lead Redis back."""

    def __init__(self) -> None:
        self.fit = True
        self.founded = self.led = 0
        self.held: list[bool] = []

    def opened(self, call: Callable[[], Any]) -> Any:
        self.founded += 1
        return call()

    def lead(self) -> None:
        self.led += 1

    def hold(self, held: bool) -> None:
        self.held.append(held)

    def is_fit(self) -> bool:
        return self.fit

    def is_alive(self) -> bool:
        return True


class Loop:
    """A coordinator, its relay and its clock. asked: the leases of the relay that it wanted."""

    def __init__(self) -> None:
        self.printed, self.relay, self.now = io.StringIO(), FakeRelay(), 100.0
        self.asked: list[str] = []
        self._answer: Answer = LEADS
        self.coordinator = Coordinator(Settings.load({}), Log("INFO", self.printed))
        self.parts = cast(Any, self.coordinator)  # to take their place
        self.parts._clock, self.parts._relay = self, self.relay
        self.parts._store.coordinate = self.coordinate
        self.parts._turned_at = self.parts._reached_at = self.now

    def monotonic(self) -> float:
        return self.now

    def coordinate(self, _: str, lease_ms: int, about: str, relay: str) -> tuple[bool, bool]:
        assert lease_ms == LEASE_MS
        assert '"host"' in about
        self.asked.append(relay)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def turn(self, answer: Answer, seconds: float = 1.0) -> None:
        """The next turn, so much later."""
        self._answer, self.now = answer, self.now + seconds
        self.parts._turn()

    def sees(self, **fields: Any) -> None:
        """What the observer has."""
        shown: dict[str, Any] = {"snapshot": snapshot_with(), "taken_at": self.now, "kafka": "", "redis": ""}
        self.parts._observer.picture = Picture(**(shown | fields))

    @property
    def lines(self) -> list[str]:
        return [line.split("action=")[1] for line in self.printed.getvalue().splitlines()]


@pytest.fixture
def loop() -> Iterator[Loop]:
    """It has not turned yet."""
    made = Loop()
    yield made
    made.parts._operator.close()


def test_it_leads_as_long_as_redis_says_so(loop: Loop) -> None:
    for answer, leads in ((STANDS_BY, False), (LEADS, True), (LEADS, True), (STANDS_BY, False)):
        loop.turn(answer)
        assert loop.coordinator.leads is leads
    assert [line.split()[0] for line in loop.lines] == ["redis", "lead", "standby"]
    assert loop.relay.held == [False, True, True, False]


def test_it_does_not_lead_longer_than_its_lease(loop: Loop) -> None:
    loop.turn(LEADS)
    loop.turn(AWAY, LEASE_MS / 1000 - 0.1)
    seen = [loop.coordinator.leads]
    loop.now += 0.1
    assert [*seen, loop.coordinator.leads] == [True, False]
    loop.turn(AWAY, 0.0)
    assert [line.split()[0] for line in loop.lines] == ["redis", "lead", "redis", "standby"]


def test_one_that_does_not_reach_kafka_leaves_the_events_to_a_worker(loop: Loop) -> None:
    loop.turn((True, False))  # it has not looked yet
    loop.sees(kafka="Kafka does not answer")
    loop.turn((True, False))
    loop.sees()
    loop.turn(LEADS)
    assert loop.asked == ["", "", "5000"]
    assert loop.relay.held == [False, False, True]


def test_one_that_is_not_fit_leaves_the_events_to_a_worker(loop: Loop) -> None:
    loop.sees()
    loop.turn(LEADS)
    loop.relay.fit = False
    loop.turn((True, False))
    assert loop.asked == ["5000", ""]
    assert loop.relay.held == [True, False]


def test_only_a_queue_that_is_not_known_is_founded(loop: Loop) -> None:
    loop.turn(AWAY)
    loop.turn(LEADS)
    loop.turn(LEADS)
    assert loop.relay.founded == 2
    loop.turn(QueueMissing("Redis has lost this queue"))
    loop.turn(LEADS)
    assert loop.relay.founded == 3


def test_a_redis_that_was_restarted_is_led_back(loop: Loop) -> None:
    loop.turn(LEADS)
    loop.turn(RedisRestarted("Redis was restarted"))
    assert loop.relay.led == 1
    assert "coordinate Redis was restarted (trying again)" in loop.lines


@pytest.mark.parametrize("error", [ProtocolTooNew("update this one"), QueueMissing("gone"), ValueError("broken")])
def test_whatever_fails_is_said_once_and_tried_again(loop: Loop, error: Exception) -> None:
    loop.turn(LEADS)
    for _ in range(3):
        loop.turn(error)
    assert str(error) in loop.coordinator.problem
    loop.turn(LEADS)
    words = [line.split()[0] for line in loop.lines]
    assert words == ["redis", "lead", "coordinate", "coordinate"]
    assert loop.lines[-1] == "coordinate it works again"


def test_whether_it_is_ready(loop: Loop) -> None:
    assert loop.coordinator.problem == "it has not reached Redis yet"
    loop.turn(LEADS)
    assert loop.coordinator.problem == "Redis was not asked yet"
    loop.sees()
    assert loop.coordinator.problem == ""
    loop.sees(kafka="Kafka does not answer")
    assert loop.coordinator.problem == "Kafka does not answer"
    loop.sees(redis="Redis is loading")
    assert loop.coordinator.problem == "Redis is loading"
    loop.sees(taken_at=loop.now - PICTURE_SECONDS - 1)
    assert loop.coordinator.problem == f"the queue was last looked at {PICTURE_SECONDS + 1:.0f} s ago"
    loop.sees()
    loop.turn(AWAY)
    assert loop.coordinator.problem == str(AWAY)


def test_a_loop_that_hangs_is_noticed(loop: Loop) -> None:
    loop.turn(LEADS)
    loop.sees()
    loop.now += READY_SECONDS + 1
    loop.sees()
    assert loop.coordinator.problem == f"the loop has not turned for {READY_SECONDS + 1:.0f} s"
    assert loop.coordinator.alive
    loop.now += LIVE_SECONDS
    assert not loop.coordinator.alive
