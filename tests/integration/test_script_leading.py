"""begin, apply, open, trim: who leads Redis back, and that nothing of it depends on who, how often, or how far."""

import dataclasses
from typing import Any, cast

import pytest

from _yadtq.errors import Outdated, QueueMissing, RedisRestarted
from _yadtq.outbox import Outbox
from _yadtq.recovery import Recovery
from _yadtq.store import LEADER_MS, Leading
from tests.support.queue_copy import State
from tests.support.script_queue import Hand, ScriptQueue, ids


class Died(Exception):
    """A leader's process is gone."""


class Mortal:
    """Stands before a store or an event log; the process dies after so many calls, or when the last one has acted."""

    def __init__(self, target: object, lives: list[int]) -> None:
        self._target, self._lives = target, lives

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name not in ("begin", "apply", "open"):
            return found

        def call(*arguments: Any) -> Any:
            reply = found(*arguments)
            self._lives[0] -= 1
            if self._lives[0] == 0:
                raise Died
            return reply

        return call


def begun(queue: ScriptQueue, leader: str, least: int = 0) -> Leading:
    leading = queue.store.begin(leader, False, least)
    assert isinstance(leading, Leading)
    return leading


def lead_until(queue: ScriptQueue, calls: int) -> bool:
    """Leads Redis back, and dies after so many calls. Returns whether it came to the end before."""
    lives = [calls]
    store, topic = Mortal(queue.store, lives), Mortal(queue.topic, lives)
    try:
        return Recovery(cast(Any, store), cast(Any, topic), cast(Any, topic)).lead()
    except Died:
        return False


def leader_is_gone(queue: ScriptQueue) -> None:
    """Its time is over."""
    queue.redis.hset(f"{queue.prefix}meta", "attempt_until", 1)


@pytest.fixture
def hand(queue: ScriptQueue) -> Hand:
    return queue.worker("worker1~a1")


@pytest.fixture
def forgotten(queue: ScriptQueue, hand: Hand) -> tuple[dict[str, bytes], State]:
    """A file of Redis, and what was true when Redis was lost; the event log has it all, a part only the outbox too."""
    queue.publish(*(queue.task(f"t{n}") for n in range(8)))
    first, second, _ = hand.take(3).claims
    queue.relay()
    queue.register(queue.task("early"))
    file = queue.dump()
    hand.settle(first, "retry")
    hand.settle(second)
    queue.send_foreign("foreign")
    hand.take(2)
    queue.register(queue.task("late"))
    queue.relay()
    return file, queue.state()


Forgotten = tuple[dict[str, bytes], State]


# -- one at a time


def test_one_leads_at_a_time(queue: ScriptQueue) -> None:
    queue.restart()
    first = begun(queue, "one")
    assert queue.store.begin("other", False, 0) == "led"
    again = begun(queue, "one")  # its answer was lost
    assert (int(again.number), again.generation > first.generation) == (int(first.number) + 1, True)
    leader_is_gone(queue)
    assert int(begun(queue, "other").number) == int(again.number) + 1


def test_each_attempt_has_a_higher_generation(queue: ScriptQueue) -> None:
    """Also when the clock is set back."""
    queue.restart()
    future = queue.redis.time()[0] * 1000 + 3_600_000
    generations = [begun(queue, "one", least).generation for least in (0, future, 0, 0)]
    assert generations[1:] == [future, future + 1, future + 2]
    assert 1 < generations[0] < future


def test_its_time_is_longer_with_each_step(queue: ScriptQueue) -> None:
    queue.restart()
    leading = begun(queue, "one")
    until = int(queue.redis.hget(f"{queue.prefix}meta", "attempt_until"))
    assert 0 < until - queue.redis.time()[0] * 1000 <= LEADER_MS + 1000
    queue.redis.hset(f"{queue.prefix}meta", "attempt_until", 1)
    queue.store.apply(leading, False, [])
    assert int(queue.redis.hget(f"{queue.prefix}meta", "attempt_until")) >= until
    assert queue.store.begin("other", False, 0) == "led"


def test_only_the_newest_attempt_acts(queue: ScriptQueue, forgotten: Forgotten) -> None:
    file, before = forgotten
    queue.restart(back_to=file)
    slow = begun(queue, "slow")
    leader_is_gone(queue)
    newest = begun(queue, "newest")
    entries = [(entry.token, entry.event) for entry in queue.topic.counted()]

    def is_over(leading: Leading) -> None:
        now = queue.dump()
        with pytest.raises(Outdated):
            queue.store.apply(leading, False, entries)
        with pytest.raises(Outdated):
            queue.store.open(leading, {"99": "0"})
        assert queue.dump() == now

    is_over(slow)
    queue.store.apply(newest, False, entries)
    is_over(slow)
    queue.store.open(newest, {})
    queue.equals(before)
    queue.store.register([queue.task("after")])
    is_over(slow)
    is_over(newest)  # its answer was lost, and the queue works


def test_an_attempt_on_an_earlier_run_of_the_server_is_over(queue: ScriptQueue) -> None:
    """After a second restart, from an older file, numbers of attempts come again."""
    queue.restart()
    file = queue.dump()
    early = begun(queue, "early")
    queue.restart(back_to=file)
    late = begun(queue, "late")
    assert late.number == early.number
    stale = dataclasses.replace(early, run="the run before")
    with pytest.raises(Outdated):
        queue.store.open(stale, {})
    assert queue.store.open(late, {}) == "open"


@pytest.mark.parametrize("calls", range(1, 8))
def test_whoever_dies_another_one_comes_to_the_same(queue: ScriptQueue, forgotten: Forgotten, calls: int) -> None:
    """Steps of one entry each: begin, marker, one apply for each, open."""
    file, before = forgotten
    queue.restart(back_to=file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("_yadtq.recovery.STEP_ENTRIES", 2)
        for each in (calls, calls, 100):
            leader_is_gone(queue)
            if lead_until(queue, each):
                break
    queue.equals(before)
    hand = Hand(queue, "worker1~a1")
    hand.number = 2
    assert hand.confirm() == []
    assert queue.counts()["processing"] == 0
    queue.check()


def test_a_second_leader_knows_what_redis_itself_had_kept(queue: ScriptQueue, forgotten: Forgotten) -> None:
    file, _ = forgotten
    queue.restart(back_to=file)
    kept = begun(queue, "one").kept
    assert not lead_until(queue, 1)
    leader_is_gone(queue)
    assert not lead_until(queue, 3)  # begin, marker, apply
    leader_is_gone(queue)
    assert begun(queue, "other").kept == kept == 4


# -- what happens again


def test_what_happened_already_does_not_happen_again(queue: ScriptQueue, forgotten: Forgotten) -> None:
    file, before = forgotten
    queue.restart(back_to=file)
    leading = begun(queue, "one")
    entries = [(entry.token, entry.event) for entry in queue.topic.counted()]
    for part in (entries[:5], entries[:7], entries[3:], entries):
        queue.store.apply(leading, False, part)
    assert queue.store.apply(leading, False, entries[:1]) == len(entries)
    queue.store.open(leading, {})
    queue.equals(before)


def test_a_queue_is_made_anew_from_its_log(queue: ScriptQueue, hand: Hand, forgotten: Forgotten) -> None:
    _, before = forgotten
    queue.redis.unlink(*queue.dump())
    recovery = queue.recovery()
    with pytest.raises(QueueMissing):
        recovery.lead()
    assert recovery.rebuild()
    queue.equals(before)
    assert not recovery.rebuild()
    assert hand.beat()[2]  # its join is in the log
    hand.confirm()
    queue.make_due("t0")
    assert queue.counts()["processing"] == 0
    assert set(ids(hand.take(9))) == {"foreign", *(f"t{n}" for n in range(8) if n != 1)}
    queue.check()


def test_what_a_late_relay_sends_is_void(queue: ScriptQueue) -> None:
    queue.register(queue.task("known"))
    file = queue.dump()
    queue.register(queue.task("void"))
    entries = queue.store.events("0-0", 0.01, 9)
    queue.restart(back_to=file)
    queue.lead()
    queue.topic.append("1", entries)  # read before, and held up
    queue.restart(back_to=file)
    queue.lead()
    assert queue.members("all") == ["known"]
    queue.register(queue.task("new"))
    queue.relay()
    queue.restart(back_to=file)
    queue.lead()
    assert queue.members("all") == ["known", "new"]
    queue.check()


def test_nobody_trims_what_was_sent_in_an_older_generation(queue: ScriptQueue) -> None:
    queue.register(queue.task("a"))
    outbox = Outbox(queue.store, cast(Any, queue.topic))
    assert outbox.forward(0.0) == 1
    queue.register(queue.task("b"))
    queue.restart()
    queue.lead()
    with pytest.raises(Outdated):
        queue.store.trim("1-2", "1", 9)
    assert outbox.forward(0.0) == 0  # sent, with the generation that it knew: void
    assert len(queue.store.events("0-0", 0.01, 9)) == 1
    assert outbox.forward(0.0) == 1
    assert [entry.seq for entry in queue.topic.counted()] == [1, 2]
    assert queue.redis.hget(f"{queue.prefix}meta", "events_offset") == str(len(queue.topic.entries))


def test_the_log_is_read_from_what_the_outbox_left_last(queue: ScriptQueue) -> None:
    queue.register(queue.task("a"))
    queue.relay()
    queue.register(queue.task("b"))
    queue.restart()
    assert begun(queue, "one").offset == len(queue.topic.entries)
    queue.topic.entries[1] = dataclasses.replace(queue.topic.entries[1], event="it is not read")
    leader_is_gone(queue)
    assert queue.lead() == "open"
    assert queue.members("all") == ["a", "b"]


def test_who_finds_a_newer_generation_in_the_log_begins_anew(queue: ScriptQueue) -> None:
    newer = queue.redis.time()[0] * 1000 + 3_600_000
    queue.topic.begin(newer, newer - 1, 0)
    queue.register(queue.task("a"))
    queue.restart()
    assert queue.lead() == "open"
    generation = int(queue.store.generation())
    assert generation > newer
    assert queue.topic.entries[-1].generation == generation
    queue.relay()
    assert [entry.seq for entry in queue.topic.counted()] == [1]


# -- what must be in the log before it holds


def test_a_worker_takes_nothing_before_its_join_is_in_the_log(queue: ScriptQueue) -> None:
    queue.publish(queue.task("a"))
    queue.store.join("worker1~a1", "{}", 3, "")
    hand = Hand(queue, "worker1~a1")
    assert hand.take().claims == ()
    assert queue.members("ready") == ["a"]
    subscription = queue.store.subscription(queue.store.keys.wake(hand.name))
    subscription.open()
    queue.store.trim("1-1", "1", 1)  # only what was before it
    assert hand.take().claims == ()
    queue.relay()
    assert subscription.get(5) == "ready"
    assert ids(hand.take()) == ["a"]
    subscription.close()


def test_a_reset_holds_when_it_is_in_the_log(queue: ScriptQueue) -> None:
    queue.register(queue.task("a"))
    queue.relay()
    file = queue.dump()
    outbox = Outbox(queue.store, cast(Any, queue.topic))
    restarts = [file]

    def reset() -> tuple[int, str]:
        answer = queue.store.reset("r1", {})
        if restarts:  # before its event has left Redis
            queue.restart(back_to=restarts.pop())
            queue.lead()
        return answer

    assert outbox.recorded(reset) == 1
    queue.restart(back_to=file)
    queue.lead()
    assert queue.counts()["queued"] == 0


def test_the_last_sixteen_resets_are_known(queue: ScriptQueue) -> None:
    answers: dict[str, tuple[int, str]] = {}
    file = queue.dump()
    for n in range(17):
        queue.register(queue.task(f"t{n}"))
        answers[f"r{n}"] = queue.store.reset(f"r{n}", {})
    queue.relay()
    queue.restart(back_to=file)
    queue.lead()
    before = queue.dump()
    for n in range(1, 17):
        assert queue.store.reset(f"r{n}", {}) == answers[f"r{n}"] == (1, f"1-{2 * n + 2}")
    assert queue.dump() == before


def test_who_cannot_lead_waits(queue: ScriptQueue) -> None:
    queue.restart()
    begun(queue, "other")
    with pytest.raises(RedisRestarted):
        queue.register(queue.task("a"))
    assert queue.lead() == "led"
