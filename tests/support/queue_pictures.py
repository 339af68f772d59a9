"""Pictures of queues for tests of the monitor: no servers, every instant made up."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from dashboard.body import Size
from dashboard.drawing import Screen, draw
from dashboard.picture import Moment, Picture
from dashboard.view import View, press
from yadtq import (
    STATUSES,
    Casualty,
    Failure,
    Health,
    Page,
    Server,
    Snapshot,
    Span,
    Stats,
    Task,
    Worker,
    WorkerFailure,
)

NOW = 1_755_103_784.0
"""The instant of all pictures, by Redis' clock."""
SMALL, WIDE = Size(80, 24), Size(200, 60)


def task(number: int, status: str = "success", **given: Any) -> Task:
    """A task `add <number> 1`, submitted so many seconds ago, with what belongs to its status."""
    values: dict[str, Any] = {
        "id": f"task{number:04d}", "task": "add", "args": [number, 1], "kwargs": {}, "status": status,
        "submitted_at": NOW - number, "submitted_by": "host1-7~abc123",
    }  # fmt: skip
    if status != "queued":
        values |= {"attempt": 1, "worker_id": "worker1~abcdefgh", "started_at": NOW - number + 0.25}
    if status in ("success", "failed"):
        values["finished_at"] = NOW - number + 0.5
    if status == "success":
        values["result"] = number + 1
    if status == "failed":
        values["error"] = Failure("ZeroDivisionError", "division by zero", "Traceback\n  File x")
    return Task(**(values | given))


def worker(name: str = "worker1", **given: Any) -> Worker:
    """A worker as it reported itself half a second ago."""
    values: dict[str, Any] = {
        "id": f"{name}~abcdefgh", "worker_id": name, "state": "online", "last_seen": NOW - 0.5, "started_at": NOW - 90,
        "host": "host1", "process": 4242, "slots": 3, "busy": 1, "tasks_executed": 1234,
    }  # fmt: skip
    return Worker(**(values | given))


def lost_worker(**given: Any) -> WorkerFailure:
    values: dict[str, Any] = {
        "worker": "worker9~qqqqqqqq", "worker_id": "worker9", "host": "host9", "last_seen": NOW - 70, "at": NOW - 40,
        "reason": "its lease lapsed", "count": 2,
        "tasks": (Casualty("task0001", True, "success"), Casualty("task0002", False, "queued")),
    }  # fmt: skip
    return WorkerFailure(**(values | given))


def counts(**given: int) -> dict[str, int]:
    return {status: given.get(status, 0) for status in STATUSES}


def snapshot(tasks: dict[str, int] | None = None, **given: Any) -> Snapshot:
    """A queue in which all is well. tasks: status → how many."""
    workers: tuple[Worker, ...] = given.get("workers", (worker(),))
    live = [each for each in workers if each.state != "offline"]
    stats = Stats(
        tasks or counts(queued=2, processing=1, success=100, failed=1), len(live), sum(each.slots for each in live),
        sum(each.busy for each in live), ready=2, delayed=0, unread=0, outbox=0, epoch=0, generation=1,
    )  # fmt: skip
    leader = Server("host1-11", "leading", NOW - 1, NOW - 99, "host1", 11)
    values: dict[str, Any] = {
        "at": NOW, "stats": stats, "workers": workers, "servers": (leader,), "failures": (), "spans": spans(),
        "waiting_seconds": 2.0, "quarantine": False, "relay": "worker1~abcdefgh", "lag": {0: 0, 1: 3},
        "health": Health(),
    }  # fmt: skip
    return Snapshot(**(values | given))


def spans(count: int = 360, seconds: float = 10.0) -> tuple[Span, ...]:
    """An hour in which ever more tasks ended, 360 of them in the last 10 s."""
    begin = NOW - count * seconds
    return tuple(Span(begin + i * seconds, begin + (i + 1) * seconds, i + 1, i % 60 == 0) for i in range(count))


def picture(now: Snapshot | None = None, **given: Any) -> Picture:
    values: dict[str, Any] = {"moments": (Moment(NOW - 30, 8.0), Moment(NOW, 2.0)), "rates": {"worker1~abcdefgh": 3.25}}
    return Picture("yadtq", now or snapshot(), **(values | given))


def served(before: Picture, view: View, size: Size, tasks: Iterable[Task] = ()) -> Picture:
    """The picture with all that its page wants, out of these tasks."""
    wanted = draw(before, view, size, 0.5).wanted
    pages = {}
    for each in wanted.selections:
        found = [task for task in tasks if each.status in ("", task.status) and task.id.startswith(each.prefix)]
        part = found[-each.count :][::-1] if each.oldest else found[each.first :][: each.count]
        more = each.first + len(part) if each.first + len(part) < len(found) and not each.oldest else None
        pages[each] = Page(tuple(part), more, len(found), complete=True)
    task = next((task for task in tasks if task.id == wanted.task_id), None)
    problem = "" if task else f"no task has the id {wanted.task_id}"
    return replace(before, pages=pages, task_id=wanted.task_id, task=task, task_problem=problem)


def screen(before: Picture, view: View, size: Size = SMALL, tasks: Iterable[Task] = (), age: float = 0.5) -> Screen:
    """What is drawn when all that the page wants has been fetched."""
    tasks = tuple(tasks)
    return draw(served(before, view, size, tasks), view, size, age)


def pressed(before: Picture, view: View, keys: Iterable[str], size: Size = SMALL, tasks: Iterable[Task] = ()) -> View:
    """The view after keys, each pressed when what it is about has been drawn."""
    tasks = tuple(tasks)
    for key in keys:
        view = press(view, key, screen(before, view, size, tasks).shown)
    return view


def text(drawn: Screen) -> str:
    """The screen as a person reads it, without trailing spaces."""
    return "\n".join("".join(words for _, words in line).rstrip() for line in drawn.lines)
