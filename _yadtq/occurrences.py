"""What an event tells, in words: an occurrence for each task that it is about, or one of a worker or the queue."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from _yadtq.events import Event
from _yadtq.log import ID_LIMIT, LINE_LIMIT, SIGNS, visible
from _yadtq.messages import decode

CUT = 300  # characters of an argument list, a result, an error or a reason in a line

# What is said of a task, by the action of its entry. What an entry lacks is shown as '?'.
OF_TASK = {
    "register": "{task} {args} {kwargs}, submitted by {submitted_by}",
    "share": "submitted once more",
    "admit": "{task} {args} {kwargs}, from another producer: partition {partition}, offset {offset}",
    "reject": "its message is no task: {why}",
    "withdraw": "taken back by {submitted_by}: it never runs",
    "take": "",
    "success": "{result}",
    "failed": "{why}",
    "retry": "{why}; again at {again}",
    "crash": "{why}{unbegun}",
    "reclaim": "{why}{unbegun}",
    "release": "{why}{unbegun}",
    "refused": "its outcome ({kind}) came too late, and changed nothing",
    "forgotten": "a run that Redis had forgotten: {why}",
    "requeue": "a person starts it again",
    "expire": "its life time is over: it is removed",
}
# The same, of what the history of a task has from elsewhere in an event.
OF_HISTORY = {"read": "its message was read from Kafka", "reset": "the queue was reset, and {removed} tasks removed"}
# What is said of a call as a whole, by its action.
OF_CALL = {
    "join": "the worker joins",
    "leave": "the worker leaves",
    "reset": "the queue is reset: {removed} tasks are removed, and epoch {new_epoch} begins",
    "reposition": "the task topic is read from elsewhere: {partitions} partitions, topic {topic}",
    "generation": "generation {generation} begins: the queue was founded, or Redis restarted; it had kept event {kept}",
}


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One thing that happened.

    at: seconds since 1970. task_id: '' when it is about no task. attempt: 0 when none. worker: '' when none.
    started_at, finished_at: of the handler's run, None where the event does not say so. what: further words.
    """

    at: float
    task_id: str
    action: str
    attempt: int
    worker: str
    started_at: float | None
    finished_at: float | None
    what: str

    @property
    def seconds(self) -> float | None:
        """How long the handler ran, where that is known."""
        if self.started_at is None or self.finished_at is None:
            return None
        return max(0.0, self.finished_at - self.started_at)

    def line(self) -> str:
        """One line for a person: time and id first, then action, attempt, worker and the rest."""
        parts = [moment(self.at), visible(self.task_id, ID_LIMIT) or "-", SIGNS.get(self.action, " ")]
        parts.append(f"action={self.action}")
        parts += [f"attempt={self.attempt}"] if self.attempt else []
        parts += [f"worker={self.worker}"] if self.worker else []
        parts += [f"seconds={self.seconds:.3f}"] if self.seconds is not None else []
        return visible(" ".join([*parts, self.what]).rstrip(), LINE_LIMIT)


def occurrences(event: Event) -> Iterator[Occurrence]:
    """What an event tells of tasks, workers and the queue; nothing when it only tells what was read."""
    if event.action:
        told = _Fields({**event.fields, "generation": event.generation})
        worker = event.actor if event.action in ("join", "leave") else ""
        what = OF_CALL.get(event.action, "").format_map(told)
        yield Occurrence(event.at, "", event.action, 0, worker, None, None, what)
    for lost in _losses(event):
        what = f"the worker was lost: {lost['reason']}; it held {lost['count']} tasks"
        yield Occurrence(event.at, "", "lapsed", 0, str(lost["worker"]), None, None, what)
    for entry in event.tasks:
        yield occurrence(event.at, entry)


def occurrence(at: float, entry: Mapping[str, Any]) -> Occurrence:
    """What an event's entry of one task tells."""
    attempt = entry.get("attempt")
    return Occurrence(
        at,
        entry["id"],
        entry["action"],
        attempt if type(attempt) is int else 0,
        str(entry.get("worker", "")),
        _seconds(entry.get("started_at")),
        _seconds(entry.get("finished_at")),
        _words(entry),
    )


def moment(at: float) -> str:
    """An instant as a person reads it, in UTC: '2026-11-22T23:57:56.123Z'."""
    second, millisecond = divmod(round(at * 1000), 1000)
    return f"{_second(second)}.{millisecond:03d}Z"


@lru_cache(maxsize=64)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class _Fields(dict[str, Any]):
    """What words are filled from, each value cut."""

    def __missing__(self, key: str) -> str:
        return "?"

    def __getitem__(self, key: str) -> Any:
        return str(super().__getitem__(key))[:CUT]


def _words(entry: Mapping[str, Any]) -> str:
    words = OF_TASK.get(entry["action"]) or OF_HISTORY.get(entry["action"])
    if not words:
        return ""
    told = _Fields(entry)
    told["why"] = why(entry)
    told["unbegun"] = "" if entry.get("begun") else "; it had not begun"
    again = _seconds(entry.get("retry_at"))
    told["again"] = "?" if again is None else moment(again)
    return words.format_map(told)


def why(entry: Mapping[str, Any]) -> str:
    """The type and message of an entry's error, or else its reason."""
    error = entry.get("error")
    if isinstance(error, str):
        try:
            failure = decode(error)
        except ValueError:
            failure = None
        if isinstance(failure, dict):
            return f"{failure.get('type', '?')}: {failure.get('message', '')}"[:CUT]
    return str(entry.get("reason") or "no reason is known")[:CUT]


def _losses(event: Event) -> Iterator[_Fields]:
    lapsed = event.fields.get("lapsed")
    for row in lapsed if isinstance(lapsed, list) else [lapsed]:
        if isinstance(row, dict):
            yield _Fields(row)


def _seconds(text: object) -> float | None:
    try:
        seconds = float(text) if isinstance(text, str) else -1.0
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e11 else None
