"""What each page knows: which records it reads, and the values of its template."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from dashboard.picture import Picture
from dashboard.source import Reads
from dashboard.web import curves
from yadtq import STATUSES, STORED, Page, Task, TaskNotFound, WorkerFailure

PAGE_TASKS = 50
RECENT_TASKS = 8
HOUR_SECONDS, SHORT_SECONDS = 3600.0, 600.0
"""Over which the curves reach."""
MOST_FIRST = 10**12
SEARCH_SECONDS = 0.12
"""For which one answer may look through the tasks."""

Query = Mapping[str, str]
Values = dict[str, Any]


class Records(Reads, Protocol):
    """What of `yadtq.Operator` the pages call."""

    def failures(self, count: int = 100) -> tuple[WorkerFailure, ...]: ...


@dataclass(frozen=True, slots=True)
class View:
    """A page. section: its name in the navigation. parts: templates that are sent anew when they change.

    asks: the parameters that it knows.

    fetch: reads what is not in the picture. values: from the picture, what was fetched (None: nothing could be read
    yet) and the parameters.
    """

    name: str
    section: str
    parts: tuple[str, ...]
    values: Callable[[Picture, Any, Query], Values]
    asks: tuple[str, ...] = ()
    fetch: Callable[[Records, Query], Any] | None = None


# -- the overview and the workers: all of it is in the picture


def _overview(picture: Picture, recent: Any, query: Query) -> Values:
    snapshot, hour = picture.snapshot, query.get("last") == "hour"
    values: Values = {"recent": recent, "hour": hour, "rate": sum(picture.rates.values())}
    if snapshot is None:
        return values
    seconds = HOUR_SECONDS if hour else SHORT_SECONDS
    spans = [span for span in snapshot.spans if span.end > snapshot.at - seconds]
    waiting = curves.waiting(picture.moments, snapshot.at, seconds)
    return {**values, "throughput": curves.throughput(spans), "waiting": waiting}


def _recent(operator: Records, _: Query) -> Page:
    return operator.page(count=RECENT_TASKS, seconds=SEARCH_SECONDS)


def _workers(_: Picture, __: Any, ___: Query) -> Values:
    return {}


# -- tasks


def status_of(word: str) -> str:
    """The stored status that a parameter names, as it is stored or as people read it; '' for any other word."""
    stored = STORED.get(word, word)
    return stored if stored in STATUSES else ""


def first_of(query: Query) -> int:
    """The place in the list at which a page begins."""
    text = query.get("first", "")
    return min(int(text), MOST_FIRST) if text.isascii() and text.isdecimal() and len(text) < 20 else 0


def _fetch_tasks(operator: Records, query: Query) -> Page:
    return operator.page(
        status=status_of(query.get("status", "")),
        task=query.get("task", ""),
        worker=query.get("worker", ""),
        prefix=query.get("id", ""),
        first=first_of(query),
        count=PAGE_TASKS,
        seconds=SEARCH_SECONDS,
    )


def _tasks(picture: Picture, page: Page | None, query: Query) -> Values:
    snapshot = picture.snapshot
    status = status_of(query.get("status", ""))
    filtered = any(query.get(name) for name in ("task", "worker", "id"))
    counts = snapshot.stats.counts if snapshot else {}
    total = counts.get(status, 0) if status else sum(counts.values())
    workers = snapshot.workers if snapshot else ()
    return {
        "page": page,
        "status": status,
        "first": first_of(query),
        "filtered": filtered,
        "total": total,
        "known_names": sorted({signature.name for worker in workers for signature in worker.tasks}),
        "known_workers": sorted({worker.worker_id for worker in workers}),
    }


@dataclass(frozen=True, slots=True)
class Found:
    """A task, or why there is none."""

    task: Task | None
    problem: str = ""


def _fetch_task(operator: Records, query: Query) -> Found:
    try:
        return Found(operator.client.get_result(query.get("id", "")))
    except TaskNotFound as error:
        return Found(None, str(error))


def _task(_: Picture, found: Found | None, __: Query) -> Values:
    return {"found": found, "task": found.task if found else None}


# -- failures and rejected messages


@dataclass(frozen=True, slots=True)
class Failures:
    """Workers that were lost, and tasks that failed; the newest first."""

    workers: tuple[WorkerFailure, ...]
    tasks: Page


def _fetch_failures(operator: Records, query: Query) -> Failures:
    tasks = operator.page(status="failed", first=first_of(query), count=PAGE_TASKS, seconds=SEARCH_SECONDS)
    return Failures(operator.failures(), tasks)


def _failures(picture: Picture, failures: Failures | None, query: Query) -> Values:
    return {"failures": failures, "first": first_of(query)}


def _fetch_rejected(operator: Records, query: Query) -> Page:
    return operator.page(status="rejected", first=first_of(query), count=PAGE_TASKS, seconds=SEARCH_SECONDS)


def _rejected(_: Picture, page: Page | None, query: Query) -> Values:
    return {"page": page, "first": first_of(query)}


ALWAYS = ("state", "notes")
"""Parts of every page."""
FILTERS = ("status", "task", "worker", "id", "first")

VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        View("overview", "Overview", ("counts", "curves", "workforce", "recent"), _overview, ("last",), _recent),
        View("tasks", "Tasks", ("tasks",), _tasks, FILTERS, _fetch_tasks),
        View("task", "Task", ("task",), _task, ("id",), _fetch_task),
        View("workers", "Workers", ("workers", "servers"), _workers),
        View("failures", "Failures", ("lost", "failed"), _failures, ("first",), _fetch_failures),
        View("rejected", "Rejected", ("rejected",), _rejected, ("first",), _fetch_rejected),
    )
}
SECTIONS = ("overview", "tasks", "workers", "failures", "rejected")
"""Views that the navigation names."""


def path_of(view: View) -> str:
    """Where a page is."""
    return "/" if view.name == "overview" else f"/{view.name}"
