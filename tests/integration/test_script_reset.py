"""reset, tidy and trim: how a queue is emptied in one instant, and how what has ended goes."""

import pytest

from _yadtq.messages import Ours
from _yadtq.store import TIDY_STEP
from tests.support.script_queue import ScriptQueue, ids


def test_a_reset_removes_what_was_there_and_keeps_what_comes(queue: ScriptQueue) -> None:
    hand = queue.worker()
    queue.publish(*(queue.task(f"t{n}") for n in range(6)))
    queue.send_bad()
    first, second, third = hand.take().claims
    hand.settle(first)
    hand.settle(second, "failed")
    assert queue.store.reset("r1", {0: len(queue.kafka[0])})[0] == 7
    assert queue.counts() == dict.fromkeys(queue.counts(), 0)
    assert queue.store.ids("", 0, 10) == []
    assert hand.settle(third) == "refused"
    queue.publish(queue.task("t0"))
    assert ids(hand.take()) == ["t0"]
    event = next(e for e in queue.events() if e["script"] == "reset")
    assert (event["removed"], event["epoch"], event["new_epoch"], event["floors"]) == (7, 0, 1, {"0": 7})
    queue.check()


def test_a_repeated_reset_is_the_same_one(queue: ScriptQueue) -> None:
    queue.register(queue.task("a"))
    first = queue.store.reset("r1", {0: 5})
    queue.register(queue.task("b"))
    assert queue.store.reset("r1", {0: 9}) == first == (1, "1-2")
    assert queue.status("b") == "queued"  # it came after
    assert queue.redis.hgetall(f"{queue.prefix}floors") == {"0": "5"}
    assert queue.store.reset("r2", {}) == (1, "1-4")
    assert queue.status("b") == ""


def test_messages_from_before_a_reset_run_nothing(queue: ScriptQueue) -> None:
    queue.publish(queue.task("ours"))
    queue.send_foreign("foreign")
    queue.store.reset("r1", {0: 2})
    queue.send_foreign("later")
    assert ids(queue.worker().take()) == ["later"]
    queue.check()


def test_floors_of_one_partition_say_nothing_of_another(queue: ScriptQueue) -> None:
    for partition in (0, 1):
        queue.send_foreign(f"before{partition}", partition=partition)
    queue.store.reset("r1", {0: 1})  # partition 1 was empty when its end was read
    assert ids(queue.worker().take()) == ["before1"]


def test_floors_are_never_lowered(queue: ScriptQueue) -> None:
    queue.store.reset("r1", {0: 5, 1: 5})
    queue.store.reset("r2", {0: 3, 1: 8})
    assert queue.redis.hgetall(f"{queue.prefix}floors") == {"0": "5", "1": "8"}


def test_a_task_registered_before_and_published_after_a_reset_is_gone(queue: ScriptQueue) -> None:
    (answer,) = queue.store.register([queue.task("a")])
    queue.store.reset("r1", {})
    queue.send(Ours(0, 100, "a", answer.header))
    queue.register(queue.task("a"))  # the same id anew, and its message is on its way
    assert ids(queue.worker().take()) == []
    assert queue.members("registered") == ["a"]


# -- tidy


def test_old_results_expire_in_bounded_steps(queue: ScriptQueue) -> None:
    hand = queue.worker()
    queue.publish(*(queue.task(f"t{n:03}") for n in range(TIDY_STEP + 10)))
    for claim in hand.take(TIDY_STEP + 10).claims:
        hand.settle(claim, "failed" if claim.id == "t000" else "success")
    old = {f"t{n:03}": 1 for n in range(TIDY_STEP + 5)}
    queue.redis.zadd(queue.key("success"), old, xx=True)
    queue.redis.zadd(queue.key("failed"), old, xx=True)
    assert queue.store.tidy()
    assert queue.counts()["success"] == 9
    assert not queue.store.tidy()
    assert queue.counts()["success"] == 5
    assert queue.status("t000") == ""
    assert queue.transitions().count("expire") == TIDY_STEP + 5
    queue.check()


def test_what_has_not_ended_never_expires(queue: ScriptQueue) -> None:
    brief = queue.limited(result_ttl=1)
    queue.publish(*(queue.task(f"t{n}") for n in range(3)))
    hand = queue.worker()
    hand.settle(hand.take_one(), "retry")
    hand.take_one()
    for key in ("registered", "delayed", "processing"):
        for task_id in queue.members(key):
            queue.redis.hset(queue.key(f"task:{task_id}"), "submitted_at", "1.000")
    brief.store.tidy()
    assert len(queue.members("all")) == 3
    queue.check_agreement()


def test_rejected_messages_are_bounded(queue: ScriptQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("_yadtq.store.REJECTED_KEPT", 3)
    for _ in range(8):
        queue.send_bad()
    queue.worker().take()
    queue.store.tidy()
    assert sorted(queue.members("rejected")) == [f"rejected-0-{n}" for n in (5, 6, 7)]
    queue.check()


def test_what_a_reset_left_is_unlinked_in_bounded_steps(queue: ScriptQueue) -> None:
    hand = queue.worker()
    for round_ in range(2):
        queue.publish(*(queue.task(f"t{round_}-{n:03}") for n in range(250)))
        hand.settle(hand.take(5).claims[0])
        queue.store.reset(f"r{round_}", {})
    queue.publish(queue.task("new"))
    steps = 0
    while queue.store.tidy():
        steps += 1
    assert 4 <= steps <= 8
    for epoch in (0, 1):
        assert queue.redis.keys(f"{queue.prefix}{epoch}:*") == []
    assert queue.redis.llen(f"{queue.prefix}old") == 0
    assert "expire" not in queue.transitions()
    queue.check()


# -- trim


def test_trim_removes_what_kafka_has(queue: ScriptQueue) -> None:
    for n in range(5):
        queue.register(queue.task(f"t{n}"))
    assert queue.store.trim("1-3", "1", 3) == 2
    assert queue.store.trim("1-3", "1", 3) == 2
    assert [entry for entry, _ in queue.store.events("0-0", 0.01, 10)] == ["1-4", "1-5"]
    assert queue.store.trim("1-5", "1", 5) == 0
    queue.register(queue.task("later"))
    assert [entry for entry, _ in queue.store.events("0-0", 0.01, 10)] == ["1-6"]
    assert queue.store.events("1-6", 0.01, 10) == []
