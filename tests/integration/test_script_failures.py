"""The history of lost workers, as the sweep writes it; and bury: nobody waits for a worker that is known to be dead."""

import json
from typing import Any

import pytest

from _yadtq.claims import Claim
from _yadtq.errors import LeaseLapsed
from tests.support.script_queue import LEASE_SECONDS, Hand, ScriptQueue, ids


@pytest.fixture
def hand(queue: ScriptQueue) -> Hand:
    return queue.worker("worker1~a1")


@pytest.fixture
def other(queue: ScriptQueue) -> Hand:
    return queue.worker("worker2~b2")


def claims_of(queue: ScriptQueue, hand: Hand, count: int) -> tuple[Claim, ...]:
    queue.publish(*(queue.task(f"t{n:02}") for n in range(count)))
    return hand.take(count).claims


def failures(queue: ScriptQueue) -> list[dict[str, Any]]:
    return [json.loads(entry) for entry in queue.store.overview(1000, 0, 1000).failures]


def lapses(queue: ScriptQueue) -> list[dict[str, Any]]:
    """What the event log tells of lost workers."""
    return [event["lapsed"] for event in queue.events() if "lapsed" in event]


def buried(queue: ScriptQueue, worker: str, request: str = "r1") -> list[str]:
    """The words of a burial, to its end."""
    words = [queue.store.bury(worker, request, "killed by SIGKILL")]
    while words[-1] == "more":
        words.append(queue.store.bury(worker, request, "killed by SIGKILL"))
    return words


# -- the history


def test_a_lost_worker_is_noted_with_what_it_held(queue: ScriptQueue, other: Hand) -> None:
    queue.store.join("worker1~a1", '{"host":"machine 1","process":7}', 1, "")
    queue.redis.hdel(f"{queue.prefix}worker:worker1~a1", "joining")
    hand = Hand(queue, "worker1~a1")
    first, _ = claims_of(queue, hand, 2)
    hand.take(0, running=[first])
    last_seen = queue.redis.hget(f"{queue.prefix}worker:{hand.name}", "last_seen")
    queue.lapse(hand.name)
    other.beat()
    (failure,) = failures(queue)
    assert failure.pop("tasks") == [["t00", True], ["t01", False]]
    assert failure == lapses(queue)[0]
    assert float(failure.pop("at")) >= float(last_seen)
    assert failure == {
        "worker": "worker1~a1", "host": "machine 1", "last_seen": last_seen, "count": 2,
        "reason": "was not heard of for 5 s",
    }  # fmt: skip
    queue.check()


def test_an_idle_worker_is_noted_too(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    queue.lapse(hand.name)
    other.take(0)
    other.take(0)
    (failure,) = failures(queue)
    assert (failure["worker"], failure["count"], "tasks" in failure) == (hand.name, 0, False)
    assert [lost["worker"] for lost in lapses(queue)] == [hand.name]
    queue.check()


def test_the_first_twenty_tasks_are_named_and_all_are_counted(queue: ScriptQueue, other: Hand) -> None:
    """Over steps of 50 claims, in rounds for another worker too."""
    queue.publish(*(queue.task(f"t{n:03}") for n in range(240)))
    lost, second = queue.worker("worker1~a1", 256), queue.worker("worker3~c3", 256)
    for _ in range(3):
        lost.take(60)
        second.take(20)
    for each in (lost, second):
        queue.lapse(each.name)
    while queue.redis.zcard(f"{queue.prefix}leases") > 1:
        other.beat()
    found = {failure["worker"]: failure for failure in failures(queue)}
    assert {name: failure["count"] for name, failure in found.items()} == {lost.name: 180, second.name: 60}
    assert [len(failure["tasks"]) for failure in found.values()] == [20, 20]
    assert found[lost.name]["tasks"][0][0] == "t000"
    assert queue.redis.exists(f"{queue.prefix}lost") == 0
    queue.check()


def test_who_leaves_in_order_is_no_failure(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    (claim,) = claims_of(queue, hand, 1)
    hand.settle(claim)
    hand.leave()
    with pytest.raises(LeaseLapsed):
        hand.beat()  # held up: it gets a lease in grace
    queue.lapse(hand.name)
    other.beat()
    assert queue.redis.zrange(f"{queue.prefix}leases", 0, -1) == [other.name]
    assert failures(queue) == lapses(queue) == []


def test_who_starts_anew_because_its_lease_lapsed_is_one(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    queue.pass_lease_time(LEASE_SECONDS - 1)
    other.beat()
    queue.pass_lease_time(2)
    with pytest.raises(LeaseLapsed):
        hand.beat()
    hand.leave()  # as it does before its next life
    other.beat()
    assert [failure["worker"] for failure in failures(queue)] == [hand.name]
    assert [event.get("action") for event in queue.events() if event["actor"] == hand.name] == ["join"]
    with pytest.raises(LeaseLapsed):
        hand.beat()  # it has a lease in grace now
    queue.lapse(hand.name)
    other.beat()
    assert len(failures(queue)) == 1  # and is not lost twice
    queue.check()


def test_the_last_thousand_are_kept(queue: ScriptQueue, other: Hand) -> None:
    queue.redis.rpush(f"{queue.prefix}failures", *["{}"] * 1200)
    lost = queue.worker("worker3~c3")
    queue.lapse(lost.name)
    other.beat()
    assert queue.redis.llen(f"{queue.prefix}failures") == 1000
    assert failures(queue)[0]["worker"] == lost.name


def test_what_nobody_can_read_is_in_nobodys_way(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    claims_of(queue, hand, 2)
    queue.redis.hset(f"{queue.prefix}worker:{hand.name}", "about", "[")
    queue.redis.hset(f"{queue.prefix}lost", hand.name, "{")
    queue.lapse(hand.name)
    other.beat()
    (failure,) = failures(queue)
    assert (failure["count"], "host" in failure) == (2, False)


def test_of_a_worker_whose_lease_was_deleted_by_hand_nothing_stays_behind(queue: ScriptQueue, other: Hand) -> None:
    queue.lapse(queue.worker("worker3~c3").name)
    queue.redis.hset(f"{queue.prefix}lost", "worker1~a1", '{"count":3,"tasks":[]}')
    other.beat()
    assert queue.redis.exists(f"{queue.prefix}lost") == 1  # somebody has lapsed: it may be this one
    other.beat()
    assert queue.redis.exists(f"{queue.prefix}lost") == 0


def test_a_restart_of_redis_forgets_only_which_tasks_it_held(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    claims_of(queue, hand, 2)
    queue.relay()
    file = queue.dump()
    queue.lapse(hand.name)
    other.beat()
    (before,) = failures(queue)
    queue.relay()
    queue.restart(back_to=file)
    assert queue.lead() == "quarantine"
    assert failures(queue) == [{name: fact for name, fact in before.items() if name != "tasks"}]
    assert queue.redis.smembers(f"{queue.prefix}unconfirmed") == {other.name}  # nobody waits for the lost one
    other.confirm()
    assert ids(other.take()) == ["t00", "t01"]


# -- bury


def test_the_tasks_of_a_buried_worker_go_back_at_once(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    claims = claims_of(queue, hand, 2)
    assert buried(queue, hand.name) == ["buried"]
    assert ids(other.take()) == ["t00", "t01"]
    assert queue.history("t00")[0]["r"] == "worker worker1 ended: killed by SIGKILL"
    (failure,) = failures(queue)
    assert (failure["reason"], failure["count"]) == ("ended: killed by SIGKILL", 2)
    assert lapses(queue)[0]["reason"] == failure["reason"]
    assert hand.settle(claims[0]) == "refused"  # a call that was held up
    for call in (hand.beat, hand.take):
        with pytest.raises(LeaseLapsed):
            call()
    queue.check()


def test_a_burial_whose_reply_was_lost_is_the_same_one(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    claims_of(queue, hand, 2)
    assert buried(queue, hand.name) == buried(queue, hand.name) == ["buried"]
    assert buried(queue, hand.name, "r2") == ["absent"]
    assert len(failures(queue)) == len(lapses(queue)) == 1
    assert queue.transitions("t00").count("reclaim") == 1
    queue.check()


def test_who_has_no_lease_is_not_buried(queue: ScriptQueue, hand: Hand) -> None:
    hand.leave()
    before = queue.dump()
    assert buried(queue, hand.name) == buried(queue, "nobody~x") == ["absent"]
    assert queue.dump().keys() == before.keys()
    assert failures(queue) == []


def test_a_burial_goes_on_in_bounded_steps_whoever_sweeps(queue: ScriptQueue, other: Hand) -> None:
    queue.publish(*(queue.task(f"t{n:03}") for n in range(400)))
    lost, living, lapsed = (queue.worker(name, 256) for name in ("worker1~a1", "worker3~c3", "worker4~d4"))
    for _ in range(4):
        lost.take(50)
        living.take(40)
        lapsed.take(10)
    queue.lapse(lapsed.name)
    other.beat()  # the first step of a round for the one that has lapsed
    assert queue.store.bury(lost.name, "r1", "killed by SIGKILL") == "more"
    other.beat()
    words = buried(queue, lost.name)
    assert len(words) >= 2
    assert queue.redis.zscore(f"{queue.prefix}leases", lost.name) is None
    found = {failure["worker"]: failure for failure in failures(queue)}
    assert found[lost.name]["count"] == 200
    assert {entry["r"] for n in range(400) for entry in queue.history(f"t{n:03}") if entry["w"] == "worker1"} == {
        "worker worker1 ended: killed by SIGKILL"
    }
    while queue.redis.zcard(f"{queue.prefix}leases") > 2:
        other.beat()
    assert {f["worker"]: f["count"] for f in failures(queue)} == {lost.name: 200, lapsed.name: 40}
    assert queue.counts()["processing"] == 160
    queue.check()


def test_a_task_that_kills_its_workers_ends_also_when_they_are_buried(queue: ScriptQueue) -> None:
    queue.publish(queue.task("a"))
    for life in range(3):
        hand = queue.worker(f"worker1~life{life}")
        hand.beat(running=[hand.take_one()])
        assert buried(queue, hand.name) == ["buried"]
    record = queue.record("a")
    assert (record["status"], record["crashes"]) == ("failed", "3")
    assert "worker worker1 ended: killed by SIGKILL; it crashed 3 times" in record["error"]
    queue.check()


def test_a_buried_relay_gives_way_at_once(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    assert hand.beat(relay="60000")[0]
    buried(queue, hand.name)
    assert other.beat(relay="5000")[0]


def test_a_burial_wakes_somebody(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    claims_of(queue, hand, 1)
    other.take()
    subscription = queue.store.subscription(queue.store.keys.wake(other.name))
    subscription.open()
    buried(queue, hand.name)
    assert subscription.get(5) == "ready"
    subscription.close()


def test_in_quarantine_a_buried_worker_is_not_waited_for(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    claims_of(queue, hand, 1)
    queue.relay()
    queue.restart()
    assert queue.lead() == "quarantine"
    assert buried(queue, hand.name) == ["waits"]
    assert queue.status("t00") == "processing"  # nothing is reclaimed before all have confirmed
    other.confirm()
    assert not queue.redis.hexists(f"{queue.prefix}meta", "mode")
    assert ids(other.take()) == ["t00"]
    assert failures(queue)[0]["reason"] == "ended: killed by SIGKILL"
    queue.check()


def test_the_last_one_that_was_waited_for_is_buried(queue: ScriptQueue, hand: Hand) -> None:
    claims_of(queue, hand, 1)
    queue.relay()
    queue.restart()
    queue.lead()
    assert buried(queue, hand.name) == ["more", "buried"]
    assert queue.status("t00") == "queued"
    queue.check()
