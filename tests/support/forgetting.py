"""What a Redis that lost writes may forget: what nobody but it knew. Whatever the event log tells is not forgotten."""

from collections import Counter
from collections.abc import Collection, Iterable

from _yadtq.states import FINAL
from tests.support.event_log import EventLog
from tests.support.ledger import Fault, Run

# A handler has returned, or a client was refused, a little before or after Redis noted it.
NOTED_SECONDS = 5.0
# What tells of the start of an attempt: the claim, or that Redis came back without it.
STARTS = ("take", "forgotten")


class Forgetting:
    """Which findings the losses of a run explain. messages: ids in `yadtq_tasks`; None: all that were acknowledged."""

    def __init__(self, faults: Iterable[Fault], log: EventLog, messages: Collection[str] | None = None) -> None:
        self._losses = [fault for fault in faults if fault.forgets_since is not None]
        self._reached = log.reached
        told = [each for event in log.events for each in event.get("tasks", ())]
        self._told = Counter((each["action"], each["id"], each.get("attempt")) for each in told)
        self._finished = {(each["id"], float(each.get("finished_at", 0))) for each in told if each["action"] in FINAL}
        self._named = {(action, task) for action, task, _ in self._told}
        self._messages = messages

    def may_start(self, run: Run, alike: int = 1) -> bool:
        """Whether it may be unknown that this run was started. alike: how many of its task have its attempt."""
        known = sum(self._told[action, run.task, run.attempt] for action in STARTS)
        return known < alike and self._between(run.started, run.started)

    def may_change(self, task: str, finished_at: float | None, at: float) -> bool:
        """Whether the outcome shown at that instant may be unknown. A later one may have its attempt's number."""
        told = (task, finished_at) in self._finished
        return not told and self._between(at - NOTED_SECONDS, at + NOTED_SECONDS)

    def may_refuse(self, task: str, at: float) -> bool:
        """Whether it may be unknown that a submission was taken back, as its client learned at that instant."""
        return ("withdraw", task) not in self._named and self._between(at - NOTED_SECONDS, at)

    def may_submit(self, task: str, at: float) -> bool:
        """Whether a submission that was acknowledged at that instant may be unknown: Kafka must have lost it too."""
        known = ("register", task) in self._named or ("admit", task) in self._named
        is_there = self._messages is None or task in self._messages
        return not known and not is_there and self._between(at - NOTED_SECONDS, at)

    def may_skip(self, number: int) -> bool:
        """Whether an event may be missing: Redis was lost before it was sent, and a later one had been."""
        return bool(self._losses) and number < self._reached

    def ended(self, task: str, attempt: int) -> bool:
        """Whether the event log tells how this attempt ended for good."""
        return any((status, task, attempt) in self._told for status in FINAL)

    def _between(self, earliest: float, latest: float) -> bool:
        return any(
            loss.forgets_since is not None and loss.forgets_since <= latest and earliest <= loss.ended
            for loss in self._losses
        )
