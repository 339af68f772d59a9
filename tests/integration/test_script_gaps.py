"""What happens when Redis is led back, and events are missing in the log too."""

import pytest

from tests.support.script_queue import Hand, ScriptQueue


@pytest.fixture
def hand(queue: ScriptQueue) -> Hand:
    return queue.worker("worker1~a1")


def test_behind_a_gap_messages_are_read_again(queue: ScriptQueue, hand: Hand) -> None:
    queue.relay()
    file = queue.dump()
    queue.publish(queue.task("lost"))
    queue.publish(queue.task("kept"))
    claims = hand.take(1).claims
    queue.relay()
    del queue.topic.entries[2]  # the registration of "lost"
    queue.restart(back_to=file)
    assert queue.lead() == "quarantine"
    assert queue.store.positions() == {}
    assert queue.members("ready") == ["kept"]
    generations = queue.redis.hgetall(f"{queue.prefix}generations")
    assert generations == {"1": "0", queue.store.generation(): "4 2-2"}
    assert hand.confirm(*claims) == list(claims)  # of "lost", which nobody knows
    hand.confirm()
    taken = hand.take(3, [queue.read(whole=True)])
    assert [(claim.id, claim.attempt) for claim in taken.claims] == [("kept", 1), ("lost", 2)]


def test_behind_a_gap_what_the_log_knows_as_read_is_no_new_task(queue: ScriptQueue, hand: Hand) -> None:
    """Its record may have expired since: it would run again."""
    queue.relay()
    file = queue.dump()
    queue.register(queue.task("lost"))
    queue.send_foreign("foreign")
    claims = hand.take(1).claims
    queue.relay()
    del queue.topic.entries[2]  # the registration of "lost"
    queue.restart(back_to=file)
    queue.lead()
    hand.confirm(*claims)
    queue.redis.delete(queue.key("task:foreign"))  # as when its life time is over
    assert [claim.id for claim in hand.take(3, [queue.read()]).claims] == []
    assert queue.redis.exists(f"{queue.prefix}reread") == 0  # it was read again
    queue.send_foreign("foreign")
    assert [claim.id for claim in hand.take(3, [queue.read()]).claims] == ["foreign"]


def test_behind_a_gap_a_reset_that_the_log_lacks_has_happened(queue: ScriptQueue, hand: Hand) -> None:
    queue.relay()
    file = queue.dump()
    queue.register(queue.task("a"))
    queue.store.reset("r", {})
    queue.register(queue.task("b"))
    queue.relay()
    del queue.topic.entries[3]  # the reset
    queue.restart(back_to=file)
    queue.lead()
    hand.confirm()
    assert queue.redis.hget(f"{queue.prefix}meta", "epoch") == "1"
    assert queue.members("registered") == ["b"]


def test_generations_that_redis_does_not_know_are_learned_from_the_log(queue: ScriptQueue) -> None:
    empty = queue.dump()
    for task_id in ("a", "b"):
        queue.register(queue.task(task_id))
        queue.relay()
        queue.restart()
        queue.lead()
    expected = queue.redis.hgetall(f"{queue.prefix}generations")
    queue.restart(back_to=empty)
    queue.lead()
    found = queue.redis.hgetall(f"{queue.prefix}generations")
    assert list(expected.values()) == ["0", "1", "2"]
    assert found == expected | {queue.store.generation(): "2"}


def test_the_last_hundred_generations_are_kept(queue: ScriptQueue) -> None:
    queue.redis.hset(f"{queue.prefix}generations", mapping={str(n): str(n) for n in range(2, 130)})
    queue.restart()
    queue.lead()
    known = sorted(int(each) for each in queue.redis.hkeys(f"{queue.prefix}generations"))
    assert known == [*range(31, 130), int(queue.store.generation())]
