"""settle and retry: outcomes are fenced by their claim, recorded once, and a failed task can be started again."""

import json

import pytest

from _yadtq.claims import Claim, Outcome
from _yadtq.errors import OutboxFull
from _yadtq.records import task_of
from tests.support.script_queue import FAILURE, Hand, ScriptQueue, ids


@pytest.fixture
def hand(queue: ScriptQueue) -> Hand:
    return queue.worker("worker1~a1")


def taken(queue: ScriptQueue, hand: Hand, task_id: str = "a") -> Claim:
    queue.publish(queue.task(task_id))
    return hand.take_one()


# -- how attempts end


def test_success(queue: ScriptQueue, hand: Hand) -> None:
    assert hand.settle(taken(queue, hand), text='{"x":[1.50]}') == "settled"
    task = task_of("a", queue.record("a"))
    assert (task.status, str(task.result["x"][0]), task.error, task.attempt) == ("success", "1.50", None, 1)
    assert task.finished_at - task.started_at == pytest.approx(0.5, abs=0.002)  # what the worker measured
    event = queue.events()[-1]["tasks"][0]
    assert (event["action"], event["result"], event["worker"], event["attempt"]) == (
        "success", '{"x":[1.50]}', "worker1~a1", 1,
    )  # fmt: skip
    assert event["finished_at"] == queue.record("a")["finished_at"]
    queue.check()


def test_failed(queue: ScriptQueue, hand: Hand) -> None:
    hand.settle(taken(queue, hand), "failed")
    task = task_of("a", queue.record("a"))
    assert (task.status, str(task.error), task.failures) == ("failed", "ValueError: no", 1)
    assert queue.events()[-1]["tasks"][0]["error"] == FAILURE
    queue.check()


def test_failed_without_ever_having_begun(queue: ScriptQueue, hand: Hand) -> None:
    assert hand.settle(taken(queue, hand), "failed", begun=False) == "settled"
    assert queue.record("a")["started_at"] == queue.record("a")["finished_at"]
    queue.check()


def test_retry_waits_and_keeps_its_history(queue: ScriptQueue, hand: Hand) -> None:
    hand.settle(taken(queue, hand), "retry", reason="ValueError: no", delay=60)
    task = task_of("a", queue.record("a"))
    assert (task.status, task.failures, task.crashes, task.attempt, str(task.error)) == (
        "queued", 1, 0, 1, "ValueError: no",
    )  # fmt: skip
    assert task.retry_at == pytest.approx(task.submitted_at + 60, abs=10)
    (attempt,) = task.history
    assert (attempt.number, attempt.worker_id, attempt.outcome, attempt.reason) == (
        1, "worker1", "retry", "ValueError: no",
    )  # fmt: skip
    assert (task.worker_id, task.started_at) == ("", 0.0)
    queue.make_due("a")
    hand.settle(hand.take_one())
    ended = task_of("a", queue.record("a"))
    assert (ended.status, ended.error, ended.failures, len(ended.attempts)) == ("success", None, 1, 2)
    queue.check()


def test_release_of_what_had_not_begun_leaves_no_trace(queue: ScriptQueue, hand: Hand) -> None:
    before = {"status", "task", "args", "kwargs", "submitted_at", "submitted_by", "order", "mark"}
    hand.settle(taken(queue, hand), "release", reason="its worker stops", begun=False)
    record = queue.record("a")
    assert (record["status"], record["attempt"], record.keys() & {"failures", "crashes", "history"}) == (
        "queued", "0", set(),
    )  # fmt: skip
    assert before <= record.keys()
    assert hand.take_one().attempt == 1
    queue.check()


def test_release_of_what_had_begun_burns_nothing(queue: ScriptQueue, hand: Hand) -> None:
    hand.settle(taken(queue, hand), "release", reason="its worker stopped it")
    claim = hand.take_one()
    assert (claim.attempt, claim.failures, claim.crashes) == (2, 0, 0)
    assert [entry["o"] for entry in queue.history("a")] == ["release"]
    queue.check()


def test_what_comes_back_is_first_in_its_old_order(queue: ScriptQueue, hand: Hand) -> None:
    queue.publish(*(queue.task(f"t{n}") for n in range(5)))
    claims = hand.take(3).claims
    outcomes = [Outcome(claim, "release", 1.0) for claim in claims]
    assert queue.store.settle(hand.name, outcomes, 1.0) == ["settled"] * 3
    assert queue.members("ready") == [f"t{n}" for n in range(5)]


def test_a_crash_counts_until_the_cap(queue: ScriptQueue, hand: Hand) -> None:
    queue.publish(queue.task("a"))
    for crashes in (1, 2):
        hand.settle(hand.take_one(), "crash", reason="its process died")
        assert (queue.status("a"), queue.record("a")["crashes"]) == ("queued", str(crashes))
    hand.settle(hand.take_one(), "crash", reason="its process died")
    task = task_of("a", queue.record("a"))
    assert (task.status, task.crashes, task.failures, task.attempt) == ("failed", 3, 0, 3)
    assert str(task.error) == "TooManyCrashes: its process died; it crashed 3 times, and is not started again"
    assert [a.outcome for a in task.attempts] == ["crash", "crash", "failed"]
    queue.check()


def test_a_history_keeps_its_last_twenty_attempts(queue: ScriptQueue, hand: Hand) -> None:
    queue.publish(queue.task("a"))
    for _ in range(23):
        hand.settle(hand.take_one(), "release", reason="r" * 10)
    assert [entry["n"] for entry in queue.history("a")] == list(range(4, 24))
    assert len(task_of("a", queue.record("a")).attempts) == 20


def test_outcomes_of_one_call_are_one_event(queue: ScriptQueue, hand: Hand) -> None:
    queue.publish(*(queue.task(f"t{n}") for n in range(250)))
    claims = hand.take(250).claims
    assert (
        queue.store.settle(hand.name, [Outcome(c, "success", 1.0, 0.5, "1") for c in claims], 1.0) == ["settled"] * 250
    )
    assert [t["id"] for t in queue.events()[-1]["tasks"]] == [claim.id for claim in claims]
    queue.check()


# -- repeated and lost


@pytest.mark.parametrize("kind", ["success", "failed", "retry", "crash", "release"])
def test_a_repeated_settle_is_already_done(queue: ScriptQueue, hand: Hand, kind: str) -> None:
    claim = taken(queue, hand)
    assert [hand.settle(claim, kind), hand.settle(claim, kind)] == ["settled", "already"]
    assert queue.transitions("a") == ["register", "take", kind]
    queue.check()


@pytest.mark.parametrize("kind", ["retry", "crash", "release"])
def test_also_when_the_task_was_taken_again_meanwhile(queue: ScriptQueue, hand: Hand, kind: str) -> None:
    claim = taken(queue, hand)
    hand.settle(claim, kind)
    queue.make_due("a") if kind == "retry" else None
    other = queue.worker("worker2~a1")
    second = other.take_one()
    assert hand.settle(claim, kind) == "already"
    assert other.settle(second) == "settled"
    assert hand.settle(claim, kind) == "already"
    assert queue.status("a") == "success"
    queue.check()


def test_also_when_a_person_has_retried_the_task_meanwhile(queue: ScriptQueue, hand: Hand) -> None:
    claim = taken(queue, hand)
    hand.settle(claim, "failed")
    assert queue.store.retry("a", "r1") == "requeued"
    assert hand.settle(claim, "failed") == "already"
    hand.take_one()
    assert hand.settle(claim, "failed") == "already"
    queue.check()


def test_the_outcome_of_a_lost_claim_is_refused_and_recorded_once(queue: ScriptQueue, hand: Hand) -> None:
    claim = taken(queue, hand)
    queue.lapse(hand.name)
    other = queue.worker("worker2~a1")
    other.beat()  # reclaims it
    assert queue.status("a") == "queued"
    for _ in range(2):
        assert hand.settle(claim) == "refused"
    second = other.take_one()
    assert hand.settle(claim) == "refused"
    assert queue.status("a") == "processing"
    assert other.settle(second, text="7") == "settled"
    assert hand.settle(claim) == "refused"
    assert (queue.status("a"), queue.record("a")["result"]) == ("success", "7")
    assert queue.transitions("a").count("refused") == 1
    assert [entry["o"] for entry in queue.history("a")].count("refused") == 1
    queue.check()


def test_the_token_decides_and_not_the_attempt(queue: ScriptQueue, hand: Hand) -> None:
    claim = taken(queue, hand)
    hand.settle(claim, "release", begun=False)
    again = hand.take_one()
    assert (again.attempt, again.token != claim.token) == (claim.attempt, True)
    other = queue.worker("worker2~a1")
    assert other.settle(again) == "refused"  # another worker's
    assert hand.settle(again) == "settled"


@pytest.mark.parametrize("gone", ["reset", "never"])
def test_an_outcome_for_what_does_not_exist_is_refused(queue: ScriptQueue, hand: Hand, gone: str) -> None:
    claim = taken(queue, hand)
    if gone == "reset":
        queue.store.reset("r1", {})
        queue.publish(queue.task("a"))
    else:
        queue.redis.delete(queue.key("task:a"))
        queue.redis.zrem(queue.key("all"), "a")
    assert hand.settle(claim) == "refused"
    assert queue.status("a") == ("queued" if gone == "reset" else "")


# -- who waits


def test_those_who_wait_are_told_once(queue: ScriptQueue, hand: Hand) -> None:
    claim = taken(queue, hand)
    subscriptions = [queue.store.subscription() for _ in range(2)]
    for each in subscriptions:
        each.open()
        assert queue.store.watch(each.channel, ["a"]) == ["waiting"]
    hand.settle(claim)
    assert [each.get(5) for each in subscriptions] == ["a", "a"]
    assert "waiters" not in queue.record("a")
    assert queue.store.watch("c", ["a"]) == ["ended"]
    for each in subscriptions:
        each.close()


# -- retry by a person


def test_a_failed_task_starts_again_with_its_history(queue: ScriptQueue, hand: Hand) -> None:
    hand.settle(taken(queue, hand), "retry", reason="ValueError: no", delay=0)
    hand.settle(hand.take_one(), "failed")
    assert queue.store.retry("a", "r1") == "requeued"
    task = task_of("a", queue.record("a"))
    assert (task.status, task.failures, task.crashes, task.error, task.attempt) == ("queued", 0, 0, None, 2)
    assert [(a.number, a.outcome, a.reason) for a in task.attempts] == [
        (1, "retry", "ValueError: no"),
        (2, "failed", "ValueError: no"),
    ]
    claim = hand.take_one()
    assert (claim.attempt, claim.failures) == (3, 0)
    hand.settle(claim)
    assert [a.outcome for a in task_of("a", queue.record("a")).attempts] == ["retry", "failed", "success"]
    queue.check()


def test_a_repeated_retry_is_the_same_one(queue: ScriptQueue, hand: Hand) -> None:
    hand.settle(taken(queue, hand), "failed")
    assert [queue.store.retry("a", "r1"), queue.store.retry("a", "r1")] == ["requeued", "requeued"]
    hand.settle(hand.take_one(), "failed")
    assert queue.store.retry("a", "r1") == "requeued"
    assert queue.status("a") == "failed"  # the same request, late: it is done
    assert queue.store.retry("a", "r2") == "requeued"
    assert queue.transitions("a").count("requeue") == 2
    queue.check()


def test_only_what_failed_can_be_retried(queue: ScriptQueue, hand: Hand) -> None:
    assert queue.store.retry("a", "r") == "absent"
    (task,) = queue.publish(queue.task("a"))
    queue.withdraw(task)
    assert queue.store.retry("a", "r") == "absent"
    queue.publish(queue.task("a"))
    assert queue.store.retry("a", "r") == "queued"  # the status that forbids it
    claim = hand.take_one()
    assert queue.store.retry("a", "r") == "processing"
    hand.settle(claim)
    assert queue.store.retry("a", "r") == "success"
    queue.send_bad()
    hand.take()
    assert queue.store.retry("rejected-0-2", "r") == "rejected"
    assert "requeue" not in queue.transitions()


def test_a_full_outbox_stops_a_retry(queue: ScriptQueue, hand: Hand) -> None:
    hand.settle(taken(queue, hand), "failed")
    narrow = queue.limited(outbox_entries=1)
    with pytest.raises(OutboxFull):
        narrow.store.retry("a", "r1")
    assert queue.status("a") == "failed"


def test_a_failure_with_half_a_character_can_be_retried(queue: ScriptQueue, hand: Hand) -> None:
    """A file name that is no UTF-8 stands in an exception's message as a lone surrogate."""
    failure = json.dumps({"type": "FileNotFoundError", "message": "no file x\udcff", "traceback": "\ud800"})
    hand.settle(taken(queue, hand), "failed", text=failure)
    assert queue.store.retry("a", "r1") == "requeued"
    assert queue.history("a")[0]["r"] == "unreadable: the reason cannot be shown"
    assert ids(hand.take()) == ["a"]
    queue.check()
