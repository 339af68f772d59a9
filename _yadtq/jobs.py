"""What goes into a process pool and what comes out of it: plain values.

Instants are seconds of CLOCK_MONOTONIC, which all processes of a machine share.
"""

from typing import NamedTuple

from _yadtq.failure import Failure


class Job(NamedTuple):
    """One claimed task. claim: unique within the pool. args, kwargs: JSON texts. time_limit: seconds; 0: none."""

    claim: str
    task_id: str
    task: str
    args: str
    kwargs: str
    attempt: int
    time_limit: float = 0.0


class Ended(NamedTuple):
    """The handler came to its end.

    result: JSON text; None where it failed. retryable: whether the failure may pass.
    """

    job: Job
    result: str | None
    failure: Failure | None
    retryable: bool
    began_at: float
    ended_at: float


class Crashed(NamedTuple):
    """The child died of itself while it ran the job. It is reaped. reason: for a person."""

    job: Job
    reason: str
    began_at: float
    ended_at: float


class TimedOut(NamedTuple):
    """The job ran longer than its limit; its child was killed and is reaped."""

    job: Job
    began_at: float
    ended_at: float


class Interrupted(NamedTuple):
    """The job did not end, through no fault of its own. Its child is reaped. begun: whether it may have started."""

    job: Job
    began_at: float
    ended_at: float
    begun: bool


class Printed(NamedTuple):
    """A line that was printed while a task ran ('' when none did). stream: stdout or stderr. Not escaped."""

    task_id: str
    stream: str
    line: str


class Lost(NamedTuple):
    """The guard is gone, and all children are dead and reaped. Nothing starts any more until there is a new pool."""

    reason: str


PoolMessage = Ended | Crashed | TimedOut | Interrupted | Printed | Lost
