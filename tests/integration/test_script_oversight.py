"""overview, match, statuses, unfinished, bookmark: what those who look after a queue are told, and what it costs."""

import json
from collections.abc import Iterable

import pytest

from _yadtq.states import STATUSES
from tests.support.script_queue import Hand, ScriptQueue

MINUTE_MS = 60_000


def ended(queue: ScriptQueue, status: str, seconds_ago: Iterable[float]) -> None:
    """Tasks that have ended so long ago: only the index has them."""
    seconds, micro = queue.redis.time()
    now = seconds * 1000 + micro // 1000
    rows = {f"{status}-{n}": round(now - ago * 1000) for n, ago in enumerate(seconds_ago)}
    queue.redis.zadd(queue.key(status), rows)


# -- overview


def test_what_ended_is_counted_by_spans(queue: ScriptQueue) -> None:
    ended(queue, "success", (5, 50, 70, 130, 200))
    ended(queue, "failed", (65, 3600))
    overview = queue.store.overview(MINUTE_MS, 3, 0)
    assert overview.ended == ((1, 0), (1, 1), (2, 0))
    assert abs(overview.now / 1000 - queue.redis.time()[0]) < 5


def test_an_instant_belongs_to_one_span(queue: ScriptQueue) -> None:
    """Spans of a millisecond: whatever the instant is, each ended task is counted once."""
    now = queue.store.overview(MINUTE_MS, 0, 0).now
    queue.redis.zadd(queue.key("success"), {f"t{n}": now + n for n in range(400)})
    overview = queue.store.overview(1, 1000, 0)
    assert max(success for success, _ in overview.ended) == 1
    assert sum(success for success, _ in overview.ended) == min(400, overview.now - now)


def test_a_queue_in_which_nothing_happens(queue: ScriptQueue) -> None:
    overview = queue.store.overview(MINUTE_MS, 1, 5)
    assert (overview.waiting_since, overview.quarantine, overview.relay, overview.leader) == (None, False, "", "")
    assert (overview.servers, overview.failures, overview.ended) == ({}, (), ((0, 0),))


def test_the_task_that_waits_longest_for_its_first_start(queue: ScriptQueue) -> None:
    hand = queue.worker()
    queue.publish(*(queue.task(f"t{n}") for n in range(3)))
    hand.take(0)
    queue.register(queue.task("registered"))
    for n, task_id in enumerate(("t0", "t1", "t2")):
        queue.redis.hset(queue.key(f"task:{task_id}"), "submitted_at", f"{1000 + n}.500")
    queue.redis.zadd(queue.key("registered"), {"registered": 1_001_000})
    assert queue.store.overview(MINUTE_MS, 0, 0).waiting_since == 1_000_500
    claim = hand.take_one()
    assert queue.store.overview(MINUTE_MS, 0, 0).waiting_since == 1_001_000
    queue.redis.zadd(queue.key("registered"), {"registered": 1_003_000})
    hand.settle(claim, "crash")  # it stands before the others, and was started
    assert queue.members("ready")[0] == "t0"
    assert queue.store.overview(MINUTE_MS, 0, 0).waiting_since == 1_001_500
    hand.take(3)
    assert queue.store.overview(MINUTE_MS, 0, 0).waiting_since == 1_003_000
    hand.take(0, [])
    queue.redis.delete(queue.key("registered"))
    assert queue.store.overview(MINUTE_MS, 0, 0).waiting_since is None


def test_a_relay_that_was_not_heard_of_is_none(queue: ScriptQueue) -> None:
    hand = queue.worker()
    hand.beat(relay="5000")
    assert queue.store.overview(MINUTE_MS, 0, 0).relay == hand.name
    queue.pass_lease_time(5)
    assert queue.store.overview(MINUTE_MS, 0, 0).relay == ""


def test_as_many_failures_as_were_asked_for(queue: ScriptQueue) -> None:
    queue.redis.rpush(f"{queue.prefix}failures", *(json.dumps({"worker": f"w~{n}"}) for n in range(5)))
    found = queue.store.overview(MINUTE_MS, 0, 2).failures
    assert [json.loads(entry)["worker"] for entry in found] == ["w~0", "w~1"]


def test_quarantine_is_told(queue: ScriptQueue) -> None:
    queue.worker()
    queue.relay()
    queue.restart()
    queue.lead()
    assert queue.store.overview(MINUTE_MS, 0, 0).quarantine


# -- match and statuses


@pytest.fixture
def mixed(queue: ScriptQueue) -> ScriptQueue:
    """a0 … a9 and b0 … b9 of two kinds, some ended, by two workers."""
    queue.publish(*(queue.task(f"{'ab'[n % 2]}{n // 2}", task=("add", "mul", "add")[n % 3]) for n in range(20)))
    hands = [Hand(queue, name) for name in ("worker1~x", "worker2~y")]
    for hand in hands:
        queue.worker(hand.name)
        for claim in hand.take(5).claims:
            hand.settle(claim, "failed" if claim.id[1] == "2" else "success")
    return queue


@pytest.mark.parametrize("status", ["", *STATUSES])
@pytest.mark.parametrize("task", ["", "add", "mul", "ad"])
@pytest.mark.parametrize("worker", ["", "worker1", "worker"])
@pytest.mark.parametrize("prefix", ["", "a", "a2", "c"])
def test_what_matches_is_found_in_the_order_of_the_list(
    mixed: ScriptQueue, status: str, task: str, worker: str, prefix: str
) -> None:
    listed = mixed.store.ids(status, 0, 1000)
    records = dict(zip(listed, mixed.store.records(listed), strict=True))
    expected = [
        task_id
        for task_id, record in records.items()
        if task_id.startswith(prefix) and task in ("", record["task"]) and worker in ("", record.get("worker_id"))
    ]
    found, place, more = list[str](), 0, True
    while more:
        ids, looked, more = mixed.store.match(status, task, worker, prefix, place, 3, 2)
        assert len(ids) <= 2
        assert looked <= 3
        found += ids
        place += looked
    assert found == expected
    assert place == len(listed)


def test_a_call_looks_at_no_more_than_it_may(queue: ScriptQueue) -> None:
    queue.publish(*(queue.task(f"t{n:04}") for n in range(2500)))
    assert queue.store.match("", "", "", "none", 0, 1000, 50) == ([], 1000, True)
    assert queue.store.match("", "", "", "none", 2000, 1000, 50) == ([], 500, False)
    assert queue.store.match("", "", "", "t", 0, 1000, 3) == (["t2499", "t2498", "t2497"], 3, True)
    assert queue.store.match("", "", "", "t", 2490, 1000, 1) == (["t0009"], 1, True)
    assert queue.store.match("", "", "", "", 9999, 1000, 3) == ([], 0, False)


def test_statuses_come_in_the_order_of_the_ids(mixed: ScriptQueue) -> None:
    withdrawn = mixed.task("w")
    mixed.register(withdrawn)
    mixed.withdraw(withdrawn)
    wanted = ["a0", "nobody", "w", "b2", "b9", *(f"x{n}" for n in range(600)), "a0"]
    assert mixed.store.statuses(wanted) == ["success", "", "", "failed", "queued", *[""] * 600, "success"]
    assert mixed.store.statuses([]) == []


# -- unfinished


def oldest(queue: ScriptQueue, instant: int, step: int = 2) -> tuple[str, str, int]:
    """Walks to the end: the last answer, and how many calls it took."""
    behind, calls = "", 0
    while True:
        word, value = queue.store.unfinished(behind, step, instant)
        calls += 1
        if word != "more":
            return word, value, calls
        behind = value


def submitted_at(queue: ScriptQueue, **seconds: int) -> None:
    for task_id, second in seconds.items():
        queue.redis.hset(queue.key(f"task:{task_id}"), "submitted_at", f"{second}.000")


def test_the_oldest_task_that_has_not_ended_is_found(queue: ScriptQueue) -> None:
    hand = queue.worker()
    queue.publish(*(queue.task(f"t{n}") for n in range(6)))
    submitted_at(queue, **{f"t{n}": 100 + n for n in range(6)})
    claims = hand.take(6).claims
    late = 10**15
    assert oldest(queue, late) == ("found", "100000", 1)
    for claim, kind in zip(claims, ("success", "failed", "success", "retry"), strict=False):
        hand.settle(claim, kind)
    assert oldest(queue, late) == ("found", "103000", 2)
    assert oldest(queue, 103_000)[0] == "none"
    assert oldest(queue, 103_001) == ("found", "103000", 2)
    queue.make_due("t3")
    hand.take(0)
    assert oldest(queue, late)[:2] == ("found", "103000")
    for claim in (*hand.take(1).claims, *claims[4:]):
        hand.settle(claim)
    assert oldest(queue, late) == ("none", "", 4)
    assert oldest(queue, 0) == ("none", "", 1)


def test_a_task_that_was_started_again_by_hand_counts_again(queue: ScriptQueue) -> None:
    hand = queue.worker()
    queue.publish(queue.task("a"))
    hand.settle(hand.take_one(), "failed")
    assert oldest(queue, 10**15)[0] == "none"
    queue.store.retry("a", "r1")
    assert oldest(queue, 10**15)[0] == "found"


def test_rejected_messages_and_what_has_no_record_count_as_ended(queue: ScriptQueue) -> None:
    queue.send_bad()
    queue.publish(queue.task("gone"))
    queue.worker().take(0)
    queue.redis.delete(queue.key("task:gone"))
    assert oldest(queue, 10**15)[0] == "none"


# -- bookmark


def marked(queue: ScriptQueue, *instants: int) -> None:
    """The newest bookmark was made at this instant, the one before it at the one before."""
    key = f"{queue.prefix}bookmarks"
    for name, instant in zip(queue.redis.zrevrange(key, 0, -1), instants, strict=True):
        queue.redis.zadd(key, {name: instant})


def read_some(queue: ScriptQueue, count: int = 1) -> int:
    """Some more messages are read. Returns the position then."""
    queue.publish(*(queue.task(f"b{len(queue.kafka.get(0, [])) + n}") for n in range(count)))
    queue.worker().take(0)
    return queue.store.positions()[0]


def test_a_bookmark_tells_where_the_queue_was(queue: ScriptQueue) -> None:
    now = queue.store.overview(MINUTE_MS, 0, 0).now
    assert queue.store.bookmark(now, 0) == {}  # nothing was read yet
    first = read_some(queue)
    queue.store.bookmark(0, 0)
    second = read_some(queue, 2)
    queue.store.bookmark(0, 0)
    read_some(queue)
    marked(queue, now - 100, now - 200)
    assert queue.store.bookmark(now - 201, 60_000) == {}
    assert queue.store.bookmark(now - 101, 60_000) == {0: first}
    assert queue.store.bookmark(now, 60_000) == {0: second}
    assert queue.store.bookmark(now - 101, 60_000) == {}  # the older one is not kept
    assert queue.redis.zcard(f"{queue.prefix}bookmarks") == 1


def test_bookmarks_are_made_now_and_then(queue: ScriptQueue) -> None:
    for _ in range(3):
        read_some(queue)
        queue.store.bookmark(0, 60_000)
    assert queue.redis.zcard(f"{queue.prefix}bookmarks") == 1
    marked(queue, 1)
    queue.store.bookmark(0, 60_000)
    assert queue.redis.zcard(f"{queue.prefix}bookmarks") == 2


def test_where_nothing_is_read_the_bookmark_stays_as_old_as_it_is(queue: ScriptQueue) -> None:
    position = read_some(queue)
    queue.store.bookmark(0, 0)
    marked(queue, 5)
    assert queue.store.bookmark(5, 0) == {0: position}
    assert queue.store.bookmark(4, 0) == {}


def test_a_bookmark_of_another_edition_of_the_topic_tells_nothing(queue: ScriptQueue) -> None:
    position = read_some(queue)
    queue.store.bookmark(0, 60_000)
    marked(queue, 5)
    queue.redis.hset(f"{queue.prefix}meta", "edition", "1-9")
    assert queue.store.bookmark(10, 10**15) == {}
    now = queue.store.overview(MINUTE_MS, 0, 0).now
    assert queue.store.bookmark(now + 1000, 10**15) == {0: position}  # a new one was made at once


def test_a_thousand_bookmarks_are_kept(queue: ScriptQueue) -> None:
    queue.redis.zadd(f"{queue.prefix}bookmarks", {f" 0:{n}": n for n in range(1500)})
    read_some(queue)
    queue.store.bookmark(0, 60_000)
    assert queue.redis.zcard(f"{queue.prefix}bookmarks") == 1000
