"""Tasks, workers and lost workers as rows of tables."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from dashboard.blocks import Column, Piece, Row, shown
from dashboard.curves import rate_text
from shell.descriptions import age, call_text, outcome_text, short, worker_name
from yadtq import SHOWN, Attempt, Task, Worker, WorkerFailure

STYLES = {
    "queued": "cold",
    "in-progress": "warm",
    "completed": "good",
    "success": "good",
    "failed": "bad",
    "rejected": "bad",
    "crash": "bad",
    "refused": "bad",
    "online": "good",
    "leading": "good",
    "standby": "cold",
    "draining": "warm",
    "offline": "bad",
    "ok": "good",
    "unreachable": "bad",
    "not ready": "bad",
}
"""The colour of each word that has one; drawn, it is always a word too."""

MOST = 200
"""Rows of one list that are fetched at a time, however high the screen is."""
LOOKING = "looking …"
NO_TASKS = "no task yet; submit one: python client.py ADD 2 3"
NO_WORKERS = "no worker is known; start one: python worker.py"

ID = Column("id", 8, 20)
TASKS = (
    ID,
    Column("task", 14, 0),
    Column("state", 11),
    Column("outcome", 12, 0),
    Column("worker", 10, 24, rank=1),
    Column("age", 4, right=True),
    Column("ran", 6, right=True, rank=2),
)
WAITING = (
    Column("Waiting", 14, 20),
    Column("task", 16, 0),
    Column("for", 5, right=True),
    Column("attempt", 7, right=True, rank=1),
    Column("", 14, rank=1),
)
RUNNING = (
    Column("In progress", 15, 20),
    Column("task", 16, 0),
    Column("worker", 12, 24),
    Column("for", 6, right=True),
    Column("attempt", 7, right=True, rank=1),
)
DONE = (
    Column("Completed", 18, 20),
    Column("task", 14, 0),
    Column("result", 12, 0),
    Column("worker", 12, 24, rank=1),
    Column("ran", 6, right=True),
    Column("ago", 4, right=True),
)
FAILED = (
    Column("Failed", 14, 20),
    Column("task", 12, 0),
    Column("error", 16, 0),
    Column("worker", 9, 24, rank=1),
    Column("attempts", 8, right=True, rank=2),
    Column("ago", 4, right=True),
)
REJECTED = (
    Column("id", 20, 36),
    Column("why", 20, 0),
    Column("message", 14, 0),
    Column("ago", 4, right=True),
)
WORKERS = (
    Column("Workers", 14, 32),
    Column("state", 8),
    Column("running", 7, right=True),
    Column("executed", 9, right=True),
    Column("rate", 6, right=True),
    Column("heartbeat", 9, right=True),
    Column("up", 4, right=True, rank=1),
    Column("process", 8, right=True, rank=3),
    Column("host", 8, 24, rank=2),
)
LOST = (
    Column("Lost workers", 15, 32),
    Column("heartbeat", 9, right=True),
    Column("tasks", 5, right=True),
    Column("what became of them", 19, 0),
    Column("why", 12, 0, rank=1),
)
CASUALTIES = (Column("tasks that it held", 26, 0), Column("begun", 7), Column("now", 11))
HELD = Column("tasks that it runs", 26, 0)
ATTEMPTS = (
    Column("attempt", 7, right=True),
    Column("outcome", 8),
    Column("worker", 9, 24),
    Column("started", 8, 12),
    Column("ran", 6, right=True),
    Column("reason", 10, 0),
)


def state(word: str) -> Piece:
    """A word in its colour."""
    return (STYLES.get(word, ""), shown(word))


def task_row(task: Task, now: float) -> Row:
    """now: by Redis' clock, as in all of these."""
    outcome = ("bad" if task.error else "", shown(outcome_text(task)))
    return Row(
        ("task", task.id),
        (
            _id(task),
            _call(task),
            state(SHOWN[task.status]),
            outcome,
            _worker(task.worker_id),
            ("", age(task.submitted_at, now)),
            ("", _ran(task, now)),
        ),
    )


def waiting_row(task: Task, now: float) -> Row:
    later = task.retry_at - now
    note = f"again in {later:.0f} s" if later > 0 else "retry is due" if task.retry_at else ""
    attempt = str(task.attempt + 1)
    cells = (_id(task), _call(task), ("", age(task.submitted_at, now)), ("", attempt), ("warm", note))
    return Row(("task", task.id), cells)


def running_row(task: Task, now: float) -> Row:
    cells = (_id(task), _call(task), _worker(task.worker_id), ("", _ran(task, now)), ("", str(task.attempt)))
    return Row(("task", task.id), cells)


def done_row(task: Task, now: float) -> Row:
    ran, ago = _ran(task, now), age(task.finished_at, now)
    cells = (_id(task), _call(task), ("", shown(outcome_text(task))), _worker(task.worker_id), ("", ran), ("", ago))
    return Row(("task", task.id), cells)


def failed_row(task: Task, now: float) -> Row:
    return Row(
        ("task", task.id),
        (
            _id(task),
            _call(task),
            ("bad", shown(outcome_text(task))),
            _worker(task.worker_id),
            ("", str(task.attempt)),
            ("", age(task.finished_at, now)),
        ),
    )


def rejected_row(task: Task, now: float) -> Row:
    message = task.message[:400].decode("utf-8", "backslashreplace")
    ago = age(task.finished_at or task.submitted_at, now)
    cells = (("", shown(task.id)), ("bad", shown(outcome_text(task))), ("dim", shown(message)), ("", ago))
    return Row(("task", task.id), cells)


def worker_row(worker: Worker, rates: Mapping[str, float], now: float) -> Row:
    live = worker.state != "offline"
    rate = rate_text(rates[worker.id]) if live and worker.id in rates else "–"
    return Row(
        ("worker", worker.id),
        (
            _worker(worker.worker_id),
            state(worker.state),
            ("", f"{worker.busy}/{worker.slots}" if live else "–"),
            ("", f"{worker.tasks_executed:,}"),
            ("", rate),
            ("", f"{age(worker.last_seen, now)} ago" if worker.last_seen else "never"),
            ("", age(worker.started_at, now) if live else "–"),
            ("", str(worker.process)),
            ("", shown(worker.host)),
        ),
    )


def in_order(workers: Iterable[Worker]) -> list[Worker]:
    """Those that live first, then by name as a person counts: worker2 before worker10."""
    return sorted(workers, key=lambda each: (each.state == "offline", counted(each.worker_id), each.id))


def counted(name: str) -> list[tuple[int, int, str]]:
    """What a name is sorted by, so that numbers in it count as such."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part) for part in parts]


def lost_row(failure: WorkerFailure, now: float) -> Row:
    cells = (
        _worker(failure.worker_id or failure.worker),
        ("", f"{age(failure.last_seen, now)} ago" if failure.last_seen else "never"),
        ("", f"{failure.count:,}"),
        ("", became(failure)),
        ("dim", shown(failure.reason)),
    )
    return Row(("lost", failure.worker), cells)


def became(failure: WorkerFailure) -> str:
    """What the tasks of a lost worker are now, in words."""
    if not failure.count:
        return "it held none"
    now = Counter(SHOWN.get(each.status, "gone") for each in failure.tasks)
    words = ", ".join(f"{count} {word}" for word, count in now.items())
    more = failure.count - len(failure.tasks)
    return f"{words}, {more:,} more" if more > 0 else words


def attempt_row(attempt: Attempt, started: str, now: float) -> Row:
    """started: as text."""
    taken = brief((attempt.finished_at or now) - attempt.started_at) if attempt.started_at else ""
    return Row(
        None,
        (
            ("", str(attempt.number)),
            state(attempt.outcome or "running"),
            _worker(attempt.worker_id),
            ("", started),
            ("", taken),
            ("", shown(attempt.reason)),
        ),
    )


def _id(task: Task) -> Piece:
    return ("", shown(short(task.id)))


def _call(task: Task) -> Piece:
    return ("", shown(call_text(task)))


def _worker(worker_id: str) -> Piece:
    return ("", shown(worker_name(worker_id)))


def _ran(task: Task, now: float) -> str:
    """How long its latest attempt took, or takes."""
    if not task.started_at or task.status == "queued":
        return ""
    return brief((task.finished_at or now) - task.started_at)


def brief(seconds: float) -> str:
    """A length of time in at most six columns: 0ms, 250ms, 4.8s, 1m44s, 2h03m, 4d05h."""
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{int(seconds * 1000)}ms"
    if seconds < 60:
        return f"{int(seconds * 10) / 10:.1f}s"
    for big, name, small, rest in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= big:
            return f"{int(seconds // big)}{name}{int(seconds % big // small):02d}{rest}"
    return ""
