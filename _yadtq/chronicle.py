"""What a server's log says of the events of the queue: a line for each thing that happened. Pure."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from _yadtq.events import Event
from _yadtq.occurrences import why

CUT = 200  # characters of a reason in a line

# What is said of a task, by the action of its entry: how much it matters, and its words. Fields in braces: `_fields`.
OF_TASK: dict[str, tuple[str, str]] = {
    "register": ("INFO", "received: {name}, from {by}"),
    "share": ("DEBUG", "received once more"),
    "admit": ("INFO", "received: {name}, from another producer, partition {partition}, offset {offset}"),
    "reject": ("WARNING", "rejected: {why}"),
    "withdraw": ("INFO", "taken back by {by}: it never runs"),
    "take": ("INFO", "started: {name}, attempt {attempt} on {worker}"),
    "success": ("INFO", "succeeded: {name}, attempt {attempt} on {worker}, {seconds} s"),
    "failed": ("ERROR", "failed: {name}, attempt {attempt} on {worker}: {why}"),
    "retry": ("WARNING", "retried: {name}, attempt {attempt} on {worker} raised {why}"),
    "crash": ("WARNING", "given back: {name}, attempt {attempt} on {worker}: {why}"),
    "reclaim": ("WARNING", "given back: {name}, attempt {attempt} on {worker}: {why}"),
    "release": ("INFO", "given back: {name}, attempt {attempt} on {worker}: {why}"),
    "refused": ("WARNING", "refused: {worker} came too late with its outcome ({kind}); nothing was changed"),
    "forgotten": ("WARNING", "given back: Redis came back without attempt {attempt} on {worker}"),
    "requeue": ("INFO", "retried: a person starts it again"),
    "expire": ("DEBUG", "removed: its life time is over"),
}
# What is said of a call as a whole, by its action.
OF_CALL: dict[str, tuple[str, str]] = {
    "join": ("INFO", "worker {actor} connected"),
    "leave": ("INFO", "worker {actor} disconnected"),
    "reset": ("WARNING", "the queue was reset: {removed} tasks are gone"),
    "reposition": ("WARNING", "the task topic has changed: it is read from where it should (topic {topic})"),
    "generation": ("WARNING", "generation {generation} begins: the queue was founded, or Redis was restarted"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log."""

    level: str
    action: str
    task_id: str
    text: str


def lines_of(event: Event, names: Mapping[str, str]) -> Iterator[Line]:
    """What there is to say of an event. names: task id → name of the task, where it is known."""
    if event.action in OF_CALL:
        level, words = OF_CALL[event.action]
        told = {"actor": event.actor, "generation": event.generation, **event.fields}
        yield Line(level, event.action, "", words.format_map(_Fields(told)))
    for lost in losses_of(event):
        yield Line("ERROR", "lapsed", "", _loss(lost))
    for entry in event.tasks:
        action, task_id = str(entry.get("action", "")), str(entry.get("id", ""))
        level, words = OF_TASK.get(action, ("INFO", "{action}"))
        yield Line(level, action, task_id, words.format_map(_Fields(_task_fields(entry, names.get(task_id, "")))))


def losses_of(event: Event) -> list[dict[str, Any]]:
    """The workers that an event says to have failed: one, or none."""
    lapsed = event.fields.get("lapsed")
    return [lapsed] if isinstance(lapsed, dict) else []


def run_seconds(entry: Mapping[str, Any]) -> float | None:
    """How long the attempt ran that an entry ends; None where it does not say so."""
    try:
        seconds = float(entry["finished_at"]) - float(entry["started_at"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


class _Fields(dict[str, Any]):
    """What words are filled from; what an event lacks is shown as '?'."""

    def __missing__(self, key: str) -> str:
        return "?"


def _task_fields(entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    seconds = run_seconds(entry)
    return {
        **entry,
        "name": str(entry.get("task") or name or "task"),
        "by": str(entry.get("submitted_by", "?")).partition("#")[0],
        "seconds": "?" if seconds is None else f"{seconds:.3f}",
        "why": why(entry)[:CUT],
    }


def _loss(lost: Mapping[str, Any]) -> str:
    fields = _Fields(lost)
    reason = str(fields["reason"])[:CUT]
    return f"worker {fields['worker']} failed: it {reason}; it held {fields['count']} tasks, which were put back"
