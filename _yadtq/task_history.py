"""The whole history of one task, from the events that name it, wherever they were found. Pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from _yadtq.errors import AmbiguousId, TaskNotFound
from _yadtq.events import Event
from _yadtq.log import ID_LIMIT, LINE_LIMIT, visible
from _yadtq.occurrences import Occurrence, moment, occurrence
from _yadtq.states import SHOWN, TRANSITIONS

BEGINNINGS = frozenset({"register", "admit", "reject"})  # what makes a record
ENDINGS = frozenset({"success", "failed", "retry", "crash", "reclaim", "release", "forgotten"})  # of an attempt
AFTER = {transition.action: transition.after for transition in TRANSITIONS}
READ = "read"  # its message, by a worker: what the event's list `admitted` says
CANDIDATES = 10  # ids that are remembered for one prefix


@dataclass(frozen=True, slots=True)
class Step:
    """What one event tells of the task. entry: its own part of it; of a reset and of `read`, what stands for one."""

    generation: int
    seq: int
    epoch: int
    offset: int
    actor: str
    script: str
    entry: dict[str, Any]
    happened: Occurrence

    def as_json(self) -> dict[str, Any]:
        """The step for a program."""
        told = {"at": self.happened.at, "seq": self.seq, "epoch": self.epoch, "offset": self.offset}
        return {**told, "script": self.script, "actor": self.actor, **self.entry}


class TaskHistory:
    """The steps of one task, in order. complete: its beginning is among them."""

    def __init__(self, task_id: str) -> None:
        self.id = task_id
        self._steps: dict[tuple[int, int, int], Step] = {}

    def add(self, event: Event, place: int, entry: dict[str, Any]) -> None:
        """Takes what an event tells, at which place in it; what it has already changes nothing."""
        generation = int(event.token.partition("-")[0] or 0) if event.token[:1].isdecimal() else event.generation
        happened = occurrence(event.at, entry)
        self._steps.setdefault(
            (generation, event.seq, place),
            Step(generation, event.seq, event.epoch, event.offset, event.actor, event.script, entry, happened),
        )

    @property
    def steps(self) -> list[Step]:
        """In the order in which they happened."""
        return [step for _, step in sorted(self._steps.items(), key=itemgetter(0))]

    @property
    def complete(self) -> bool:
        """Whether its beginning is known."""
        known = [step for step in self.steps if step.happened.action != READ]
        return bool(known) and known[0].happened.action in BEGINNINGS

    def remove_in(self, resets: list[Event]) -> None:
        """Adds the resets that removed it."""
        for reset in resets:
            lived = [s for s in self.steps if s.epoch == reset.epoch and s.happened.action in AFTER]
            if lived and AFTER[lived[-1].happened.action]:
                removed, others = reset.fields.get("removed", "?"), reset.fields.get("request", "")
                self.add(reset, 0, {"action": "reset", "id": self.id, "removed": removed, "request": others})

    def state(self) -> str:
        """What it is now, in a word for a person."""
        state = "unknown"
        for step in self.steps:
            action = step.happened.action
            if action == "reset":
                state = "reset"
            elif action in AFTER:
                state = SHOWN.get(AFTER[action]) or {"withdraw": "withdrawn"}.get(action, "expired")
        return state

    def attempts(self) -> list[dict[str, Any]]:
        """Every attempt: its number, worker, when it was taken, began and ended, outcome and reason."""
        found: list[dict[str, Any]] = []
        for step in self.steps:
            it = step.happened
            if it.action == "take":
                found.append(
                    {"attempt": it.attempt, "worker": it.worker, "taken_at": it.at, "outcome": "", "reason": ""}
                )
            elif it.action in ENDINGS and found and not found[-1]["outcome"]:
                found[-1] |= {"started_at": it.started_at, "finished_at": it.finished_at or it.at}
                found[-1] |= {"outcome": it.action, "reason": it.what}
        return found

    def as_json(self) -> dict[str, Any]:
        """The history for a program."""
        first = next((s.entry for s in self.steps if s.happened.action in BEGINNINGS), {})
        about = {name: first.get(name) for name in ("task", "args", "kwargs", "submitted_by")}
        steps = [step.as_json() for step in self.steps]
        return {
            "id": self.id, "state": self.state(), "complete": self.complete, **about, "attempts": self.attempts(),
            "steps": steps,
        }  # fmt: skip

    def lines(self) -> Iterator[str]:
        """The history for a person."""
        yield f"task {visible(self.id, ID_LIMIT)}: {self.state()}"
        if not self.complete:
            yield "its beginning is kept neither here nor in Kafka any more"
        for step in self.steps:
            it = step.happened
            attempt = f" attempt {it.attempt}" if it.attempt else ""
            who = it.worker or step.actor
            ran = ""
            if it.started_at is not None and it.finished_at is not None:
                ran = f" ran {moment(it.started_at)} to {moment(it.finished_at)} ({it.seconds:.3f} s)"
            what = f": {it.what}" if it.what else ""
            yield visible(f"{moment(it.at)}  {it.action:<9}{attempt} by {who}{ran}{what}", LINE_LIMIT)


class TaskSearch:
    """Finds the one task whose id is a text, or begins with it, among events that go in.

    Of ids that begin so it remembers a few. Several are an error, unless one is exactly the text.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._exact = TaskHistory(prefix)
        self._others: dict[str, TaskHistory] = {}
        self._resets: dict[tuple[int, int], Event] = {}
        self._needles = self.needles()

    def needles(self) -> tuple[bytes, ...]:
        """What stands in the JSON of each event that matters, in one of the ways in which JSON can be written."""
        texts = {json.dumps(self._prefix, ensure_ascii=ascii_only)[:-1] for ascii_only in (True, False)}
        ways = texts | {text.replace("/", "\\/") for text in texts}
        return (*sorted(way.encode("utf-8", "replace") for way in ways), b'"reset"')

    def wants(self, text: bytes) -> bool:
        """Whether an event may matter, by its JSON."""
        return any(needle in text for needle in self._needles)

    def add(self, event: Event) -> None:
        """Takes the next event."""
        if event.action == "reset":
            self._resets.setdefault((event.generation, event.seq), event)
        for place, entry in enumerate(event.tasks):
            self._note(event, place, entry)
        begun = {entry["id"] for entry in event.tasks if entry["action"] in BEGINNINGS}
        admitted = event.fields.get("admitted")
        for task_id in admitted if isinstance(admitted, list) else []:
            if isinstance(task_id, str) and task_id not in begun:
                self._note(event, -1, {"action": READ, "id": task_id})

    def is_settled(self) -> bool:
        """Whether nothing that came before the first event that was found can change the answer."""
        if self._exact.steps:
            return self._exact.complete
        return len(self._others) > 1 or any(each.complete for each in self._others.values())

    def is_empty(self) -> bool:
        """Whether nothing was found so far."""
        return not self._exact.steps and not self._others

    def found(self) -> TaskHistory:
        """The history. Raises TaskNotFound or AmbiguousId."""
        if self._exact.steps:
            history = self._exact
        elif len(self._others) > 1:
            raise AmbiguousId(self._prefix, sorted(self._others)[:CANDIDATES])
        elif self._others:
            (history,) = self._others.values()
        else:
            name = visible(self._prefix, ID_LIMIT)
            raise TaskNotFound(f"no event names the task {name}: it never existed, or is older than what is kept")
        history.remove_in(sorted(self._resets.values(), key=lambda reset: reset.seq))
        return history

    def _note(self, event: Event, place: int, entry: dict[str, Any]) -> None:
        task_id = entry["id"]
        if task_id == self._prefix:
            self._exact.add(event, place, entry)
        elif task_id.startswith(self._prefix) and (task_id in self._others or len(self._others) <= CANDIDATES):
            self._others.setdefault(task_id, TaskHistory(task_id)).add(event, place, entry)
