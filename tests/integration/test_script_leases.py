"""beat, leave and the sweep: one lease is the ownership of all that a worker has claimed."""

import json

import pytest

from _yadtq.claims import Claim
from _yadtq.errors import LeaseLapsed
from _yadtq.records import task_of
from tests.support.script_queue import LEASE_SECONDS, Hand, ScriptQueue, ids


@pytest.fixture
def hand(queue: ScriptQueue) -> Hand:
    return queue.worker("worker1~a1")


@pytest.fixture
def other(queue: ScriptQueue) -> Hand:
    return queue.worker("worker2~b2")


def claims_of(queue: ScriptQueue, hand: Hand, count: int) -> tuple[Claim, ...]:
    queue.publish(*(queue.task(f"t{n}") for n in range(count)))
    return hand.take(count).claims


def lease_left(queue: ScriptQueue, name: str) -> float:
    """Seconds on the clock of all leases."""
    clock = float(queue.redis.hget(f"{queue.prefix}meta", "clock") or 0)
    score = queue.redis.zscore(f"{queue.prefix}leases", name)
    assert score is not None, f"{name} has no lease"
    return (float(score) - clock) / 1000


def live_on(queue: ScriptQueue, hand: Hand) -> None:
    """A lease's length passes, and this worker has always renewed its own."""
    for _ in range(3):
        queue.pass_lease_time(LEASE_SECONDS / 2)
        hand.beat()


# -- the clock


def test_the_clock_gains_at_most_a_second_a_call(queue: ScriptQueue, hand: Hand) -> None:
    meta = f"{queue.prefix}meta"
    for step, least, most in ((-3600_000, 1000, 1000), (3600_000, 0, 0), (-400, 400, 900)):
        before = int(queue.redis.hget(meta, "clock") or 0)
        now = int(queue.redis.hget(meta, "clock_at") or 0)
        queue.redis.hset(meta, "clock_at", now + step)  # that long ago, or after a step of the machine's clock
        hand.beat()
        gained = int(queue.redis.hget(meta, "clock") or 0) - before
        assert least <= gained <= most, step
    assert queue.store.workers()[0][1]


def test_an_outage_lapses_nobody_at_once(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    queue.redis.hset(f"{queue.prefix}meta", "clock_at", 1)  # nobody has called for ages
    other.beat()
    hand.beat()
    assert {name for name, live, _ in queue.store.workers() if live} == {hand.name, other.name}


# -- renewing


def test_a_heartbeat_renews_the_lease(queue: ScriptQueue, hand: Hand) -> None:
    queue.pass_lease_time(LEASE_SECONDS - 1)
    assert lease_left(queue, hand.name) <= 1
    hand.beat()
    assert lease_left(queue, hand.name) == LEASE_SECONDS


def test_a_lapsed_lease_cannot_be_renewed(queue: ScriptQueue, hand: Hand) -> None:
    queue.publish(queue.task("a"))
    queue.pass_lease_time(LEASE_SECONDS)
    for _ in range(2):
        with pytest.raises(LeaseLapsed):
            hand.beat()
    with pytest.raises(LeaseLapsed):
        hand.take()
    assert queue.status("a") == "queued"


def test_a_missing_lease_gets_a_full_length_and_cannot_be_renewed(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    (claim,) = claims_of(queue, hand, 1)
    queue.redis.zrem(f"{queue.prefix}leases", hand.name)
    for _ in range(2):  # a repeated heartbeat too
        with pytest.raises(LeaseLapsed):
            hand.beat()
    with pytest.raises(LeaseLapsed):
        hand.take()
    assert lease_left(queue, hand.name) == pytest.approx(LEASE_SECONDS, abs=0.5)
    other.beat()
    assert queue.status("t0") == "processing"  # its children may still run
    live_on(queue, other)
    assert queue.status("t0") == "queued"
    assert hand.settle(claim) == "refused"
    queue.check()


def test_who_sweeps_finds_a_missing_lease_too(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    """States are swept, not only leases: also when every lease was deleted by hand."""
    (claim,) = claims_of(queue, hand, 1)
    queue.redis.delete(f"{queue.prefix}leases")
    newcomer = queue.worker("worker3~c3")
    newcomer.beat()
    assert lease_left(queue, hand.name) == pytest.approx(LEASE_SECONDS, abs=0.5)
    with pytest.raises(LeaseLapsed):
        hand.beat()
    assert hand.settle(claim) == "settled"  # nobody has taken it away
    queue.check()


def test_joining_twice_is_joining_once(queue: ScriptQueue) -> None:
    for _ in range(2):
        queue.store.join("worker1~a1", '{"host":"h"}', 3, "")
    assert [(e["action"], e["actor"]) for e in queue.events()] == [("join", "worker1~a1")]
    ((name, live, fields),) = queue.store.workers()
    assert (name, live, fields["about"], fields["slots"], fields["state"]) == (
        "worker1~a1", True, '{"host":"h"}', "3", "online",
    )  # fmt: skip


def test_a_heartbeat_says_how_the_worker_is(queue: ScriptQueue, hand: Hand) -> None:
    claims = claims_of(queue, hand, 2)
    assert queue.store.beat(hand.name, "draining", 7, claims[1].name, "", "") == (False, False, False)
    ((_, _, fields),) = queue.store.workers()
    assert (fields["state"], fields["executed"], fields["running"]) == ("draining", "7", claims[1].name)
    assert float(fields["last_seen"]) >= float(fields["started_at"])
    queue.redis.delete(f"{queue.prefix}worker:{hand.name}")
    assert hand.beat() == (False, True, False)  # say again what you are
    assert queue.store.beat(hand.name, "online", 0, "", "{}", "") == (False, False, False)
    assert queue.redis.ttl(f"{queue.prefix}worker:{hand.name}") > 80_000


# -- the relay


def test_one_worker_is_the_relay(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    assert hand.beat(relay="5000")[0]
    assert not other.beat(relay="5000")[0]
    assert hand.beat(relay="5000")[0]
    assert not other.beat(relay="")[0]
    queue.pass_lease_time(4.9)
    hand.beat()  # no longer wanted, and not given up
    assert not other.beat(relay="5000")[0]
    queue.pass_lease_time(0.2)
    assert other.beat(relay="5000")[0]
    assert not hand.beat(relay="5000")[0]
    other.leave()
    assert hand.beat(relay="5000")[0]


# -- what a lapsed worker leaves


def test_another_worker_takes_over(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    claims = claims_of(queue, hand, 3)
    hand.beat(running=claims[:1])
    hand.settle(claims[2])
    queue.lapse(hand.name)
    taken = other.take()
    assert ids(taken) == ["t0", "t1"]
    assert {c.id: c.crashes for c in taken.claims} == {"t0": 1, "t1": 1}  # one of three slots: either may have begun
    (attempt,) = task_of("t0", queue.record("t0")).history
    assert (attempt.number, attempt.worker_id, attempt.outcome) == (1, "worker1", "reclaim")
    assert attempt.reason == "worker worker1 was not heard of for 5 s"
    assert hand.settle(claims[0]) == "refused"
    queue.check()


def test_only_what_had_begun_counts_as_a_crash(queue: ScriptQueue, other: Hand) -> None:
    hand = queue.worker("worker1~a1", slots=1)
    claims = claims_of(queue, hand, 4)
    hand.take(0, running=[claims[2]])  # what the newest take gave is empty now
    queue.lapse(hand.name)
    taken = other.take(4)
    assert ids(taken) == ["t0", "t1", "t2", "t3"]
    assert {c.id: (c.crashes, c.attempt) for c in taken.claims} == {
        "t0": (0, 2), "t1": (0, 2), "t2": (1, 2), "t3": (0, 2),  # each may have begun: no attempt has a number twice
    }  # fmt: skip
    queue.check()


def test_before_any_report_the_first_of_the_newest_claims_count(queue: ScriptQueue, other: Hand) -> None:
    """A task that kills its worker at once would go round for ever otherwise."""
    hand = queue.worker("worker1~a1", slots=2)
    claims_of(queue, hand, 4)
    queue.lapse(hand.name)
    assert {c.id: c.crashes for c in other.take(4).claims} == {"t0": 1, "t1": 1, "t2": 0, "t3": 0}


def test_a_task_that_kills_its_workers_ends_failed(queue: ScriptQueue, other: Hand) -> None:
    queue.publish(queue.task("a"))
    for life in range(3):
        hand = queue.worker(f"worker1~life{life}")
        claim = hand.take_one()
        hand.beat(running=[claim])
        queue.lapse(hand.name)
        other.beat()
    task = task_of("a", queue.record("a"))
    assert (task.status, task.crashes, task.failures) == ("failed", 3, 0)
    assert str(task.error).startswith("TooManyCrashes: worker worker1 was not heard of for 5 s")
    assert hand.settle(claim) == "refused"  # final states are final
    assert queue.status("a") == "failed"
    queue.check()


def test_a_settle_after_the_lapse_and_before_the_reclaim_is_accepted(
    queue: ScriptQueue, hand: Hand, other: Hand
) -> None:
    (claim,) = claims_of(queue, hand, 1)
    queue.lapse(hand.name)
    assert hand.settle(claim) == "settled"
    assert ids(other.take()) == []
    assert queue.status("t0") == "success"
    queue.check()


def test_the_sweep_goes_on_in_bounded_steps(queue: ScriptQueue, other: Hand) -> None:
    lost, living = queue.worker("worker1~a1", 256), queue.worker("worker3~c3", 256)
    queue.publish(*(queue.task(f"t{n:03}") for n in range(240)))
    for _ in range(3):
        lost.take(40)
        living.take(40)
    queue.lapse(lost.name)
    left = []
    while queue.redis.zscore(f"{queue.prefix}leases", lost.name) is not None:
        other.beat()
        left.append(queue.counts()["processing"])
    assert left[-1] == 120
    assert len(left) >= 4  # 240 claims, 50 a step
    assert set(queue.members("processing")) == {f"t{n:03}" for n in range(240) if n // 40 % 2}
    assert queue.redis.hget(f"{queue.prefix}worker:{lost.name}", "state") == "offline"
    queue.check()


def test_several_lapsed_workers(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    third = queue.worker("worker3~c3")
    queue.publish(*(queue.task(f"t{n}") for n in range(6)))
    for each in (hand, third):
        each.take(3)
        queue.lapse(each.name)
    other.beat()
    other.beat()
    assert queue.counts()["queued"] == 6
    assert queue.redis.zrange(f"{queue.prefix}leases", 0, -1) == [other.name]
    queue.check()


def test_a_heartbeat_that_reclaims_wakes_somebody(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    idle = queue.worker("worker3~c3")
    idle.take()
    subscription = queue.store.subscription(queue.store.keys.wake(idle.name))
    subscription.open()
    claims_of(queue, hand, 1)
    idle.take()
    queue.lapse(hand.name)
    other.beat()
    assert subscription.get(5) == "ready"
    subscription.close()


def test_ids_whose_records_were_deleted_by_hand_are_in_nobodys_way(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    claims_of(queue, hand, 3)
    queue.publish(queue.task("u0"), queue.task("u1"))
    hand.take(0)
    queue.redis.delete(queue.key("task:t1"), queue.key("task:u0"))
    queue.lapse(hand.name)
    assert ids(other.take(4)) == ["t0", "t2", "u1"]
    assert set(queue.members("all")) == set(queue.members("processing")) == {"t0", "t2", "u1"}


# -- leaving


def test_leaving_ends_the_lease_at_once(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    hand.take()
    hand.leave()
    hand.leave()
    workers = {name: (live, fields["state"]) for name, live, fields in queue.store.workers()}
    assert workers == {hand.name: (False, "offline"), other.name: (True, "online")}
    assert queue.redis.smembers(f"{queue.prefix}idle") == set()
    assert [e["action"] for e in queue.events() if e["actor"] == hand.name] == ["join", "leave"]
    with pytest.raises(LeaseLapsed):
        hand.take()


def test_what_a_leaving_worker_forgot_is_found(queue: ScriptQueue, hand: Hand, other: Hand) -> None:
    claims_of(queue, hand, 1)
    hand.leave()
    other.beat()
    assert queue.status("t0") == "processing"
    live_on(queue, other)
    assert ids(other.take()) == ["t0"]
    queue.check()


def test_workers_lists_the_latest_first(queue: ScriptQueue) -> None:
    for n in range(3):
        queue.worker(f"worker{n}~a1")
    queue.redis.zadd(f"{queue.prefix}workers", {f"worker{n}~a1": n for n in range(3)})
    assert [name for name, _, _ in queue.store.workers()] == ["worker2~a1", "worker1~a1", "worker0~a1"]
    queue.worker("worker4~a1")  # a join forgets who was not heard of for a day
    assert [name for name, _, _ in queue.store.workers()] == ["worker4~a1"]
    assert json.loads(queue.store.workers()[0][2]["about"]) == {}
