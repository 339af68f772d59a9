"""Before it does anything, each script looks at what it speaks to: no queue, a newer program's, a restarted server."""

from collections.abc import Callable

import pytest

from _yadtq.claims import Claim
from _yadtq.errors import InQuarantine, Outdated, ProtocolTooNew, QueueMissing, RedisRestarted, YadtqError
from _yadtq.store import Leading
from tests.support.script_queue import ScriptQueue

Call = Callable[[ScriptQueue], object]

CLAIM = Claim("a", "add", "[]", "{}", 1, 0, 0, None, None, "0", "1-9")
LEADING = Leading("1", "another server", 2, 1, 0, 0)
CALLS: dict[str, Call] = {
    "register": lambda q: q.register(q.task("b")),
    "withdraw": lambda q: q.withdraw(q.task("b")),
    "take": lambda q: q.store.take("w~1", 1, 0, 1, "", []),
    "settle": lambda q: q.store.settle("w~1", [], 0.0),
    "beat": lambda q: q.store.beat("w~1", "online", 0, "", "", ""),
    "join": lambda q: q.store.join("w~2", "{}", 1, "5000"),
    "confirm": lambda q: q.store.confirm("w~1", 0, [CLAIM]),
    "leave": lambda q: q.store.leave("w~1"),
    "retry": lambda q: q.store.retry("failed", "r"),
    "reset": lambda q: q.store.reset("r", {}),
    "tidy": lambda q: q.store.tidy(),
    "trim": lambda q: q.store.trim("1-1", "1", 1),
    "unpublished": lambda q: q.store.unpublished(None, 0, 1),
    "watch": lambda q: q.store.watch("c", ["a"]),
    "list": lambda q: q.store.ids("", 0, 1),
    "view": lambda q: q.store.records(["a"]),
    "stats": lambda q: q.store.stats(),
    "workers": lambda q: q.store.workers(),
}
LEADERS: dict[str, Call] = {
    "apply": lambda q: q.store.apply(LEADING, False, [("1-9", '{"seq":9,"epoch":0,"at":"1.000","tasks":[]}')]),
    "open": lambda q: q.store.open(LEADING, {"2": "0"}),
}


def something(queue: ScriptQueue) -> None:
    """A worker that holds a task, one that waits, one that failed: each call could change something."""
    hand = queue.worker("w~1")
    queue.publish(queue.task("failed"), queue.task("a"))
    failed, _ = hand.take(2).claims
    hand.settle(failed, "failed")


def refuses(queue: ScriptQueue, call: Call, error: type[YadtqError]) -> None:
    """The call raises the error, and changes nothing at all."""
    before = queue.dump()
    with pytest.raises(error):
        call(queue)
    assert queue.dump() == before


def test_a_queue_begins_once(queue: ScriptQueue) -> None:
    queue.register(queue.task("a"))
    before = queue.redis.hgetall(f"{queue.prefix}meta")
    queue.found(99)
    assert queue.redis.hgetall(f"{queue.prefix}meta") == before
    assert (before["protocol"], before["generation"], before["epoch"]) == ("1", "1", "0")
    assert (before["run"], before.get("mode")) == (queue.redis.info("server")["run_id"], None)


@pytest.mark.parametrize("call", CALLS | LEADERS)
def test_without_a_queue_nothing_begins_one(queue: ScriptQueue, call: str) -> None:
    something(queue)
    queue.redis.delete(f"{queue.prefix}meta")
    refuses(queue, (CALLS | LEADERS)[call], QueueMissing)


def test_to_lead_does_not_begin_a_queue(queue: ScriptQueue) -> None:
    queue.redis.delete(f"{queue.prefix}meta")
    refuses(queue, lambda q: q.store.begin("leader", False, 1), QueueMissing)


@pytest.mark.parametrize("call", CALLS | LEADERS)
def test_what_a_newer_program_wrote_is_not_touched(queue: ScriptQueue, call: str) -> None:
    something(queue)
    queue.redis.hset(f"{queue.prefix}meta", "protocol", "2")
    refuses(queue, (CALLS | LEADERS)[call], ProtocolTooNew)


def test_nor_is_it_led_back(queue: ScriptQueue) -> None:
    queue.redis.hset(f"{queue.prefix}meta", mapping={"protocol": "2", "run": "an earlier one"})
    refuses(queue, lambda q: q.store.begin("leader", True, 1), ProtocolTooNew)


@pytest.mark.parametrize("call", CALLS)
def test_a_restarted_server_answers_nothing_until_it_is_led_back(queue: ScriptQueue, call: str) -> None:
    something(queue)
    queue.restart()
    refuses(queue, CALLS[call], RedisRestarted)


@pytest.mark.parametrize("call", CALLS)
def test_also_while_it_is_led_back(queue: ScriptQueue, call: str) -> None:
    something(queue)
    queue.restart()
    assert isinstance(queue.store.begin("leader", False, 1), Leading)
    refuses(queue, CALLS[call], RedisRestarted)


@pytest.mark.parametrize("call", CALLS)
def test_also_when_a_queue_was_begun_and_is_not_yet_open(queue: ScriptQueue, call: str) -> None:
    queue.redis.delete(*queue.dump())
    assert isinstance(queue.store.begin("leader", True, 1), Leading)
    refuses(queue, CALLS[call], RedisRestarted)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("call", LEADERS)
def test_who_was_not_elected_leads_nothing_back(queue: ScriptQueue, call: str, restarted: bool) -> None:
    something(queue)
    if restarted:
        queue.restart()
    refuses(queue, LEADERS[call], Outdated)


@pytest.mark.parametrize("call", ["take", "settle"])
def test_in_quarantine_nothing_is_handed_out_or_settled(queue: ScriptQueue, call: str) -> None:
    something(queue)
    queue.restart()
    assert queue.lead() == "quarantine"
    refuses(queue, CALLS[call], InQuarantine)


@pytest.mark.parametrize("call", sorted(CALLS.keys() - {"take", "settle"}))
def test_all_else_goes_on(queue: ScriptQueue, call: str) -> None:
    something(queue)
    queue.restart()
    assert queue.lead() == "quarantine"
    if call == "trim":  # what was sent before may be void
        refuses(queue, CALLS[call], Outdated)
    else:
        CALLS[call](queue)
