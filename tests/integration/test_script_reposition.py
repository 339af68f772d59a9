"""reposition: the one script that lowers positions changes only what its caller saw, and voids what was read before."""

import dataclasses
from collections.abc import Callable

import pytest

from _yadtq.claims import Answer, Assigned
from _yadtq.intake import Intake
from _yadtq.store import Leading, Store
from _yadtq.topic import Change, Repositioning, Standing, Topic, compare
from tests.support.script_queue import Hand, ScriptQueue


def topic(topic_id: str = "A", *ends: int, starts: tuple[int, ...] = (0, 0)) -> Topic:
    return Topic("q_tasks", topic_id, dict(enumerate(starts)), dict(enumerate(ends or (9, 9))))


def seen(queue: ScriptQueue, now: Topic) -> Repositioning:
    change = compare(queue.store.standing(), now)
    assert change is not None
    return change


def reposition(queue: ScriptQueue, now: Topic) -> bool:
    """Whether the script has changed anything."""
    return queue.store.reposition(seen(queue, now))[0]


@pytest.fixture
def hand(queue: ScriptQueue) -> Hand:
    """A worker that has read five messages of each partition of the topic A."""
    worker = queue.worker()
    for n in range(10):
        queue.send_foreign(f"t{n}", partition=n % 2)
    reposition(queue, topic())
    worker.take(0)
    assert queue.store.standing() == Standing("A", "", 2, {0: 5, 1: 5}, {})
    return worker


def test_the_first_look_notes_the_topic(queue: ScriptQueue) -> None:
    queue.send_foreign("a")
    worker = queue.worker()
    worker.take(0)  # before anybody has looked
    assert reposition(queue, topic())
    assert queue.store.standing() == Standing("A", "", 2, {0: 1}, {})
    event = queue.events()[-1]
    assert (event["action"], event["topic"], event["partitions"], event["edition"]) == ("reposition", "A", 2, "")
    assert "tasks" not in event
    queue.send_foreign("b")
    assert worker.take(0).answers == (Answer(0, "admitted", 2),)


def test_another_topic_is_read_from_its_start(queue: ScriptQueue, hand: Hand) -> None:
    queue.redis.hset(f"{queue.prefix}floors", "0", "4")
    assert reposition(queue, topic("B", 3, 0, 0, starts=(0, 0, 0)))
    standing, event = queue.store.standing(), queue.events()[-1]
    assert standing == Standing("B", f"1-{event['seq']}", 3, {0: 0, 1: 0, 2: 0}, {})
    assert (event["anew"], event["positions"], event["edition"]) == (True, {"0": 0, "1": 0, "2": 0}, standing.edition)
    queue.check()


def test_what_was_read_of_the_topic_before_is_not_admitted(queue: ScriptQueue, hand: Hand) -> None:
    late = [queue.read(0, began=0)]  # all of it, and it begins where the other topic does
    assert reposition(queue, topic("B"))
    assert hand.take(0, late).answers == (Answer(0, "moved", 0),)
    assert queue.store.positions() == {0: 0, 1: 0}
    queue.kafka = {0: [], 1: []}
    queue.send_foreign("new")
    hand.edition = queue.store.standing().edition
    assert hand.take(0).answers == (Answer(0, "admitted", 1), Answer(1, "admitted", 0))
    assert queue.status("new") == "queued"


@pytest.mark.parametrize(
    ("now", "positions"),
    [(topic("A", 3, 9), {0: 3, 1: 5}), (topic("A", 9, 9, starts=(7, 0)), {0: 7, 1: 5})],
    ids=["tail", "head"],
)
def test_a_cut_moves_its_partition_alone(queue: ScriptQueue, hand: Hand, now: Topic, positions: dict[int, int]) -> None:
    assert reposition(queue, now)
    standing, event = queue.store.standing(), queue.events()[-1]
    assert (standing.positions, standing.topic, standing.edition) == (positions, "A", f"1-{event['seq']}")
    assert (event["positions"], "anew" in event) == ({"0": positions[0]}, False)
    assert hand.take(0, [queue.read(1, began=5)]).answers == (Answer(1, "moved", 5),)
    queue.check()


def test_a_floor_above_the_end_is_lowered_and_voids_no_read(queue: ScriptQueue, hand: Hand) -> None:
    queue.redis.hset(f"{queue.prefix}floors", "0", "8")
    assert reposition(queue, topic("A", 6, 9))
    assert queue.store.standing() == Standing("A", "", 2, {0: 5, 1: 5}, {0: 6})
    assert queue.events()[-1]["floors"] == {"0": 6}
    queue.check()


def test_more_partitions_void_no_read(queue: ScriptQueue, hand: Hand) -> None:
    assert reposition(queue, topic("A", 9, 9, 9, starts=(0, 0, 2)))
    assert queue.store.standing() == Standing("A", "", 3, {0: 5, 1: 5, 2: 2}, {})


@pytest.mark.parametrize("now", [topic("B"), topic("A", 3, 9), topic("A", 9, 9, starts=(7, 0))])
def test_two_that_notice_at_once_change_it_once(queue: ScriptQueue, hand: Hand, now: Topic) -> None:
    first, second = seen(queue, now), seen(queue, now)
    moved, edition = queue.store.reposition(first)
    assert moved
    after = queue.store.standing()
    assert queue.store.reposition(second) == (False, edition)
    assert queue.store.standing() == after


def test_a_late_call_changes_nothing(queue: ScriptQueue, hand: Hand) -> None:
    """The queue has read on to where the caller saw it, of the same topic, or of one with the same name."""
    cut, replaced = seen(queue, topic("A", 3, 9)), seen(queue, topic("B"))
    queue.store.reposition(cut)
    hand.edition = queue.store.standing().edition
    hand.take(0)
    assert queue.store.positions() == {0: 5, 1: 5}
    for late in (cut, replaced):
        assert queue.store.reposition(late)[0] is False
    assert queue.store.standing().topic == "A"
    assert queue.store.positions() == {0: 5, 1: 5}


def test_a_position_that_has_moved_on_is_not_lowered(queue: ScriptQueue, hand: Hand) -> None:
    change = seen(queue, topic("A", 3, 9))
    queue.send_foreign("more")
    hand.take(0)
    assert queue.store.reposition(change)[0] is False
    assert queue.store.positions() == {0: 6, 1: 5}


def test_a_repeated_call_is_the_same_one(queue: ScriptQueue, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reply was lost: whoever moved the queue says so, and nobody else."""
    call: Callable[..., list[str]] = queue.store.call
    replies: list[list[str]] = []

    def twice(*given: str | int) -> list[str]:
        replies.extend((call(*given), call(*given)))
        return replies[-1]

    change = seen(queue, topic("B"))
    monkeypatch.setattr(queue.store, "call", twice)
    moved, _ = queue.store.reposition(change)
    assert moved
    assert replies[0] == replies[1]
    assert [event.get("topic") for event in queue.events()].count("B") == 1


def test_a_rejected_message_does_not_hide_one_of_another_topic(queue: ScriptQueue) -> None:
    worker = queue.worker()
    reposition(queue, topic())
    queue.send_bad(b"old")
    worker.take(0)
    assert reposition(queue, topic("B"))
    worker.edition = edition = queue.store.standing().edition
    queue.kafka = {0: []}
    queue.send_bad(b"new")
    worker.take(0)
    assert queue.status("rejected-0-0") == queue.status(f"rejected-0-0-{edition}") == "rejected"
    assert reposition(queue, topic("C"))
    worker.edition = queue.store.standing().edition
    queue.kafka = {0: []}
    queue.send_bad(b"old")  # the same message at the same place
    worker.take(0)
    assert sorted(queue.store.ids("rejected", 0, 9)) == ["rejected-0-0", f"rejected-0-0-{edition}"]


def test_an_intake_and_the_script_agree(queue: ScriptQueue, hand: Hand) -> None:
    intake, both = Intake(), frozenset((0, 1))
    intake.assign([Assigned(both, 1, "A")], queue.store.standing())
    assert intake.edition == ""
    reposition(queue, topic("B"))
    intake.assign([Assigned(both, 2, "B")], queue.store.standing())
    hand.edition = intake.edition
    queue.kafka = {0: [], 1: []}
    assert hand.take(0).answers == (Answer(0, "admitted", 0), Answer(1, "admitted", 0))


def test_a_change_of_a_partition_that_nobody_has_read(queue: ScriptQueue, hand: Hand) -> None:
    standing = queue.store.standing()
    change = Repositioning(standing, topic("A"), (Change("position", 7, None, 4),), "", is_certain=True)
    assert queue.store.reposition(change) == (True, "")
    assert queue.store.reposition(change) == (False, "")
    assert queue.store.positions()[7] == 4


def led_back(queue: ScriptQueue, keep: bool) -> Standing:
    """What an empty Redis makes of the events; keep: as if some before them were missing."""
    copy = Store(dataclasses.replace(queue.settings, namespace=f"{queue.settings.namespace}-led"))
    leading = copy.begin("test", True, 1)
    assert isinstance(leading, Leading)
    copy.apply(leading, keep, queue.entries())
    copy.open(leading, {})
    standing = copy.standing()
    copy.close()
    queue.redis.unlink(*queue.redis.scan_iter(match=f"{copy.keys.prefix}*", count=1000))
    return standing


def test_a_redis_that_is_led_back_reads_the_topic_from_the_right_place(queue: ScriptQueue, hand: Hand) -> None:
    reposition(queue, topic("A", 3, 9))
    assert led_back(queue, keep=False) == queue.store.standing()
    reposition(queue, topic("B"))
    assert led_back(queue, keep=False) == queue.store.standing()


def test_behind_missing_events_nothing_is_passed_over(queue: ScriptQueue, hand: Hand) -> None:
    """What was read in between is read again: a head that was cut then is noticed anew."""
    reposition(queue, topic("A", 9, 9, starts=(7, 0)))
    assert led_back(queue, keep=True) == Standing("A", queue.store.standing().edition, 2, {}, {})
