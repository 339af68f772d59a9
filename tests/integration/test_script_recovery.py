"""Redis comes back, perhaps with less than it had: what the event log knows stands, and nobody starts twice."""

import pytest

from _yadtq.errors import InQuarantine, LeaseLapsed, QueueMissing, RedisRestarted
from tests.support.script_queue import LEASE_SECONDS, Hand, ScriptQueue, ids


@pytest.fixture
def hand(queue: ScriptQueue) -> Hand:
    return queue.worker("worker1~a1")


def mode(queue: ScriptQueue) -> str:
    return queue.redis.hget(f"{queue.prefix}meta", "mode") or "open"


def forgets(queue: ScriptQueue, file: dict[str, bytes]) -> None:
    """Redis is restarted from an older file, and led back."""
    queue.restart(back_to=file)
    assert queue.lead() in ("open", "quarantine")


# -- what the event log knows


def test_an_ordinary_restart_changes_nothing(queue: ScriptQueue, hand: Hand) -> None:
    queue.publish(*(queue.task(f"t{n}") for n in range(5)))
    first, second, third = hand.take(3).claims
    hand.settle(first)
    hand.settle(second, "retry")
    queue.relay()
    queue.register(queue.task("later"))  # not yet in Kafka
    before, events = queue.state(), queue.entries()
    queue.restart()
    assert queue.lead() == "quarantine"
    assert hand.confirm(third) == []
    assert mode(queue) == "open"
    assert (queue.state(), queue.entries()) == (before, events)
    assert ids(hand.take()) == ["t3", "t4"]
    assert hand.settle(third) == "settled"
    assert queue.record("t2")["attempt"] == "1"
    queue.check()


def test_what_is_finished_in_the_log_is_finished(queue: ScriptQueue, hand: Hand) -> None:
    queue.publish(queue.task("a"), queue.task("b"))
    first, second = hand.take(2).claims
    file = queue.dump()
    hand.settle(first, text="7")
    hand.settle(second, "failed")
    queue.relay()
    before = queue.state()
    forgets(queue, file)
    assert queue.state() == before
    assert (queue.status("a"), queue.record("a")["result"], queue.status("b")) == ("success", "7", "failed")
    assert hand.confirm() == []
    assert hand.take().claims == ()
    assert hand.settle(first) == "already"
    queue.check()


def test_a_claim_that_the_log_has_goes_on(queue: ScriptQueue, hand: Hand) -> None:
    queue.publish(queue.task("a"))
    file = queue.dump()
    claim = hand.take_one()
    queue.relay()
    forgets(queue, file)
    assert hand.confirm(claim) == []
    assert queue.worker("worker2~b1").take().claims == ()
    assert hand.settle(claim) == "settled"
    assert queue.transitions("a") == ["register", "take", "success"]
    queue.check()


def test_an_outcome_that_only_waited_for_its_answer_is_not_forgotten(queue: ScriptQueue, hand: Hand) -> None:
    other = queue.worker("worker2~b1")
    queue.publish(queue.task("a"), queue.task("b"))
    first, second = hand.take(2).claims
    file = queue.dump()
    hand.settle(first)
    hand.settle(second, "release")
    again = other.take_one()
    queue.relay()
    forgets(queue, file)
    assert hand.confirm(first, second) == []  # both answers were lost
    assert other.confirm(again) == []
    assert [hand.settle(first), hand.settle(second, "release")] == ["already", "already"]
    assert other.settle(again) == "settled"
    queue.check()


def test_an_old_copy_that_the_queue_has_gone_on_without_is_refused(queue: ScriptQueue) -> None:
    """Its numbers stand for other calls: what the log has behind them does not fit on it."""
    queue.relay()
    late = queue.dump()
    queue.register(queue.task("only here"))
    file = queue.dump()
    forgets(queue, late)
    queue.register(queue.task("gone on"))
    queue.register(queue.task("and on"))
    queue.relay()
    queue.restart(back_to=file)
    for _ in range(2):
        with pytest.raises(QueueMissing, match="old copy of the queue, which had gone on: give it the newer data"):
            queue.lead()
        queue.redis.hset(f"{queue.prefix}meta", "attempt_until", 1)
    with pytest.raises(RedisRestarted):
        queue.register(queue.task("a"))
    queue.redis.unlink(*queue.dump())
    assert queue.recovery().rebuild()
    assert queue.members("all") == ["gone on", "and on"]


# -- what nobody knows any more


def test_a_claim_that_the_log_lacks_is_forgotten(queue: ScriptQueue, hand: Hand) -> None:
    queue.publish(queue.task("a"), queue.task("b"))
    known = hand.take_one()
    queue.relay()
    file = queue.dump()
    claim = hand.take_one()
    forgets(queue, file)
    for _ in range(2):  # its first answer may be lost
        assert hand.confirm(known, claim) == [claim]
    assert (queue.status("b"), mode(queue)) == ("queued", "quarantine")
    assert hand.confirm() == []  # it has killed everything
    other = queue.worker("worker2~b1")
    again = other.take(2).claims
    assert {each.id: each.attempt for each in again} == {"a": 2, "b": 2}  # no number twice
    assert [each["o"] for each in queue.history("b")] == ["forgotten"]
    assert hand.settle(claim) == "refused"
    assert [other.settle(each) for each in again] == ["settled", "settled"]
    assert queue.transitions("b") == ["register", "forgotten", "take", "refused", "success"]
    queue.check()


@pytest.mark.parametrize("how", ["message", "foreign message", "registration"])
def test_also_of_a_task_that_is_forgotten_itself_no_number_is_used_twice(
    queue: ScriptQueue, hand: Hand, how: str
) -> None:
    queue.relay()
    file = queue.dump()
    if how == "foreign message":
        queue.send_foreign("a")
    else:
        (task,) = queue.publish(queue.task("a"))
    claim = hand.take_one()
    forgets(queue, file)
    assert hand.confirm(claim) == [claim]
    assert hand.confirm() == []
    if how == "registration":
        queue.kafka[0].clear()
        queue.publish(task)
    (again,) = hand.take(1, [queue.read(whole=True)]).claims
    assert (again.id, again.attempt) == ("a", 2)
    queue.check()


def test_a_claim_of_an_older_generation_keeps_its_number(queue: ScriptQueue, hand: Hand) -> None:
    """Redis may have forgotten that the task was started with it elsewhere; else a start that never began has none."""
    queue.publish(queue.task("a"))
    claim = hand.take_one()
    queue.restart()
    queue.lead()
    hand.confirm(claim)
    hand.settle(claim, "release", begun=False)
    again = hand.take_one()
    assert again.attempt == 2
    hand.settle(again, "release", begun=False)
    assert hand.take_one().attempt == 2
    queue.check()


def test_what_a_worker_never_read_goes_back(queue: ScriptQueue, hand: Hand) -> None:
    queue.publish(*(queue.task(f"t{n}") for n in range(4)))
    held = hand.take_one()
    hand.call_take(2, 1, 2)  # and the answer is lost
    queue.restart()
    queue.lead()
    assert queue.counts()["processing"] == 3
    assert hand.confirm(held) == []
    assert queue.members("ready") == ["t1", "t2", "t3"]
    assert [each["o"] for each in queue.history("t1")] == ["release"]
    claims = hand.take(3).claims
    assert [(each.id, each.attempt, each.crashes) for each in claims] == [("t1", 2, 0), ("t2", 2, 0), ("t3", 1, 0)]
    queue.check()


def test_nothing_goes_back_while_something_is_forgotten(queue: ScriptQueue, hand: Hand) -> None:
    """The worker kills all that it runs then, and must not be overtaken."""
    queue.publish(queue.task("a"), queue.task("b"))
    hand.call_take(1, 0, 1)
    queue.relay()
    file = queue.dump()
    (claim,) = hand.call_take(2, 1, 1).claims
    forgets(queue, file)
    assert hand.confirm(claim) == [claim]
    assert queue.status("a") == "processing"
    assert hand.confirm() == []
    assert queue.status("a") == "queued"
    queue.check()


def test_a_claim_from_before_a_reset_is_forgotten_and_touches_nothing(queue: ScriptQueue, hand: Hand) -> None:
    queue.publish(queue.task("a"))
    claim = hand.take_one()
    queue.store.reset("r1", {})
    queue.publish(queue.task("a"))
    queue.restart()
    queue.lead()
    record = queue.record("a")
    assert hand.confirm(claim) == [claim]
    assert queue.record("a") == record
    assert hand.confirm() == []
    assert hand.take_one().attempt == 1
    queue.check()


# -- the quarantine


def test_it_lasts_until_the_last_worker_has_confirmed(queue: ScriptQueue, hand: Hand) -> None:
    other = queue.worker("worker2~b1")
    queue.restart()
    assert queue.lead() == "quarantine"
    assert [each.beat()[2] for each in (hand, other)] == [True, True]  # each is asked
    hand.confirm()
    assert [each.beat()[2] for each in (hand, other)] == [False, True]
    with pytest.raises(InQuarantine):
        hand.take()
    other.leave()  # it has given back everything
    assert mode(queue) == "open"


def test_without_workers_there_is_none(queue: ScriptQueue, hand: Hand) -> None:
    hand.leave()
    queue.restart()
    assert queue.lead() == "open"


def live_on(queue: ScriptQueue, hand: Hand, seconds: float) -> None:
    """Time passes, and this worker renews its lease."""
    for _ in range(2):
        queue.pass_lease_time(seconds / 2)
        hand.beat()


def test_a_dead_worker_holds_it_up_until_its_lease_has_lapsed(queue: ScriptQueue, hand: Hand) -> None:
    dead = queue.worker("worker2~b1")
    queue.publish(queue.task("a"))
    dead.take_one()
    queue.restart()
    queue.lead()
    hand.confirm()
    live_on(queue, hand, LEASE_SECONDS - 1)
    with pytest.raises(InQuarantine):
        hand.take()
    assert queue.status("a") == "processing"
    live_on(queue, hand, 2)
    assert mode(queue) == "open"
    assert ids(hand.take()) == ["a"]
    with pytest.raises(LeaseLapsed):
        dead.beat()
    queue.check()


def test_nothing_is_reclaimed_in_it(queue: ScriptQueue, hand: Hand) -> None:
    dead, silent = queue.worker("worker2~b1"), queue.worker("worker3~c1")
    queue.publish(queue.task("a"))
    dead.take_one()
    queue.lapse(dead.name)
    queue.restart()
    queue.lead()
    hand.confirm()
    hand.beat()
    assert (queue.status("a"), mode(queue)) == ("processing", "quarantine")
    silent.confirm()
    hand.beat()
    assert queue.status("a") == "queued"
    queue.check()


def test_leases_begin_anew_at_their_full_length(queue: ScriptQueue, hand: Hand) -> None:
    """In what Redis has forgotten, each may have been renewed; one that its owner cannot renew stays so."""
    other = queue.worker("worker2~b1")
    queue.redis.zrem(f"{queue.prefix}leases", other.name)
    with pytest.raises(LeaseLapsed):
        other.beat()
    queue.pass_lease_time(LEASE_SECONDS - 1)
    queue.restart()
    queue.lead()
    clock = int(queue.redis.hget(f"{queue.prefix}meta", "clock"))
    leases = dict(queue.redis.zrange(f"{queue.prefix}leases", 0, -1, withscores=True))
    assert leases == {hand.name: clock + LEASE_SECONDS * 1000, other.name: clock + LEASE_SECONDS * 1000 + 0.5}
    with pytest.raises(LeaseLapsed):
        other.beat()


def test_a_worker_whose_join_is_in_the_log_is_waited_for(queue: ScriptQueue) -> None:
    file = queue.dump()
    hand = queue.worker("worker1~a1")
    queue.relay()
    forgets(queue, file)
    assert queue.redis.smembers(f"{queue.prefix}unconfirmed") == {hand.name}
    assert hand.beat() == (False, True, True)
    hand.confirm()
    assert mode(queue) == "open"


def test_a_worker_whose_leaving_is_in_the_log_is_not_waited_for(queue: ScriptQueue, hand: Hand) -> None:
    file = queue.dump()
    hand.leave()
    queue.relay()
    queue.restart(back_to=file)
    assert queue.lead() == "open"
    assert queue.redis.hget(f"{queue.prefix}worker:{hand.name}", "state") == "offline"


def test_clients_go_on_in_it(queue: ScriptQueue, hand: Hand) -> None:
    queue.publish(queue.task("failed"))
    hand.settle(hand.take_one(), "failed")
    queue.restart()
    assert queue.lead() == "quarantine"
    first, second = queue.publish(queue.task("a"), queue.task("b"))
    assert queue.withdraw(first) == "refused"
    assert queue.store.retry("failed", "r1") == "requeued"
    hand.confirm()
    assert ids(hand.take()) == ["failed", "b"]
    queue.check()
    queue.restart()
    queue.lead()
    assert queue.store.reset("r2", {})[0] == 2
    assert queue.withdraw(second) == "unknown"
    queue.check()


def test_a_confirmation_that_comes_late_changes_nothing(queue: ScriptQueue, hand: Hand) -> None:
    queue.restart()
    queue.lead()
    hand.confirm()
    queue.publish(queue.task("a"))
    claim = hand.take_one()
    before = queue.dump()
    stray = claim._replace(id="ghost")
    for claims in ((), (stray,)):
        assert queue.store.confirm(hand.name, 0, claims) == []  # sent before, and held up
    assert queue.dump() == before
