"""register and withdraw: what a client writes before it publishes, and takes back when it cannot."""

from _yadtq.messages import Header, Ours
from _yadtq.store import Registration
from tests.support.script_queue import ScriptQueue, ids


def test_a_registered_task_is_queued_at_once(queue: ScriptQueue) -> None:
    task = queue.task("a", "[2,3]", kwargs='{"k":1}', max_retries="2", time_limit="1.5")
    assert queue.store.register([task]) == [Registration("publish", Header("0", "1", "1"))]
    record = queue.record("a")
    submitted_at = record.pop("submitted_at")
    assert float(submitted_at) > 1.7e9
    assert record == {
        "status": "queued", "task": "add", "args": "[2,3]", "kwargs": '{"k":1}', "max_retries": "2",
        "time_limit": "1.5", "submitted_by": task.name, "order": "1", "mark": "1-1",
    }  # fmt: skip
    assert queue.members("registered") == ["a"]
    queue.check()


def test_a_repeated_registration_is_the_same_one(queue: ScriptQueue) -> None:
    tasks = [queue.task("a"), queue.task("b")]
    assert queue.register(*tasks) == queue.register(*tasks) == ["publish", "publish"]
    assert queue.transitions() == ["register", "register"]
    assert queue.withdraw(tasks[0]) == "refused"  # it is not shared with itself
    queue.check()


def test_a_repeated_registration_of_what_has_run_publishes_nothing(queue: ScriptQueue) -> None:
    (task,) = queue.publish(queue.task("a"))
    claim = queue.worker().take_one()
    assert queue.register(task) == ["known"]
    assert queue.worker().settle(claim) == "settled"
    assert queue.register(task) == ["known"]
    assert queue.status("a") == "success"
    queue.check()


def test_another_task_with_the_same_id_is_a_conflict(queue: ScriptQueue) -> None:
    queue.register(queue.task("a", "[1]"))
    others = [queue.task("a", "[2]"), queue.task("a", "[1]", task="mul"), queue.task("a", "[1]", kwargs='{"x":1}')]
    assert queue.register(*others, queue.task("b")) == ["conflict"] * 3 + ["publish"]
    assert queue.record("a")["args"] == "[1]"
    queue.check()


def test_a_full_outbox_refuses_new_tasks_and_changes_nothing(queue: ScriptQueue) -> None:
    narrow = queue.limited(outbox_entries=2)
    narrow.register(queue.task("a"))
    narrow.register(queue.task("b"))
    assert narrow.register(queue.task("c"), queue.task("a")) == ["full", "publish"]
    assert queue.members("all") == ["a", "b"]
    queue.check()


def test_the_registration_that_fills_the_outbox_may_be_repeated(queue: ScriptQueue) -> None:
    """Its answer was lost: were the second call refused, the client would say 'never runs' of a task that runs."""
    narrow = queue.limited(outbox_entries=1)
    task = narrow.task("a")
    assert narrow.register(task) == ["publish"]
    assert narrow.register(task) == ["publish"]
    assert narrow.register(narrow.task("a")) == ["publish"]  # the same task from elsewhere: it is there already
    assert narrow.register(narrow.task("a", "[1]")) == ["conflict"]


# -- withdraw: refused


def test_what_only_was_registered_is_refused(queue: ScriptQueue) -> None:
    (task,) = queue.publish(queue.task("a"))
    assert queue.withdraw(task, "0", "1") == "refused"
    assert queue.status("a") == ""
    assert queue.worker().take().claims == ()  # its late message creates nothing
    assert queue.transitions("a") == ["register", "withdraw"]
    queue.check()


def test_what_is_ready_and_unclaimed_is_refused(queue: ScriptQueue) -> None:
    (task, _) = queue.publish(queue.task("a"), queue.task("b"))
    hand = queue.worker()
    hand.take(0)
    assert queue.members("ready") == ["a", "b"]
    assert queue.withdraw(task) == "refused"
    assert ids(hand.take()) == ["b"]
    queue.check()


def test_a_repeated_withdrawal_gets_the_same_answer(queue: ScriptQueue) -> None:
    task = queue.task("a")
    queue.register(task)
    assert [queue.withdraw(task), queue.withdraw(task)] == ["refused", "refused"]
    assert queue.transitions("a") == ["register", "withdraw"]
    left = queue.redis.pttl(queue.key("task:a"))
    assert 0 < left <= 3_600_000  # a tombstone, and not for ever


def test_a_late_registration_does_not_undo_a_refusal(queue: ScriptQueue) -> None:
    """A call that the client gave up may reach Redis after the withdrawal: refused means never."""
    task = queue.task("a")
    queue.register(task)
    assert queue.withdraw(task) == "refused"
    assert queue.register(task) == ["conflict"]
    assert queue.status("a") == ""
    assert queue.members("registered") == []
    queue.check()


def test_a_late_registration_does_not_undo_a_refusal_that_was_reset(queue: ScriptQueue) -> None:
    task = queue.task("a")
    queue.register(task)
    late = ("register", 100_000, "0", 1, task.id, task.task, task.args, task.kwargs, "", "", task.name)
    assert queue.withdraw(task) == "refused"
    queue.store.reset("r", {})
    assert queue.store.call(*late)[4:] == []  # made for the epoch before the reset
    assert queue.status("a") == ""
    queue.check()


def test_a_client_learns_of_a_reset_by_its_next_registration(queue: ScriptQueue) -> None:
    queue.register(queue.task("a"))
    queue.store.reset("r", {})
    assert queue.register(queue.task("b")) == ["publish"]
    assert queue.members("registered") == ["b"]
    queue.check()


def test_whether_a_registration_ran_before_a_reset_is_not_known(queue: ScriptQueue) -> None:
    """Its answer was lost, and it may have been published by the sweeper, and have run, before the reset."""
    task = queue.task("a")
    queue.register(task)
    queue.store.reset("r", {})
    (answer,) = queue.store.register([task], ["0"])
    assert answer.word == "doubtful"
    assert queue.withdraw(task, answer.header.epoch, answer.header.generation) == "unknown"
    assert queue.members("registered") == []
    queue.check()


def test_a_withdrawn_id_may_be_used_again(queue: ScriptQueue) -> None:
    first, second = queue.task("a", "[1]"), queue.task("a", "[2]")
    queue.register(first)
    queue.withdraw(first)
    queue.publish(second)
    assert queue.record("a")["args"] == "[2]"
    assert queue.redis.pttl(queue.key("task:a")) == -1
    assert queue.withdraw(first) == "refused"  # a repeated call, and nothing to do with the second one
    assert ids(queue.worker().take()) == ["a"]
    queue.check()


# -- withdraw: acknowledged


def test_what_was_ever_claimed_is_acknowledged(queue: ScriptQueue) -> None:
    (task,) = queue.publish(queue.task("a"))
    hand = queue.worker()
    claim = hand.take_one()
    assert queue.withdraw(task) == "acknowledged"
    hand.settle(claim, "release", begun=False)
    assert queue.status("a") == "queued"
    assert queue.withdraw(task) == "acknowledged"
    hand.settle(hand.take_one())
    assert queue.withdraw(task) == "acknowledged"
    assert queue.status("a") == "success"
    queue.check()


# -- withdraw: unknown


def test_all_else_is_unknown_and_stays(queue: ScriptQueue) -> None:
    task, shared = queue.task("a"), queue.task("b")
    assert queue.withdraw(task) == "unknown"  # no record
    queue.register(task, shared)
    queue.register(queue.task("b"))
    assert queue.withdraw(shared) == "unknown"  # two submissions have registered it
    assert queue.withdraw(queue.task("a")) == "unknown"  # another submission's
    assert queue.withdraw(task, "1", "1") == "unknown"  # of another epoch
    assert queue.members("registered") == ["a", "b"]
    queue.check()


def test_of_another_generation_it_is_unknown_also_when_repeated(queue: ScriptQueue) -> None:
    task = queue.task("a")
    queue.register(task)
    assert [queue.withdraw(task, "0", "2"), queue.withdraw(task, "0", "2")] == ["unknown", "unknown"]


def test_after_a_reset_it_is_unknown(queue: ScriptQueue) -> None:
    task = queue.task("a")
    queue.register(task)
    queue.store.reset("r1", {})
    assert queue.withdraw(task, "0", "1") == "unknown"
    assert queue.withdraw(task) == "unknown"


# -- rule mark


def test_a_message_of_ours_never_creates_a_record(queue: ScriptQueue) -> None:
    for epoch in ("0", "1"):
        queue.send(Ours(0, 100, "ghost", Header(epoch, "1", "7")))
    assert queue.worker().take().claims == ()
    assert queue.status("ghost") == ""
    queue.check()


def test_a_second_message_of_ours_changes_nothing(queue: ScriptQueue) -> None:
    (task,) = queue.publish(queue.task("a"))
    hand = queue.worker()
    for _ in ("processing", "success"):
        queue.publish(task)
    claim = hand.take_one()
    queue.publish(task)
    assert hand.take().claims == ()
    hand.settle(claim)
    queue.publish(task)
    assert hand.take().claims == ()
    assert queue.transitions("a") == ["register", "take", "success"]
    queue.check()


def test_a_message_of_another_epoch_makes_nothing_ready(queue: ScriptQueue) -> None:
    queue.register(queue.task("a"))
    queue.send(Ours(0, 100, "a", Header("7", "1", "1")))
    assert queue.worker().take().claims == ()
    assert queue.members("registered") == ["a"]


def test_what_another_producer_has_sent_as_well_is_not_refused(queue: ScriptQueue) -> None:
    """Kafka has acknowledged that message, and its place is behind the position: the record must stay."""
    task = queue.task("a")
    queue.register(task)
    queue.send_foreign("a")
    queue.worker().take(0)
    assert queue.withdraw(task, "0", "1") == "unknown"
    assert ids(queue.worker("worker2~b1").take(1)) == ["a"]
    queue.check()
