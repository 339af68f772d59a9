"""The checker of the chaos tests: what a history says of the promise. Pure: a history goes in, a verdict comes out.

- lost              acknowledged (or registered and never taken back) and without an outcome
- unexpected        ran or has an outcome, but was refused, never submitted, or removed by a reset before
- double outcome    a final state that changed, or two recorded outcomes
- overlap           two runs of one task at the same instant; a run without an end line lasts until its process died
- duplicate start   a second start that no fault explains: one that hit the first one's worker or process between the
                    two starts, each fault at most once a task; a handler that raised or ended its process explains one
- repeated attempt  two starts under one task id and attempt, which together are to name one execution
- audit gap         a transition that the event log does not tell

Where Redis came back with less than it had, what only the lost Redis knew is listed as *forgotten* and breaks nothing;
what the event log tells, and what Kafka acknowledged, it may not forget.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from typing import Any

from _yadtq.states import FINAL, TRANSITIONS
from tests.support.forgetting import STARTS, Forgetting
from tests.support.ledger import (
    ACKNOWLEDGED,
    ATTEMPTED,
    EXITED,
    RAISED,
    REFUSED,
    RETURNED,
    Fault,
    History,
    Reading,
    Run,
)

KINDS = ("lost", "unexpected", "double outcome", "overlap", "duplicate start", "repeated attempt", "audit gap")
# A death is seen a little late. When the kernel's lock proves that the process was gone, so late may the sight be.
WATCH_SECONDS = 2.0
# What changes no state: a late outcome that was refused, and a claim that Redis came back without.
NO_TRANSITIONS = ("refused", "forgotten")
AFTER = {(t.before, t.action): t.after for t in TRANSITIONS}


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise: kind (of KINDS), the task ('' none), and what was found."""

    kind: str
    task: str
    found: str
    forgotten: bool = False  # only a Redis that lost it knew better

    def __str__(self) -> str:
        return f"{self.kind}: {self.task} {self.found}"


@dataclass(frozen=True, slots=True)
class Restart:
    """A task that was started again. fault: what explains it. seconds: from what can be mended to the new start.

    alone: no other fault lasted meanwhile. forgets: that fault made Redis forget.
    """

    task: str
    fault: str
    mends: str
    seconds: float
    alone: bool
    forgets: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the checker has found. figures: how much there was of what. forgotten: what a loss of Redis explains."""

    violations: tuple[Violation, ...]
    forgotten: tuple[Violation, ...]
    restarts: tuple[Restart, ...]
    figures: Mapping[str, int]

    def of(self, kind: str) -> list[str]:
        """The tasks of the violations of one kind."""
        return [violation.task for violation in self.violations if violation.kind == kind]


def check(history: History) -> Verdict:
    """Computes everything. Changes nothing and asks nobody."""
    case = _Case(history)
    restarts, duplicates = case.restarts()
    found = (
        *case.lost(), *case.unexpected(), *case.double_outcomes(), *case.overlaps(), *duplicates,
        *case.repeated_attempts(), *case.audit_gaps(),
    )  # fmt: skip
    kinds = [submission.kind for submission in history.submissions]
    figures = {
        "submitted": len(case.attempts),
        "acknowledged": len(case.acknowledged),
        "refused": len(case.refused),
        "unknown": len(case.attempts) - len(case.acknowledged) - len(case.refused),
        "attempts to submit": kinds.count(ATTEMPTED),
        "runs": len(history.runs),
        "started again": len(restarts),
        "outcomes": sum(reading.status in FINAL for reading in history.final.values()),
        "events": len(history.log.events),
        "void events": len(history.log.void),
        "forgotten": sum(each.forgotten for each in found),
        "resets": len(history.resets),
        "faults": len(history.faults),
    }
    return Verdict(
        tuple(each for each in found if not each.forgotten),
        tuple(each for each in found if each.forgotten),
        tuple(restarts),
        figures,
    )


class _Case:
    """A history, sorted by task."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.attempts: dict[str, float] = {}  # task → its last attempt
        refusals: dict[str, int] = defaultdict(int)  # attempts that nothing but a refusal answered
        self.acknowledged: dict[str, float] = {}  # task → when
        for each in history.submissions:
            if each.kind == ATTEMPTED:
                self.attempts[each.task] = each.at
                refusals[each.task] += 1
            elif each.kind == REFUSED:
                refusals[each.task] -= 1
            elif each.kind == ACKNOWLEDGED:
                self.acknowledged.setdefault(each.task, each.at)
        open_tasks = {task for task, left in refusals.items() if left}
        self.refused = self.attempts.keys() - open_tasks - self.acknowledged.keys()
        self.refused_at = {each.task: each.at for each in history.submissions if each.kind == REFUSED}
        self.forgetting = Forgetting(history.faults, history.log, history.messages)
        self.runs: dict[str, list[Run]] = defaultdict(list)
        for run in sorted(history.runs, key=lambda run: run.started):
            self.runs[run.task].append(run)

    # -- submissions and outcomes

    def lost(self) -> Iterator[Violation]:
        for task in sorted(self.acknowledged):
            if not self._has_outcome(task) and not self._may_be_reset(task):
                forgotten = self.forgetting.may_submit(task, self.acknowledged[task])
                yield Violation("lost", task, f"was acknowledged, and ends as {self._shown(task)}", forgotten)
        for task, (status, _) in sorted(self.replayed.items()):
            known = task in self.attempts and task not in self.acknowledged
            if known and status and not self._has_outcome(task) and not self._may_be_reset(task):
                yield Violation("lost", task, f"was registered and never taken back, and ends as {self._shown(task)}")

    def unexpected(self) -> Iterator[Violation]:
        ran = self.runs.keys() | {task for task in self.history.final if self._has_outcome(task)}
        for task in sorted(ran):
            if task not in self.attempts:
                yield Violation("unexpected", task, "ran, and nobody submitted it")
            elif task in self.refused:
                forgotten = self.forgetting.may_refuse(task, self.refused_at[task])
                yield Violation("unexpected", task, "ran, and its submission was refused", forgotten)
        certain = [reset.began for reset in self.history.resets if reset.certain]
        last = max(certain, default=0.0)
        for task in sorted(self.history.final):
            if self.acknowledged.get(task, last) < last and self.attempts[task] < last:
                yield Violation("unexpected", task, f"is {self._shown(task)}, and was removed by a reset")

    def _has_outcome(self, task: str) -> bool:
        reading = self.history.final.get(task)
        return reading is not None and reading.status in FINAL

    def _shown(self, task: str) -> str:
        reading = self.history.final.get(task)
        return reading.status if reading else "unknown to the queue"

    def _may_be_reset(self, task: str) -> bool:
        return any(reset.returned >= self.attempts[task] for reset in self.history.resets)

    def double_outcomes(self) -> Iterator[Violation]:
        shown: dict[str, Reading] = {}
        for reading in (*self.history.readings, *self.history.final.values()):
            before = shown.get(reading.task)
            if before is not None and _outcome(before) != _outcome(reading):
                found = f"was {before.status} at {before.finished_at}, then {reading.status} at {reading.finished_at}"
                forgotten = self.forgetting.may_change(reading.task, before.finished_at, before.at)
                yield Violation("double outcome", reading.task, found, forgotten)
            if reading.status in FINAL:
                shown[reading.task] = reading
        yield from (problem for problem in self.transitions_problems if problem.kind == "double outcome")

    # -- runs

    def overlaps(self) -> Iterator[Violation]:
        for task, runs in sorted(self.runs.items()):
            for number, run in enumerate(runs):
                for other in runs[:number]:
                    if self._overlap(other, run):
                        yield Violation("overlap", task, f"ran in {other.process} and {run.process} at {run.started}")

    def _overlap(self, first: Run, second: Run) -> bool:
        if first.ended is not None:
            return second.started < first.ended
        end = self.history.deaths.get(first.process, float("inf"))
        return second.started < (end - WATCH_SECONDS if second.alone else end)

    def restarts(self) -> tuple[list[Restart], list[Violation]]:
        found, duplicates = [], []
        for task, runs in sorted(self.runs.items()):
            used: set[int] = set()
            for first, second in pairwise(runs):
                restart = self._explained(first, second, used)
                if restart is None:
                    text = f"attempt {first.attempt} in {first.worker}, then {second.attempt} in {second.worker}"
                    duplicates.append(Violation("duplicate start", task, f"{text} at {second.started:.2f}: no reason"))
                    continue
                found.append(restart)
                if first.how == RETURNED and restart.forgets:
                    text = f"attempt {first.attempt} returned in {first.worker}, and its outcome was lost"
                    duplicates.append(Violation("duplicate start", task, text, forgotten=True))
        return found, duplicates

    def _explained(self, first: Run, second: Run, used: set[int]) -> Restart | None:
        if first.attempt != second.attempt and self.forgetting.ended(first.task, first.attempt):
            return None  # it had its outcome, whatever happened since
        if first.how in (RAISED, EXITED) and first.ended is not None:
            seconds = second.started - first.ended
            mends = "seen" if first.how == EXITED else "retry"
            return Restart(first.task, first.how, mends, seconds, self._quiet(first.ended, second.started))
        for number, fault in enumerate(self.faults):
            between = fault.began <= second.started and fault.ended >= first.started
            if number not in used and between and fault.hit(first):
                used.add(number)
                since = fault.ended if fault.mends == "outage" else max(fault.began, first.started)
                alone = self._quiet(since, second.started, fault)
                seconds = max(0.0, second.started - since)
                return Restart(first.task, fault.kind, fault.mends, seconds, alone, fault.forgets_since is not None)
        return None

    def _quiet(self, begin: float, end: float, but: Fault | None = None) -> bool:
        return not any(each.began <= end and each.ended >= begin for each in self.faults if each is not but)

    @cached_property
    def faults(self) -> list[Fault]:
        """Those that end first explain first: the others may explain a later start."""
        return sorted(self.history.faults, key=lambda fault: fault.ended)

    def repeated_attempts(self) -> Iterator[Violation]:
        for task, runs in sorted(self.runs.items()):
            for first, second in pairwise(runs):
                if first.attempt == second.attempt:
                    text = f"attempt {first.attempt} was started in {first.worker} and again in {second.worker}"
                    alike = sum(run.attempt == first.attempt for run in runs)
                    yield Violation("repeated attempt", task, text, self.forgetting.may_start(first, alike))

    # -- the event log

    def audit_gaps(self) -> Iterator[Violation]:
        yield from self._missing_events()
        yield from (problem for problem in self.transitions_problems if problem.kind == "audit gap")
        for task, reading in sorted(self.history.final.items()):
            told = self.replayed.get(task, ("", 0))[0]
            if told != reading.status:
                yield Violation("audit gap", task, f"is {reading.status}, and its events say {told or 'nothing'}")
        taken = {(t["id"], t["attempt"]) for t in self._told() if t["action"] in STARTS}
        for task, runs in sorted(self.runs.items()):
            for run in runs:
                if (task, run.attempt) not in taken:
                    found = f"attempt {run.attempt} was started, and no event tells it"
                    yield Violation("audit gap", task, found, self.forgetting.may_start(run))

    def _missing_events(self) -> Iterator[Violation]:
        generation, last = self.history.last_event
        generations = self.history.log.generations
        if generations and generation not in generations:  # a newer one may be of a program that gave up
            yield Violation("audit gap", "", f"Redis is at {generation}, and the newest marker is {generations[-1]}")
        found: dict[int, set[int]] = defaultdict(set)
        for event in self.history.log.events:  # with markers, one series of numbers
            found[generation if generations else event["generation"]].add(event["seq"])
        for each in {*found, generation}:
            end = last if each == generation else max(found[each])
            missing = sorted(set(range(1, end + 1)) - found[each])
            for is_forgotten, numbers in groupby(missing, self.forgetting.may_skip):
                first, *others = numbers
                text = f"{1 + len(others)} events are missing, from {each}-{first} on"
                yield Violation("audit gap", "", text, is_forgotten)

    def _told(self) -> Iterator[Mapping[str, Any]]:
        for event in self.history.log.events:
            yield from event.get("tasks", ())

    @cached_property
    def replayed(self) -> dict[str, tuple[str, int]]:
        """Task → its status as the events tell it, and how many transitions led there. Since the last reset."""
        return self._replay()[0]

    @cached_property
    def transitions_problems(self) -> list[Violation]:
        return self._replay()[1]

    def _replay(self) -> tuple[dict[str, tuple[str, int]], list[Violation]]:
        known: dict[str, tuple[str, int]] = {}
        problems = []
        for event in self.history.log.events:
            if event.get("action") == "reset":
                known = {}
            for told in event.get("tasks", ()):
                task, action = told["id"], told["action"]
                if action in NO_TRANSITIONS:
                    continue
                before, count = known.get(task, ("", 0))
                after = AFTER.get((before, action))
                if after is None:
                    twice = before in FINAL and action in FINAL
                    text = f"{action!r} follows {before or 'nothing'!r} in event {event['generation']}-{event['seq']}"
                    problems.append(Violation("double outcome" if twice else "audit gap", task, text))
                    after = next((t.after for t in TRANSITIONS if t.action == action), before)
                known[task] = (after, count + 1)
        return known, problems


def _outcome(reading: Reading) -> tuple[str, float | None]:
    return (reading.status, reading.finished_at)
