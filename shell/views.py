"""The commands that look: Show-Tasks, View, Wait, Workers, Stats."""

import time
from collections.abc import Iterator

from shell.answers import OK, TASK_FAILED, Answer, Column, Line, Record, Stream, Table
from shell.descriptions import (
    age,
    call_text,
    instant_text,
    json_text,
    length,
    outcome_text,
    run_time,
    short,
    task_data,
    value_text,
    worker_data,
    worker_name,
)
from shell.session import Session
from shell.width import ELLIPSIS
from yadtq import SHOWN, STATUSES, Attempt, Task, WaitTimeout

LIMIT = 20
"""Tasks on a page of Show-Tasks."""

CALL = 40
"""Characters of a call in the line about its outcome."""

TASK_COLUMNS = (
    Column("id"),
    Column("task", flexible=True),
    Column("state"),
    Column("result", flexible=True),
    Column("worker", flexible=True, droppable=True),
    Column("age", right=True),
    Column("run time", right=True, droppable=True),
)
ATTEMPT_COLUMNS = (
    Column("attempt", right=True),
    Column("outcome"),
    Column("worker", flexible=True),
    Column("started"),
    Column("run time", right=True),
    Column("reason", flexible=True),
)
WORKER_COLUMNS = (
    Column("worker", flexible=True),
    Column("state"),
    Column("busy", right=True),
    Column("executed", right=True),
    Column("last seen", right=True),
    Column("up", right=True, droppable=True),
    Column("host", flexible=True, droppable=True),
    Column("process", right=True, droppable=True),
    Column("running", flexible=True, droppable=True),
)


def show_tasks(
    session: Session, state: str, status: str | None, limit: int | None, page: int | None, **_: object
) -> Answer:
    """A page of the tasks, newest first."""
    status, limit, page = status or state, limit or LIMIT, page or 1
    tasks = session.client.list(status, limit, limit * (page - 1))
    counts = session.client.counts()
    total = counts.get(status, 0) if status else sum(counts.values())
    now = time.time()
    pages = max(1, -(-total // limit))
    note = f"page {page} of {pages}, {total:,} tasks" if pages > 1 or page > 1 else ""
    return Table(
        TASK_COLUMNS,
        tuple(_task_row(task, now) for task in tasks),
        [task_data(task) for task in tasks],
        f"{note} · next: --page {page + 1}" if page < pages else note,
        _no_tasks(status, page),
    )


def view(session: Session, id: str, **_: object) -> Answer:
    """Every field of a task, its full result, and its attempts."""
    task = session.client.get_result(session.task_id(id))
    now = time.time()
    attempts = tuple(_attempt_row(attempt, now) for attempt in task.attempts)
    tables = (("attempts", Table(ATTEMPT_COLUMNS, attempts)),) if attempts else ()
    return Record(tuple((name, text) for name, text in _task_fields(task, now) if text), task_data(task), tables)


def wait(session: Session, ids: tuple[str, ...], timeout: float | None, **_: object) -> Answer:
    """Waits for tasks; for all of this session's when none is named."""
    named = [session.task_id(given) for given in ids] or sorted(session.own.running())
    if not named:
        return Line("no task of this session is running; name one: Wait <id>")
    return Stream(_outcomes(session, named, timeout))


def workers(session: Session, **_: object) -> Answer:
    """The workers, as each one last reported."""
    now = time.time()
    known = sorted(session.client.workers(), key=lambda worker: (worker.state == "offline", worker.id))
    rows = tuple(
        (
            worker_name(worker.worker_id),
            worker.state,
            f"{worker.busy}/{worker.slots}",
            f"{worker.tasks_executed:,}",
            age(worker.last_seen, now),
            age(worker.started_at, now),
            worker.host,
            str(worker.process),
            " ".join(short(task_id) for task_id in worker.running),
        )
        for worker in known
    )
    empty = "no worker is known; start one: python worker.py"
    return Table(WORKER_COLUMNS, rows, [worker_data(worker) for worker in known], "", empty)


def stats(session: Session, **_: object) -> Answer:
    """The queue in numbers."""
    now = session.client.stats()
    data = {
        "counts": {status: now.counts.get(status, 0) for status in STATUSES},
        "workers": now.workers,
        "slots": now.slots,
        "busy": now.busy,
        "ready": now.ready,
        "delayed": now.delayed,
        "unread": now.unread,
        "outbox": now.outbox,
        "epoch": now.epoch,
        "generation": now.generation,
    }
    unread = "unknown: Kafka does not answer" if now.unread is None else f"{now.unread:,}"
    fields = [(SHOWN[status], f"{now.counts.get(status, 0):,}") for status in STATUSES]
    fields += [
        ("workers", f"{now.workers:,} with {now.slots:,} slots, {now.busy:,} busy"),
        ("unread in kafka", unread),
        ("ready", f"{now.ready:,} read and waiting for a free slot"),
        ("delayed", f"{now.delayed:,} waiting for their next attempt"),
        ("outbox", f"{now.outbox:,} events on their way to Kafka"),
        ("resets", f"{now.epoch:,}"),
    ]
    return Record(tuple(fields), data)


def outcome_line(task: Task, now: float) -> Line:
    """One line about a task that has ended."""
    done, state = task.status == "success", SHOWN[task.status]
    details = ", ".join(part for part in (run_time(task, now), worker_name(task.worker_id)) if part)
    call = call_text(task) if len(call_text(task)) <= CALL else call_text(task)[:CALL] + ELLIPSIS
    text = f"{short(task.id)}  {state}  {call} {'=' if done else '·'} {outcome_text(task)}"
    text += f"  ({details})" if details else ""
    return Line(text, task_data(task), state, OK if done else TASK_FAILED, brief=True)


def _outcomes(session: Session, task_ids: list[str], timeout: float | None) -> Iterator[Line]:
    for task_id in task_ids:
        session.client.get_result(task_id)  # TaskNotFound now, not an endless wait
    left = set(task_ids)
    for task in session.wait(task_ids, timeout):
        left.discard(task.id)
        yield outcome_line(task, time.time())
    if left:
        names = ", ".join(short(task_id) for task_id in sorted(left)[:5])
        raise WaitTimeout(f"{names} had not ended after {timeout or 0:g} s; nothing was cancelled")


def _task_row(task: Task, now: float) -> tuple[str, ...]:
    return (
        short(task.id),
        call_text(task),
        SHOWN[task.status],
        outcome_text(task),
        worker_name(task.worker_id),
        age(task.submitted_at, now),
        run_time(task, now),
    )


def _attempt_row(attempt: Attempt, now: float) -> tuple[str, ...]:
    return (
        str(attempt.number),
        attempt.outcome or "running",
        worker_name(attempt.worker_id),
        instant_text(attempt.started_at)[11:23],
        length((attempt.finished_at or now) - attempt.started_at) if attempt.started_at else "",
        attempt.reason,
    )


def _task_fields(task: Task, now: float) -> list[tuple[str, str]]:
    return [
        ("id", task.id),
        ("state", SHOWN[task.status]),
        ("task", task.task),
        ("args", json_text(task.args) if task.args else ""),
        ("kwargs", json_text(task.kwargs) if task.kwargs else ""),
        ("result", (value_text(task.result) or '""') if task.status == "success" else ""),
        ("error", str(task.error) if task.error else ""),
        ("traceback", task.error.traceback.rstrip() if task.error else ""),
        ("message", task.message.decode("utf-8", "backslashreplace")),
        ("attempts", _attempts(task)),
        ("next attempt", instant_text(task.retry_at) if task.status == "queued" else ""),
        ("worker", task.worker_id),
        ("submitted by", task.submitted_by),
        ("submitted", _instant(task.submitted_at, now)),
        ("started", _instant(task.started_at, now)),
        ("finished", _instant(task.finished_at, now)),
        ("run time", run_time(task, now)),
    ]


def _attempts(task: Task) -> str:
    parts = [f"{task.attempt}"]
    parts += [f"{task.failures} failed"] if task.failures else []
    parts += [f"{task.crashes} crashed"] if task.crashes else []
    return ", ".join(parts)


def _instant(instant: float, now: float) -> str:
    return f"{instant_text(instant)} ({age(instant, now)} ago)" if instant else ""


def _no_tasks(status: str, page: int) -> str:
    if page > 1:
        return "no tasks on this page"
    return f"no task is {SHOWN[status]}" if status else "no tasks yet; submit one: ADD 2 3"
