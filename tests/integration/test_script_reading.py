"""list, view, watch, stats and unpublished: what the queue tells, and that all of it agrees."""

import pytest

from tests.support.script_queue import ScriptQueue


def a_bit_of_everything(queue: ScriptQueue) -> None:
    """Two tasks of each kind: registered, ready, delayed, processing, success, failed, rejected."""
    hand = queue.worker()
    queue.publish(
        *(queue.task(f"{kind}{n}") for kind in ("delayed", "success", "failed", "processing") for n in (1, 2))
    )
    queue.send_bad()
    queue.send_bad()
    claims = {claim.id: claim for claim in hand.take(8).claims}
    for n in (1, 2):
        hand.settle(claims[f"delayed{n}"], "retry", delay=60 * n)
        hand.settle(claims[f"success{n}"])
        hand.settle(claims[f"failed{n}"], "failed")
        queue.redis.zadd(queue.key("success"), {f"success{n}": n + 1e12})
        queue.redis.zadd(queue.key("failed"), {f"failed{n}": n + 1e12})
        queue.redis.zadd(queue.key("rejected"), {f"rejected-0-{7 + n}": n + 1e12})
    queue.publish(queue.task("ready1"), queue.task("ready2"))
    hand.take(0)
    queue.register(queue.task("registered1"))
    queue.register(queue.task("registered2"))
    queue.redis.zadd(queue.key("registered"), {"registered1": 1e12, "registered2": 2e12})


# -- list


def test_all_tasks_are_listed_newest_first(queue: ScriptQueue) -> None:
    queue.register(*(queue.task(f"t{n}") for n in range(5)))
    queue.register(queue.task("last"))
    assert queue.store.ids("", 0, 100) == ["last", "t4", "t3", "t2", "t1", "t0"]
    assert queue.store.ids("", 2, 2) == ["t3", "t2"]
    assert queue.store.ids("", 6, 2) == []


@pytest.mark.parametrize("status", ["processing", "success", "failed", "rejected"])
def test_a_status_is_listed_newest_first(queue: ScriptQueue, status: str) -> None:
    a_bit_of_everything(queue)
    names = ["rejected-0-9", "rejected-0-8"] if status == "rejected" else [f"{status}2", f"{status}1"]
    assert queue.store.ids(status, 0, 10) == names
    assert queue.store.ids(status, 1, 10) == names[1:]


def test_queued_tasks_are_listed_over_their_three_indexes(queue: ScriptQueue) -> None:
    a_bit_of_everything(queue)
    whole = ["registered2", "registered1", "ready2", "ready1", "delayed2", "delayed1"]
    assert queue.store.ids("queued", 0, 100) == whole
    for first in range(8):
        for count in range(8):
            assert queue.store.ids("queued", first, count) == whole[first : first + count], (first, count)


def test_pages_of_a_long_list_join(queue: ScriptQueue) -> None:
    queue.publish(*(queue.task(f"t{n:03}") for n in range(130)))
    queue.worker().take(0)
    queue.register(*(queue.task(f"u{n:03}") for n in range(30)))
    for status in ("", "queued"):
        pages = [queue.store.ids(status, first, 25) for first in range(0, 200, 25)]
        assert [task_id for page in pages for task_id in page] == queue.store.ids(status, 0, 1000)
        assert len(queue.store.ids(status, 0, 1000)) == 160


# -- view


def test_records_come_in_the_order_of_the_ids(queue: ScriptQueue) -> None:
    queue.register(*(queue.task(f"t{n}", f"[{n}]") for n in range(1200)))
    wanted = ["t7", "none", *(f"t{n}" for n in range(1200)), "t7"]
    records = queue.store.records(wanted)
    assert [record.get("args", "") for record in records] == [
        "[7]", "", *(f"[{n}]" for n in range(1200)), "[7]",
    ]  # fmt: skip
    assert queue.store.records([]) == []


def test_a_withdrawn_task_is_not_seen(queue: ScriptQueue) -> None:
    task = queue.task("a")
    queue.register(task)
    queue.withdraw(task)
    assert (queue.store.records(["a"]), queue.store.ids("", 0, 9), queue.store.watch("c", ["a"])) == (
        [{}], [], ["absent"],
    )  # fmt: skip


def test_text_of_any_kind_comes_back_as_it_went(queue: ScriptQueue) -> None:
    name = "ünïcode 任務 @~ {yadtq}"
    queue.publish(queue.task(name, '["\\u0000\\ud800"]', task="a task"))
    hand = queue.worker("wörker 1~a1")
    claim = hand.take_one()
    assert (claim.id, claim.args, claim.task) == (name, '["\\u0000\\ud800"]', "a task")
    hand.beat(running=[claim])
    queue.lapse(hand.name)
    queue.worker("w2~b2").beat()
    (entry,) = queue.history(name)
    assert (entry["w"], entry["o"], queue.record(name)["crashes"]) == ("wörker 1", "reclaim", "1")
    queue.check()


# -- watch


def test_watch_says_what_has_ended(queue: ScriptQueue) -> None:
    a_bit_of_everything(queue)
    words = {
        "registered1": "waiting", "ready1": "waiting", "delayed1": "waiting", "processing1": "waiting",
        "success1": "ended", "failed1": "ended", "rejected-0-8": "ended", "nobody": "absent",
    }  # fmt: skip
    assert dict(zip(words, queue.store.watch("channel", list(words)), strict=True)) == words


def test_a_task_remembers_its_last_twenty_watchers(queue: ScriptQueue) -> None:
    queue.register(queue.task("a"))
    for n in range(25):
        for _ in range(2):
            queue.store.watch(f"channel{n}", ["a"])
    assert queue.record("a")["waiters"].split() == [f"channel{n}" for n in range(5, 25)]


@pytest.mark.parametrize("end", ["success", "failed", "crash", "lapse"])
def test_a_watcher_hears_of_every_end(queue: ScriptQueue, end: str) -> None:
    one_crash = queue.limited(task_max_crashes=1)
    queue.publish(queue.task("a"))
    hand = one_crash.worker("worker1~a1")
    claim = hand.take_one()
    subscription = queue.store.subscription()
    subscription.open()
    queue.store.watch(subscription.channel, ["a"])
    if end == "lapse":
        queue.lapse(hand.name)
        one_crash.worker("worker2~b2").beat()
    else:
        hand.settle(claim, end, reason="it died")
    assert subscription.get(5) == "a"
    assert queue.status("a") == ("success" if end == "success" else "failed")
    subscription.close()


# -- stats


def test_stats_count_everything_at_one_instant(queue: ScriptQueue) -> None:
    a_bit_of_everything(queue)
    reply = queue.store.stats()
    assert [int(value) for value in reply[3:10]] == [2] * 7
    assert reply[10] == len(queue.events())
    assert queue.store.positions() == {0: 12}
    assert queue.counts() == {"queued": 6, "processing": 2, "success": 2, "failed": 2, "rejected": 2}
    queue.check_agreement()


# -- unpublished


def test_what_was_registered_long_ago_and_never_read_is_found(queue: ScriptQueue) -> None:
    tasks = [queue.task("a", "[1]", max_retries="2", time_limit="3"), queue.task("b"), queue.task("c")]
    for task in tasks:
        queue.register(task)
    now, epoch, found = queue.store.unpublished(None, 60_000, 10)
    assert (epoch, found) == ("0", [])
    queue.redis.zadd(queue.key("registered"), {"a": now - 61_000, "b": now - 60_500})
    _, _, found = queue.store.unpublished(None, 60_000, 10)
    assert [(task.id, mark) for task, mark in found] == [("a", "1-1"), ("b", "1-2")]
    found_task = found[0][0]
    assert found_task.value() == tasks[0].value()
    assert len(queue.store.unpublished(None, 60_000, 1)[2]) == 1
    assert queue.store.unpublished(now - 61_000, 60_000, 10)[2] == []  # as of an earlier instant
