"""How an end in the pool becomes an outcome of the claim. Pure: no clock, no connection."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from _yadtq.claims import Claim, Outcome
from _yadtq.failure import Failure
from _yadtq.jobs import Crashed, Ended, Interrupted, TimedOut
from _yadtq.messages import encode

MOST_DELAYS = 60  # a retry waits at most so many times the first delay


@dataclass(frozen=True, slots=True)
class Policy:
    """What the worker's settings say. retry_delay: seconds. chance: a random number from 0 to 1."""

    max_retries: int
    retry_delay: float
    chance: Callable[[], float]


def decide(end: Ended | Crashed | TimedOut | Interrupted, claim: Claim, policy: Policy) -> Outcome:
    """The outcome of a claim whose job has left the pool."""
    began, ended = end.began_at, end.ended_at
    if isinstance(end, Interrupted):
        reason = "its worker stopped it" if end.begun else "its worker had not begun it"
        return Outcome(claim, "release", ended, began if end.begun else None, reason=reason)
    if isinstance(end, Crashed):
        return Outcome(claim, "crash", ended, began, reason=end.reason)
    if isinstance(end, TimedOut):
        limit = f"it ran longer than its limit of {end.job.time_limit:g} s"
        return failed(claim, Failure("TimeLimitExceeded", limit), ended, began)
    if end.failure is None:
        return Outcome(claim, "success", ended, began, text=end.result or "null")
    most = policy.max_retries if claim.max_retries is None else claim.max_retries
    if not end.retryable or claim.failures >= most:
        return failed(claim, end.failure, ended, began)
    delay = policy.retry_delay * min(MOST_DELAYS, 2**claim.failures) * (0.5 + policy.chance() / 2)
    return Outcome(claim, "retry", ended, began, _text(end.failure), str(end.failure), delay)


def failed(claim: Claim, failure: Failure, ended_at: float, began_at: float) -> Outcome:
    """The outcome of a task that is not tried again."""
    return Outcome(claim, "failed", ended_at, began_at, _text(failure), str(failure))


def release(claim: Claim, now: float, reason: str) -> Outcome:
    """The outcome of a claim that is given back unbegun."""
    return Outcome(claim, "release", now, None, reason=reason)


def _text(failure: Failure) -> str:
    """JSON; half a character (of a file name that is no text) is written out, because Lua's JSON reads none."""
    return encode({field: text.encode(errors="backslashreplace").decode() for field, text in asdict(failure).items()})
