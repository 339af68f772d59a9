"""take: reads are admitted once and in order, and ready tasks are handed out; a repeated call strands nothing."""

import base64
import json

import pytest

from _yadtq.claims import Answer, Read
from _yadtq.errors import LeaseLapsed, OutboxFull, StaleTake
from _yadtq.messages import read_message
from tests.support.script_queue import ScriptQueue, ids


def test_a_take_hands_out_what_it_reads(queue: ScriptQueue) -> None:
    queue.publish(queue.task("a", "[2,3]", kwargs='{"k":1}', max_retries="2", time_limit="1.5"))
    taken = queue.worker("worker1~x7").take()
    (claim,) = taken.claims
    assert (claim.id, claim.task, claim.args, claim.kwargs) == ("a", "add", "[2,3]", '{"k":1}')
    assert (claim.attempt, claim.failures, claim.crashes, claim.max_retries, claim.time_limit) == (1, 0, 0, 2, 1.5)
    assert claim.token.startswith("1-")
    assert (taken.left, taken.due_seconds, taken.answers) == (0, None, (Answer(0, "admitted", 1),))
    record = queue.record("a")
    assert (record["status"], record["worker_id"], record["attempt"]) == ("processing", "worker1", "1")
    assert record["claim"] == f"worker1~x7 {claim.token}"
    assert float(record["started_at"]) >= float(record["submitted_at"])
    queue.check()


def test_an_idle_worker_takes_what_a_busy_one_has_read(queue: ScriptQueue) -> None:
    queue.publish(*(queue.task(f"t{n}") for n in range(5)))
    busy, idle = queue.worker("worker1~a1"), queue.worker("worker2~a1")
    assert ids(busy.take(1)) == ["t0"]
    assert ids(idle.take(3, [])) == ["t1", "t2", "t3"]
    assert ids(busy.take(0)) == []
    assert ids(idle.take(3, [])) == ["t4"]
    queue.check()


def test_worker_without_a_name_for_the_record(queue: ScriptQueue) -> None:
    queue.publish(queue.task("a"))
    queue.worker("odd").take()
    assert queue.record("a")["worker_id"] == "odd"


# -- messages of other producers


def test_a_message_without_header_creates_the_task(queue: ScriptQueue) -> None:
    queue.send_foreign("d5750c0e-ed82", "[1,2]", kwargs='{"k":1}', max_retries="1", time_limit="9")
    (claim,) = queue.worker().take().claims
    assert (claim.id, claim.args, claim.kwargs, claim.max_retries, claim.time_limit) == (
        "d5750c0e-ed82", "[1,2]", '{"k":1}', 1, 9.0,
    )  # fmt: skip
    assert queue.record("d5750c0e-ed82")["submitted_by"] == "kafka"
    admit = queue.events()[1]["tasks"][0]
    assert (admit["action"], admit["partition"], admit["offset"], admit["args"]) == ("admit", 0, 0, "[1,2]")
    queue.check()


def test_the_same_message_again_is_the_same_task(queue: ScriptQueue) -> None:
    queue.send_foreign("a")
    queue.send_foreign("a", partition=1)
    hand = queue.worker()
    assert ids(hand.take()) == ["a"]
    queue.send_foreign("a")
    assert ids(hand.take()) == []
    queue.check()


def test_it_makes_a_registered_task_ready(queue: ScriptQueue) -> None:
    queue.register(queue.task("a"))
    queue.send_foreign("a")
    assert ids(queue.worker().take()) == ["a"]
    assert queue.transitions("a") == ["register", "share", "take"]
    queue.check()


def test_another_task_under_a_known_id_is_rejected(queue: ScriptQueue) -> None:
    queue.register(queue.task("a", "[1]"))
    queue.send_foreign("a", "[2]", kwargs='{"k":1}')
    assert ids(queue.worker().take()) == []
    record = queue.record("rejected-0-0")
    assert (record["status"], record["args"], record["kwargs"]) == ("rejected", "[2]", '{"k":1}')
    assert json.loads(record["error"])["message"] == "the id a belongs to another task"
    assert queue.record("a")["args"] == "[1]"
    queue.check()


def test_what_is_no_task_is_rejected_with_its_bytes_and_never_in_the_way(queue: ScriptQueue) -> None:
    queue.send_bad(b"\x00\xffboom", "not JSON: boom", partition=3)
    queue.send_foreign("a", partition=3)
    assert ids(queue.worker().take()) == ["a"]
    record = queue.record("rejected-3-0")
    assert base64.b64decode(record["message"]) == b"\x00\xffboom"
    assert json.loads(record["error"]) == {"type": "MessageRejected", "message": "not JSON: boom", "traceback": ""}
    assert record["finished_at"] == record["submitted_at"]
    queue.check()


def test_an_expired_id_sent_again_is_a_new_task(queue: ScriptQueue) -> None:
    queue.send_foreign("a", "[1]")
    hand = queue.worker()
    hand.settle(hand.take_one())
    queue.redis.zadd(queue.key("success"), {"a": 1})
    queue.store.tidy()
    queue.send_foreign("a", "[2]")
    assert hand.take_one().args == "[2]"
    queue.check()


# -- positions


def test_a_read_counts_only_where_the_queue_is(queue: ScriptQueue) -> None:
    for n in range(4):
        queue.send_foreign(f"t{n}")
    hand = queue.worker()
    assert hand.take(9, [queue.read(began=0)]).answers == (Answer(0, "seek", None),)  # nothing stored: begin at first
    assert hand.take(9, [queue.read(end=2)]).answers == (Answer(0, "admitted", 2),)
    assert hand.take(9, [queue.read(began=0)]).answers == (Answer(0, "seek", 2),)
    assert hand.take(9, [queue.read(began=3)]).answers == (Answer(0, "seek", 2),)
    assert queue.counts()["processing"] == 2
    assert hand.take(9, [queue.read(began=2)]).answers == (Answer(0, "admitted", 4),)
    assert queue.store.positions() == {0: 4}
    queue.check()


def test_an_empty_read_asks_too(queue: ScriptQueue) -> None:
    queue.send_foreign("a")
    hand = queue.worker()
    assert hand.take(0, [Read(0, 0, 0, 1, first=True)]).answers == (Answer(0, "admitted", 0),)
    assert hand.take(0, [Read(0, 5, 5, 1)]).answers == (Answer(0, "seek", 0),)
    assert hand.take(0, [Read(0, 5, 5, 1, first=True)]).answers == (Answer(0, "seek", 0),)
    assert hand.take(0, [Read(0, 0, 0, 1)]).answers == (Answer(0, "admitted", 0),)


def test_offsets_may_have_gaps(queue: ScriptQueue) -> None:
    """A compacted or cut log, and markers of transactions, leave numbers out."""
    queue.send_foreign("a")
    (message,) = queue.read().messages
    hand = queue.worker()
    assert ids(hand.take(1, [Read(0, 40, 57, 1, (message,), first=True)])) == ["a"]
    assert queue.store.positions() == {0: 57}


def test_two_readers_of_one_partition_admit_once(queue: ScriptQueue) -> None:
    queue.send_foreign("a")
    first, second = queue.worker("worker1~a1"), queue.worker("worker2~a1")
    read = queue.read()
    assert ids(first.take(1, [read])) == ["a"]
    taken = second.take(1, [read])
    assert (ids(taken), taken.answers) == ([], (Answer(0, "seek", 1),))


def test_several_reads_of_a_partition_in_one_take(queue: ScriptQueue) -> None:
    for n in range(3):
        queue.send_foreign(f"t{n}")
        queue.send_foreign(f"u{n}", partition=1)
    reads = [queue.read(end=2), queue.read(1), queue.read(began=2)]
    taken = queue.worker().take(9, reads)
    assert [a.word for a in taken.answers] == ["admitted"] * 3
    assert ids(taken) == ["t0", "t1", "u0", "u1", "u2", "t2"]
    assert queue.store.positions() == {0: 3, 1: 3}
    assert [e.get("positions") for e in queue.events() if e.get("positions")] == [{"0": 3, "1": 3}]


# -- bounds


def test_ready_is_bounded_in_tasks(queue: ScriptQueue) -> None:
    narrow = queue.limited(ready_tasks=2)
    for n in range(3):
        queue.send_foreign(f"t{n}")
        queue.send_foreign(f"u{n}", partition=1)
    hand = narrow.worker()
    taken = hand.take(0)
    assert taken.answers == (Answer(0, "admitted", 3), Answer(1, "full", None))
    assert (queue.counts()["queued"], taken.left) == (3, 3)
    assert hand.take(0, [Read(0, 3, 3, 1)]).answers == (Answer(0, "admitted", 3),)  # an empty read is never too much
    hand.take(2, [])
    assert hand.take(0, [queue.read(1)]).answers == (Answer(1, "admitted", 3),)
    queue.check()


def test_ready_is_bounded_in_bytes(queue: ScriptQueue) -> None:
    narrow = queue.limited(ready_bytes=150)
    for n in range(4):
        queue.send_foreign(f"t{n}")  # 100 bytes each
    hand = narrow.worker()
    words = [hand.take(0, [queue.read(end=end)]).answers[0].word for end in (1, 2, 3)]
    assert words == ["admitted", "admitted", "full"]
    hand.take(1, [])
    assert hand.take(0).answers[0].word == "admitted"
    queue.check()


def test_a_ready_queue_that_was_withdrawn_has_room_again(queue: ScriptQueue) -> None:
    narrow = queue.limited(ready_bytes=150)
    tasks = queue.publish(queue.task("a"), queue.task("b"))
    hand = narrow.worker()
    hand.take(0)
    assert [queue.withdraw(task) for task in tasks] == ["refused", "refused"]
    queue.send_foreign("c")
    assert ids(hand.take()) == ["c"]


def test_a_full_outbox_stops_take_and_never_settle(queue: ScriptQueue) -> None:
    narrow = queue.limited(outbox_entries=3)
    queue.publish(queue.task("a"), queue.task("b"))
    hand = narrow.worker()
    claim = hand.take_one()
    assert len(queue.events()) == 3  # register, join, take
    with pytest.raises(OutboxFull):
        hand.take()
    assert hand.settle(claim) == "settled"
    assert queue.status("b") == "queued"
    narrow.store.trim("1-4", "1", 4)
    assert ids(hand.take()) == ["b"]


# -- repeated takes


def test_a_repeated_take_gives_the_same_again(queue: ScriptQueue) -> None:
    for n in range(5):
        queue.send_foreign(f"t{n}")
    hand = queue.worker()
    reads = queue.reads()
    first = hand.call_take(1, 0, 2, reads)
    again = hand.call_take(1, 0, 2, reads)
    assert again.claims == first.claims
    assert again.answers == (Answer(0, "seek", 5),)  # where the reader is: it was admitted
    assert queue.counts()["processing"] == 2
    queue.send_foreign("later")
    assert hand.call_take(1, 0, 5).claims == first.claims  # never more than the first one gave
    assert queue.transitions().count("take") == 2
    queue.check()


def test_a_repeated_take_leaves_out_what_is_settled(queue: ScriptQueue) -> None:
    queue.publish(queue.task("a"), queue.task("b"))
    hand = queue.worker()
    first = hand.call_take(1, 0)
    hand.settle(first.claims[0])
    assert ids(hand.call_take(1, 0)) == ["b"]
    queue.store.reset("r1", {})
    assert ids(hand.call_take(1, 0)) == []


def test_a_lower_number_is_stale(queue: ScriptQueue) -> None:
    queue.publish(queue.task("a"))
    hand = queue.worker()
    hand.call_take(5, 4, 0)
    with pytest.raises(StaleTake):
        hand.call_take(4, 3)
    assert queue.status("a") == "queued"


def test_what_an_unread_reply_gave_goes_back(queue: ScriptQueue) -> None:
    queue.publish(*(queue.task(f"t{n}") for n in range(4)))
    hand = queue.worker()
    lost = hand.call_take(1, 0, 2)
    taken = hand.call_take(2, 0, 3)
    assert ids(taken) == ["t0", "t1", "t2"]  # in their old order
    assert [claim.attempt for claim in taken.claims] == [1, 1, 1]
    assert [claim.crashes for claim in taken.claims] == [0, 0, 0]
    assert queue.transitions("t0") == ["register", "take", "release", "take"]
    assert hand.settle(lost.claims[0]) == "refused"
    queue.check()


def test_what_a_read_reply_gave_stays(queue: ScriptQueue) -> None:
    queue.publish(queue.task("a"), queue.task("b"))
    hand = queue.worker()
    claim = hand.take_one()
    assert ids(hand.take()) == ["b"]
    assert queue.status("a") == "processing"
    assert hand.settle(claim) == "settled"


def test_what_comes_back_in_one_call_has_one_order(queue: ScriptQueue) -> None:
    """Of an unread reply and of a lapsed worker: as the events tell it, too."""
    lapsed, hand = queue.worker("worker1~a1"), queue.worker("worker2~a1")
    queue.publish(*(queue.task(f"t{n}") for n in range(6)))
    lapsed.take(2)
    hand.call_take(1, 0, 2)
    queue.lapse(lapsed.name)
    hand.call_take(2, 0, 0)
    assert queue.members("ready") == ["t2", "t3", "t0", "t1", "t4", "t5"]
    queue.check()


# -- what becomes ready by time


def test_a_delayed_task_is_ready_when_it_is_due(queue: ScriptQueue) -> None:
    queue.publish(queue.task("a"))
    hand = queue.worker()
    hand.settle(hand.take_one(), "retry", delay=60)
    taken = hand.take()
    assert ids(taken) == []
    assert taken.due_seconds == pytest.approx(60, abs=5)
    assert queue.members("delayed") == ["a"]
    queue.make_due("a")
    (claim,) = hand.take().claims
    assert (claim.attempt, claim.failures) == (2, 1)
    assert "retry_at" not in queue.record("a")
    queue.check()


# -- waking up


def test_an_idle_worker_is_woken_when_tasks_are_ready(queue: ScriptQueue) -> None:
    idle, busy, other = (queue.worker(f"worker{n}~a1") for n in (1, 2, 3))
    subscription = queue.store.subscription(queue.store.keys.wake(idle.name))
    subscription.open()
    idle.take()
    queue.publish(queue.task("a"), queue.task("b"))
    busy.take(1)
    assert subscription.get(5) == "ready"
    assert queue.redis.smembers(f"{queue.prefix}idle") == set()  # once only: it will ask
    other.take(1)
    assert queue.redis.smembers(f"{queue.prefix}idle") == set()  # its slot is filled
    subscription.close()


def test_who_gets_less_than_it_wants_is_idle(queue: ScriptQueue) -> None:
    hand = queue.worker()
    queue.publish(queue.task("a"))
    hand.take(2)
    assert queue.redis.smembers(f"{queue.prefix}idle") == {hand.name}
    hand.take(0)
    assert queue.redis.smembers(f"{queue.prefix}idle") == set()  # no free slot: it wants nothing


def test_a_worker_that_never_joined_takes_nothing(queue: ScriptQueue) -> None:
    queue.publish(queue.task("a"))
    hand = queue.worker()
    hand.name = "stranger~a1"
    with pytest.raises(LeaseLapsed):
        hand.take()
    assert queue.status("a") == "queued"


# -- rule offset


def test_what_lies_below_the_position_is_never_a_new_task(queue: ScriptQueue) -> None:
    queue.redis.hset(f"{queue.prefix}positions", "0", "100")
    message = read_message(90, None, b'{"task-id":"z90","task":"add","args":[]}', [])
    taken = queue.worker().take(3, [Read(0, 100, 91, 1, (message,))])
    assert (ids(taken), taken.answers) == ([], (Answer(0, "admitted", 100),))
    assert queue.redis.hget(f"{queue.prefix}positions", "0") == "100"
    queue.check_agreement()


def test_a_reply_is_bounded_in_bytes_and_the_rest_stays_first(queue: ScriptQueue) -> None:
    queue.publish(*(queue.task(f"t{n}", f'["{"x" * 900_000}"]') for n in range(7)))
    hand = queue.worker()
    assert ids(hand.take(7)) == ["t0", "t1", "t2", "t3", "t4"]
    assert ids(hand.take(7)) == ["t5", "t6"]
    queue.check()
