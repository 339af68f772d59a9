"""The decision about each end: an outcome, and for a retry its delay."""

import json

import pytest

from _yadtq.claims import Claim
from _yadtq.decisions import MOST_DELAYS, Policy, decide, failed, release
from _yadtq.failure import Failure
from _yadtq.jobs import Crashed, Ended, Interrupted, Job, TimedOut

JOB = Job("a@1-1", "a", "add", "[]", "{}", 1, 2.5)
NO = Failure("ValueError", "no", "Traceback …")


def claim(failures: int = 0, max_retries: int | None = None) -> Claim:
    return Claim("a", "add", "[]", "{}", 1, failures, 0, max_retries, None, "0", "1-1")


def policy(max_retries: int = 3, chance: float = 1.0) -> Policy:
    return Policy(max_retries, 2.0, lambda: chance)


def raised(retryable: bool = True) -> Ended:
    return Ended(JOB, None, NO, retryable, 5.0, 6.0)


def test_a_result_is_a_success() -> None:
    outcome = decide(Ended(JOB, "[1]", None, False, 5.0, 6.0), claim(), policy())
    assert (outcome.kind, outcome.text, outcome.began_at, outcome.ended_at) == ("success", "[1]", 5.0, 6.0)


def test_what_raised_is_tried_again_until_its_retries_are_used_up() -> None:
    kinds = [decide(raised(), claim(failures), policy(3)).kind for failures in range(5)]
    assert kinds == ["retry", "retry", "retry", "failed", "failed"]


def test_retries_of_the_task_come_before_those_of_the_worker() -> None:
    assert decide(raised(), claim(0, max_retries=0), policy(3)).kind == "failed"
    assert decide(raised(), claim(4, max_retries=5), policy(3)).kind == "retry"


def test_what_cannot_get_better_is_not_tried_again() -> None:
    outcome = decide(raised(retryable=False), claim(), policy())
    assert (outcome.kind, outcome.reason) == ("failed", "ValueError: no")
    assert json.loads(outcome.text) == {"type": "ValueError", "message": "no", "traceback": "Traceback …"}


def test_the_delay_doubles_up_to_a_bound_and_half_of_it_is_chance() -> None:
    delays = [decide(raised(), claim(n), policy(100)).delay_seconds for n in (0, 1, 2, 5, 6, 50, 99)]
    assert delays == [2.0, 4.0, 8.0, 64.0, 2.0 * MOST_DELAYS, 2.0 * MOST_DELAYS, 2.0 * MOST_DELAYS]
    assert decide(raised(), claim(), policy(chance=0.0)).delay_seconds == 1.0
    assert decide(raised(), claim(), Policy(3, 0.0, lambda: 1.0)).delay_seconds == 0.0


def test_a_crash_is_no_failure() -> None:
    outcome = decide(Crashed(JOB, "its process died (SIGSEGV)", 5.0, 6.0), claim(99), policy())
    assert (outcome.kind, outcome.reason, outcome.text) == ("crash", "its process died (SIGSEGV)", "")


def test_a_time_limit_ends_the_task() -> None:
    outcome = decide(TimedOut(JOB, 5.0, 7.5), claim(), policy())
    assert outcome.kind == "failed"
    assert json.loads(outcome.text)["type"] == "TimeLimitExceeded"
    assert outcome.reason == "TimeLimitExceeded: it ran longer than its limit of 2.5 s"


@pytest.mark.parametrize(("begun", "began_at"), [(True, 5.0), (False, None)])
def test_what_its_worker_stopped_goes_back(begun: bool, began_at: float | None) -> None:
    outcome = decide(Interrupted(JOB, 5.0, 6.0, begun), claim(), policy())
    assert (outcome.kind, outcome.began_at, outcome.text) == ("release", began_at, "")


def test_a_release_never_began() -> None:
    outcome = release(claim(), 9.0, "its worker stops")
    assert (outcome.kind, outcome.began_at, outcome.ended_at, outcome.reason) == (
        "release", None, 9.0, "its worker stops",
    )  # fmt: skip


def test_half_a_character_in_a_failure_is_written_out() -> None:
    outcome = failed(claim(), Failure("OSError", "no file x\udcff", "\ud800"), 1.0, 1.0)
    assert json.loads(outcome.text) == {"type": "OSError", "message": "no file x\\udcff", "traceback": "\\ud800"}
    assert json.loads(failed(claim(), Failure("E", "😀"), 1.0, 1.0).text)["message"] == "😀"
