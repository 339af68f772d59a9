"""coordinate and resign: one server leads, and the next one follows."""

import json

import pytest

from tests.support.script_queue import Hand, ScriptQueue

LEAD_SECONDS = 6
ABOUT = '{"host":"machine 1","process":7}'


class Seat:
    """A server, driven by hand."""

    def __init__(self, queue: ScriptQueue, name: str) -> None:
        self.queue, self.name = queue, name

    def call(self, relay: str = "5000") -> tuple[bool, bool]:
        return self.queue.store.coordinate(self.name, LEAD_SECONDS * 1000, ABOUT, relay)


@pytest.fixture
def seats(queue: ScriptQueue) -> tuple[Seat, Seat]:
    return Seat(queue, "server1"), Seat(queue, "server2")


@pytest.fixture
def hand(queue: ScriptQueue) -> Hand:
    return queue.worker("worker1~a1")


def test_one_server_leads(queue: ScriptQueue, seats: tuple[Seat, Seat]) -> None:
    first, second = seats
    for _ in range(2):
        assert first.call() == (True, True)
        assert second.call() == (False, False)
    assert queue.store.overview(1000, 0, 0).leader == "server1"


def test_the_next_one_leads_when_the_lease_is_over_and_the_first_is_told(
    queue: ScriptQueue, seats: tuple[Seat, Seat]
) -> None:
    first, second = seats
    first.call()
    queue.pass_lease_time(LEAD_SECONDS - 2)
    assert second.call() == (False, False)
    queue.pass_lease_time(2)
    assert queue.store.overview(1000, 0, 0).leader == ""
    assert second.call() == (True, True)
    assert first.call() == (False, False)
    assert queue.store.overview(1000, 0, 0).relay == "server2"


def test_who_comes_back_first_leads_on(queue: ScriptQueue, seats: tuple[Seat, Seat]) -> None:
    first, second = seats
    first.call()
    queue.pass_lease_time(LEAD_SECONDS + 1)
    assert first.call() == (True, True)
    assert second.call() == (False, False)


def test_the_leader_takes_the_relay_from_a_worker_and_keeps_it(
    queue: ScriptQueue, seats: tuple[Seat, Seat], hand: Hand
) -> None:
    leader, _ = seats
    assert hand.beat(relay="5000")[0]
    assert leader.call() == (True, True)
    assert queue.store.overview(1000, 0, 0).relay == "server1"
    for _ in range(3):
        queue.pass_lease_time(3)
        leader.call()
        assert not hand.beat(relay="5000")[0]
    queue.pass_lease_time(3)
    hand.beat(relay="5000")
    queue.pass_lease_time(3)
    assert hand.beat(relay="5000")[0]  # nobody has heard of the server
    assert leader.call() == (True, True)


def test_a_leader_that_cannot_send_gives_the_relay_up(seats: tuple[Seat, Seat], hand: Hand) -> None:
    first, _ = seats
    first.call()
    assert first.call(relay="") == (True, False)
    assert hand.beat(relay="5000")[0]
    assert first.call(relay="") == (True, False)
    assert hand.beat(relay="5000")[0]  # what a worker holds is left to it


def test_who_resigns_gives_up_everything_at_once(queue: ScriptQueue, seats: tuple[Seat, Seat], hand: Hand) -> None:
    first, second = seats
    first.call()
    for _ in range(2):
        queue.store.resign("server1")
        queue.store.resign("nobody")
    assert hand.beat(relay="5000")[0]
    assert second.call() == (True, True)
    queue.store.resign("server1")  # a late call takes nothing from the next one
    overview = queue.store.overview(1000, 0, 0)
    assert (overview.leader, overview.relay) == ("server2", "server2")
    assert {name: json.loads(text)["state"] for name, text in overview.servers.items()} == {
        "server1": "offline", "server2": "leading",
    }  # fmt: skip


def test_servers_are_noted(queue: ScriptQueue, seats: tuple[Seat, Seat]) -> None:
    for seat in seats:
        seat.call()
    before = {name: json.loads(text) for name, text in queue.store.overview(1000, 0, 0).servers.items()}
    assert [(name, fact["state"], fact["lease"], fact["about"]) for name, fact in sorted(before.items())] == [
        ("server1", "leading", 6000, ABOUT), ("server2", "standby", 6000, ABOUT),
    ]  # fmt: skip
    seats[0].call()
    after = json.loads(queue.store.overview(1000, 0, 0).servers["server1"])
    assert after["started_at"] == before["server1"]["started_at"]
    assert float(after["last_seen"]) >= float(before["server1"]["last_seen"])


def test_old_servers_are_forgotten(queue: ScriptQueue, seats: tuple[Seat, Seat]) -> None:
    key, now = f"{queue.prefix}servers", queue.redis.time()[0]
    queue.redis.hset(key, mapping={f"s{n:03}": json.dumps({"last_seen": f"{now - n}.000"}) for n in range(150)})
    queue.redis.hset(key, mapping={"old": json.dumps({"last_seen": f"{now - 90_000}.000"}), "unreadable": "["})
    seats[0].call()
    assert set(queue.redis.hkeys(key)) == {"server1", *(f"s{n:03}" for n in range(99))}


def test_only_the_leader_looks_for_lost_workers(queue: ScriptQueue, seats: tuple[Seat, Seat], hand: Hand) -> None:
    first, second = seats
    first.call()
    queue.publish(queue.task("a"))
    hand.take()
    queue.lapse(hand.name)
    second.call()
    assert queue.status("a") == "processing"
    first.call()
    assert queue.status("a") == "queued"
    event = queue.events()[-1]
    assert (event["script"], event["actor"], event["lapsed"]["worker"]) == ("coordinate", "server1", hand.name)
    queue.check()


def test_the_leader_ends_the_quarantine(queue: ScriptQueue, seats: tuple[Seat, Seat], hand: Hand) -> None:
    first, second = seats
    first.call()
    queue.publish(queue.task("a"))
    hand.take()
    queue.relay()
    queue.restart()
    assert queue.lead() == "quarantine"
    first.call()
    assert queue.redis.hget(f"{queue.prefix}meta", "mode") == "quarantine"
    queue.lapse(hand.name)
    assert second.call() == (False, False)
    assert queue.redis.hget(f"{queue.prefix}meta", "mode") == "quarantine"
    assert first.call() == (True, True)
    assert queue.store.overview(1000, 0, 0).quarantine is False
    assert queue.status("a") == "processing"
    first.call()
    assert queue.status("a") == "queued"
