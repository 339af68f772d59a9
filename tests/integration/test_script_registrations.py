"""Clients and Redis that comes back: what they have registered is not lost, and refused means never."""

import pytest

from _yadtq.claims import Answer
from _yadtq.messages import Header, Ours
from tests.support.script_queue import Hand, ScriptQueue, ids


@pytest.fixture
def hand(queue: ScriptQueue) -> Hand:
    return queue.worker("worker1~a1")


def forgets(queue: ScriptQueue, file: dict[str, bytes]) -> None:
    """Redis is restarted from an older file, and led back."""
    queue.restart(back_to=file)
    assert queue.lead() in ("open", "quarantine")


def test_what_was_registered_in_an_older_generation_is_not_withdrawn(queue: ScriptQueue) -> None:
    task, gone = queue.task("a"), queue.task("b")
    queue.register(task, gone)
    assert queue.withdraw(gone) == "refused"
    queue.restart()
    queue.lead()
    before = queue.dump()
    assert [queue.withdraw(task, "0", "1"), queue.withdraw(task)] == ["unknown", "unknown"]
    assert queue.withdraw(gone, "0", "1") == "unknown"
    assert queue.dump() == before


def test_a_repeated_registration_gives_the_mark_of_the_first(queue: ScriptQueue, hand: Hand) -> None:
    task = queue.task("a")
    (first,) = queue.store.register([task])
    queue.restart()
    queue.lead()
    assert queue.store.register([task]) == [first]
    hand.confirm()
    queue.publish(task)
    assert ids(hand.take()) == ["a"]


# -- a registration that nobody knows any more


def forgotten_registration(queue: ScriptQueue) -> None:
    """A task whose message is in Kafka; Redis and the event log know nothing of it."""
    queue.relay()
    file = queue.dump()
    queue.publish(queue.task("a", "[2,3]", kwargs='{"k":1}', max_retries="2", time_limit="1.5"))
    forgets(queue, file)
    assert queue.status("a") == ""


def test_a_forgotten_registration_is_made_good_once(queue: ScriptQueue) -> None:
    forgotten_registration(queue)
    queue.kafka[0] *= 2  # its message is there twice
    hand = queue.worker("worker1~a1")
    assert hand.take().answers == (Answer(0, "whole", None),)
    (claim,) = hand.take(3, [queue.read(whole=True)]).claims
    assert (claim.args, claim.kwargs, claim.max_retries, claim.time_limit) == ("[2,3]", '{"k":1}', 2, 1.5)
    assert (queue.record("a")["mark"], queue.record("a")["shared"]) == ("1-1", "1")
    assert queue.transitions("a") == ["admit", "take"]
    assert queue.withdraw(queue.task("a"), "0", "1") == "unknown"
    queue.check()


def test_not_after_a_reset(queue: ScriptQueue, hand: Hand) -> None:
    forgotten_registration(queue)
    hand.confirm()
    queue.store.reset("r1", {})
    taken = hand.take(3, [queue.read(whole=True)])
    assert (taken.answers, taken.claims, queue.status("a")) == ((Answer(0, "admitted", 1),), (), "")


def test_but_when_it_came_after_a_reset_that_is_known(queue: ScriptQueue, hand: Hand) -> None:
    queue.store.reset("r1", {})
    forgotten_registration(queue)
    hand.confirm()
    assert ids(hand.take(3, [queue.read(whole=True)])) == ["a"]


def test_also_when_a_reset_before_it_is_forgotten_too(queue: ScriptQueue, hand: Hand) -> None:
    queue.store.reset("r1", {})
    queue.relay()
    file = queue.dump()
    queue.store.reset("r2", {})
    queue.publish(queue.task("a"))
    forgets(queue, file)
    hand.confirm()
    assert ids(hand.take(3, [queue.read(whole=True)])) == ["a"]


@pytest.mark.parametrize("end", ["withdrawn", "expired"])
def test_a_registration_that_the_log_knows_is_not_forgotten(queue: ScriptQueue, hand: Hand, end: str) -> None:
    file = queue.dump()
    (task,) = queue.publish(queue.task("a"))
    if end == "withdrawn":
        assert queue.withdraw(task) == "refused"
        queue.redis.delete(queue.key("task:a"))  # the tombstone's hour is over
    else:
        hand.settle(hand.take_one())
        queue.redis.zadd(queue.key("success"), {"a": 1})
        queue.store.tidy()
    queue.relay()
    position = len(queue.kafka[0])
    queue.kafka[0] *= 2  # a late copy of its message
    forgets(queue, file)
    hand.confirm()
    queue.redis.delete(queue.key("task:a"))
    taken = hand.take(3, [queue.read(began=None if end == "withdrawn" else position, whole=True)])
    assert ([answer.word for answer in taken.answers], taken.claims, queue.status("a")) == (["admitted"], (), "")


def test_a_tombstone_of_an_earlier_submission_is_not_in_the_way(queue: ScriptQueue, hand: Hand) -> None:
    first = queue.task("a", "[1]")
    queue.register(first)
    assert queue.withdraw(first) == "refused"
    queue.relay()
    file = queue.dump()
    queue.publish(queue.task("a", "[2]"))
    forgets(queue, file)
    hand.confirm()
    claims = hand.take(3, [queue.read(whole=True)]).claims
    assert [claim.args for claim in claims] == ["[2]"]
    queue.check()


def test_a_message_of_an_earlier_queue_creates_nothing(queue: ScriptQueue) -> None:
    """Redis is made anew from a log that begins with generation 1; the topic of tasks is older."""
    queue.register(queue.task("a"))
    queue.relay()
    queue.redis.unlink(*queue.dump())
    assert queue.recovery().rebuild()
    for generation in ("0", "1"):
        queue.send(Ours(0, 100, f"t{generation}", Header("0", generation, "7"), queue.task(f"t{generation}").value()))
    assert ids(queue.worker().take(3, [queue.read(whole=True)])) == ["t1"]
    queue.check()
