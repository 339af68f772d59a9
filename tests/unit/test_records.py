"""Records from Redis become values, whatever stands in them."""

import base64
import json
import os

import pytest

from _yadtq.birth import birth_of
from _yadtq.records import Attempt, Task, about_worker, stats_of, task_of, worker_of
from _yadtq.signatures import signature_of
from _yadtq.states import STATUSES

FAILURE = '{"type":"ValueError","message":"no","traceback":"Traceback"}'


def sample(a: int, *rest: str, flag: bool = False) -> None:
    """Does something.

    More about it.
    """


def test_a_task_as_it_is_registered() -> None:
    task = task_of(
        "a", {"status": "queued", "task": "add", "args": "[1,2.50]", "kwargs": '{"k":null}', "submitted_at": "1.500",
              "submitted_by": "host-1~x#7"},
    )  # fmt: skip
    assert (task.id, task.status, task.task, task.kwargs, task.ended) == ("a", "queued", "add", {"k": None}, False)
    assert [str(value) for value in task.args] == ["1", "2.50"]
    assert (task.submitted_at, task.submitted_by, task.attempt, task.attempts) == (1.5, "host-1~x", 0, ())
    assert (task.result, task.error, task.message, task.worker_id) == (None, None, b"", "")


def test_a_record_with_nothing_but_a_status() -> None:
    assert task_of("a", {"status": "failed"}) == Task("a", "failed", "", [], {})


def test_a_result_may_be_null_and_an_error_may_lack_its_traceback() -> None:
    assert task_of("a", {"status": "success", "result": "null"}).result is None
    error = task_of("a", {"status": "failed", "error": '{"type":"E","message":""}'}).error
    assert error is not None
    assert (str(error), error.traceback) == ("E", "")


def test_a_rejected_message_has_its_bytes() -> None:
    task = task_of("a", {"status": "rejected", "message": base64.b64encode(b"\xff\x00").decode()})
    assert (task.message, task.ended) == (b"\xff\x00", True)


def test_what_is_too_deep_to_read_is_shown_as_text() -> None:
    """One such record must not hide all others from a list."""
    deep = "[" * 100_000 + "]" * 100_000
    task = task_of("a", {"status": "success", "result": deep, "args": deep, "kwargs": deep})
    assert task.result == deep
    assert (task.args, task.kwargs) == ([deep], {"": deep})


# -- attempts

EARLIER = json.dumps([{"n": 1, "w": "w1", "s": "5.000", "f": "6.000", "o": "retry", "r": "ValueError: no"}])


@pytest.mark.parametrize(
    ("record", "outcomes"),
    [
        ({"status": "queued"}, []),
        ({"status": "processing", "attempt": "1"}, [(1, "")]),
        ({"status": "success", "attempt": "1"}, [(1, "success")]),
        ({"status": "queued", "attempt": "1", "history": EARLIER}, [(1, "retry")]),
        ({"status": "processing", "attempt": "2", "history": EARLIER}, [(1, "retry"), (2, "")]),
        ({"status": "failed", "attempt": "2", "history": EARLIER, "error": FAILURE}, [(1, "retry"), (2, "failed")]),
    ],
)
def test_the_latest_attempt_is_the_last_one(record: dict[str, str], outcomes: list[tuple[int, str]]) -> None:
    assert [(a.number, a.outcome) for a in task_of("a", record).attempts] == outcomes


def test_a_refused_outcome_hides_no_attempt() -> None:
    history = json.dumps([{"n": 2, "w": "w1", "o": "refused", "r": "success came after the claim was gone"}])
    attempts = task_of("a", {"status": "success", "attempt": "2", "worker_id": "w2", "history": history}).attempts
    assert [(a.worker_id, a.outcome) for a in attempts] == [("w1", "refused"), ("w2", "success")]


def test_an_attempt_tells_what_is_known() -> None:
    assert task_of("a", {"status": "queued", "attempt": "1", "history": EARLIER}).history == (
        Attempt(1, "w1", 5.0, 6.0, "retry", "ValueError: no"),
    )


# -- workers


def test_a_worker_tells_its_tasks_and_what_it_runs() -> None:
    me = os.getpid()
    fields = {
        "about": about_worker("host", me, [signature_of("sample", sample)]), "state": "draining", "last_seen": "9.500",
        "started_at": "1.000", "slots": "3", "executed": "12", "running": "a@b@1-5\nc@1-6",
    }  # fmt: skip
    worker = worker_of("worker~1~abc", True, fields)
    assert (worker.worker_id, worker.state, worker.host, worker.process) == ("worker~1", "draining", "host", me)
    assert worker.birth == birth_of(me) != ""
    assert (worker.slots, worker.busy, worker.running, worker.tasks_executed) == (3, 2, ("a@b", "c"), 12)
    assert worker.tasks == (signature_of("sample", sample),)


def test_a_worker_without_lease_is_offline_and_runs_nothing() -> None:
    worker = worker_of("w~a", False, {"state": "online", "running": "a@1-5", "slots": "3"})
    assert (worker.state, worker.busy, worker.running) == ("offline", 0, ())


def test_a_worker_whose_record_has_expired() -> None:
    worker = worker_of("odd", False, {})
    assert (worker.worker_id, worker.state, worker.tasks, worker.last_seen) == ("odd", "offline", (), 0.0)


# -- stats


def test_stats_add_up() -> None:
    live = worker_of("a~1", True, {"slots": "3", "running": "x@1-1"})
    dead = worker_of("b~1", False, {"slots": "5"})
    reply = ["ok", "2", "1", 1, 2, 3, 4, 5, 6, 7, 8, ["0", "10", "1", "5"]]
    stats = stats_of(reply, [live, dead], {0: 12, 1: 5, 2: 4})
    assert stats.counts == dict(zip(STATUSES, (6, 4, 5, 6, 7), strict=True))
    assert (stats.workers, stats.slots, stats.busy, stats.ready, stats.delayed) == (1, 3, 1, 2, 3)
    assert (stats.unread, stats.outbox, stats.epoch, stats.generation) == (6, 8, 2, 1)
    assert stats_of(reply, [], None).unread is None
    assert stats_of(reply, [], {0: 3}).unread == 0  # Kafka was made anew: never less than nothing
