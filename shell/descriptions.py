"""Tasks, workers and instants in words, and as the plain data that `--json` writes."""

import re
from datetime import UTC, datetime
from typing import Any

import simplejson

from yadtq import SHOWN, Attempt, Failure, Task, Worker, encode

OWN_ID = re.compile(r"[a-z2-7]{26}|[0-9a-f]{8}-?[0-9a-f-]{24,27}")
SHORT = 8
MINUTE, HOUR, DAY = 60, 3600, 86400


def short(task_id: str) -> str:
    """Random ids by their first eight characters; ids that somebody chose whole."""
    return task_id[:SHORT] if OWN_ID.fullmatch(task_id) else task_id


def json_text(value: object) -> str:
    """A value as JSON, exactly, in ASCII without control characters."""
    return encode(value).replace("\x7f", "\\u007f")


def value_text(value: object) -> str:
    """A value for a person to read: a text as it is, everything else as JSON."""
    return value if isinstance(value, str) else _readable(value)


def call_text(task: Task) -> str:
    """The call as it could be typed: `add 2 3`."""
    words = [_operand(value) for value in task.args]
    words += [f"{name}={_operand(value)}" for name, value in task.kwargs.items()]
    return " ".join([task.task, *words])


def outcome_text(task: Task) -> str:
    """The result or the error; '' while there is neither."""
    if task.error is not None:
        return str(task.error)
    return value_text(task.result) if task.status == "success" else ""


def worker_name(worker_id: str) -> str:
    """The worker's name, without the random suffix of its start."""
    return worker_id.partition("~")[0]


def run_time(task: Task, now: float) -> str:
    """How long its latest attempt took, or takes; '' before it started."""
    if not task.started_at or task.status == "queued":
        return ""
    return length((task.finished_at or now) - task.started_at)


def length(seconds: float) -> str:
    """A length of time: <1 ms, 12 ms, 3.4 s, 5 min 6 s, 2 h 3 min, 4 d 5 h."""
    seconds = max(0.0, seconds)
    if seconds < 0.001:
        return "<1 ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    for big, name, small, rest in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", 1, "s")):
        if seconds >= big:
            return f"{int(seconds // big)} {name} {int(seconds % big // small)} {rest}"
    return ""


def age(instant: float, now: float) -> str:
    """How long ago, in one unit: 5s, 3m, 2h, 4d; '' for an instant that never was."""
    if not instant:
        return ""
    seconds = max(0, int(now - instant))
    for size, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m")):
        if seconds >= size:
            return f"{seconds // size}{name}"
    return f"{seconds}s"


def instant_text(instant: float) -> str:
    """A point in time with the local offset, to the millisecond; '' for one that never was."""
    if not instant:
        return ""
    return datetime.fromtimestamp(instant, UTC).astimezone().isoformat(sep=" ", timespec="milliseconds")


def task_data(task: Task) -> dict[str, Any]:
    """Everything about a task, for `--json`."""
    return {
        "id": task.id,
        "status": task.status,
        "state": SHOWN[task.status],
        "task": task.task,
        "args": task.args,
        "kwargs": task.kwargs,
        "result": task.result,
        "error": _failure_data(task.error),
        "attempt": task.attempt,
        "failures": task.failures,
        "crashes": task.crashes,
        "worker_id": task.worker_id,
        "submitted_by": task.submitted_by,
        "submitted_at": task.submitted_at,
        "started_at": task.started_at,
        "finished_at": task.finished_at,
        "retry_at": task.retry_at,
        "attempts": [attempt_data(attempt) for attempt in task.attempts],
        "message": task.message.decode("utf-8", "backslashreplace"),
    }


def attempt_data(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "worker_id": attempt.worker_id,
        "started_at": attempt.started_at,
        "finished_at": attempt.finished_at,
        "outcome": attempt.outcome,
        "reason": attempt.reason,
    }


def worker_data(worker: Worker) -> dict[str, Any]:
    """Everything about a worker, for `--json`."""
    return {
        "id": worker.id,
        "worker_id": worker.worker_id,
        "state": worker.state,
        "last_seen": worker.last_seen,
        "started_at": worker.started_at,
        "host": worker.host,
        "process": worker.process,
        "slots": worker.slots,
        "busy": worker.busy,
        "tasks_executed": worker.tasks_executed,
        "tasks": [signature.name for signature in worker.tasks],
        "running": list(worker.running),
    }


def _failure_data(failure: Failure | None) -> dict[str, str] | None:
    if failure is None:
        return None
    return {"type": failure.type, "message": failure.message, "traceback": failure.traceback}


def _operand(value: object) -> str:
    """A value as it must be typed: a text bare when it is one harmless word, else quoted."""
    if (
        isinstance(value, str)
        and re.fullmatch(r"[A-Za-z_][\w./:@-]*", value)
        and value not in ("true", "false", "null")
    ):
        return value
    return _readable(value)


def _readable(value: object) -> str:
    return str(simplejson.dumps(value, use_decimal=True, allow_nan=False, ensure_ascii=False))
