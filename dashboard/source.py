"""Keeps one picture of the queue up to date, in a thread of its own. The page reads it and does no input or output."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from dashboard.picture import Moment, Picture, Selection, Wanted
from yadtq import Page, ServerUnreachable, Snapshot, Task, TaskClient, TaskNotFound, YadtqError

INTERVAL, SLOWEST = 1.0, 5.0
"""Seconds between two looks; while a server is down the pause doubles, up to the slowest."""
SPANS = 360
"""Parts of the last hour whose throughput is asked for: 10 s each."""
RESTED = 2.0
"""A look that took long, because results are large, is followed by a pause that is so many times as long."""
HOUR = 3600.0
"""Seconds for which waiting ages are remembered."""
RATE_SECONDS = 10.0
"""Time over which a worker's rate is measured, at least."""

log = logging.getLogger("yadtq.dashboard")


class Reads(Protocol):
    """What of `yadtq.Operator` a source calls."""

    @property
    def client(self) -> TaskClient: ...

    def snapshot(self, spans: int = 60, failures: int = 20) -> Snapshot: ...

    def page(
        self,
        status: str = "",
        task: str = "",
        worker: str = "",
        prefix: str = "",
        first: int = 0,
        count: int = 50,
        seconds: float = 0.15,
    ) -> Page: ...


class Source:
    """Keeps `picture` up to date. Thread-safe.

    changed: called by its thread when there is something new to draw.
    """

    def __init__(self, operator: Reads, queue: str, changed: Callable[[], None]) -> None:
        self.picture = Picture(queue)
        self._operator = operator
        self.changed = changed
        self._wanted, self._fetched = Wanted(), Wanted()
        self._paused = False
        self._closed = False
        self._due_at = 0.0
        self._interval = self._pause_seconds = INTERVAL
        self._rates = Rates()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dashboard", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def want(self, wanted: Wanted) -> None:
        """Says what is to be fetched from now on; when that is something else than before, it is fetched at once."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._wake.set()

    def every(self, seconds: float) -> None:
        """How often it looks from now on; when that is more often than before, it looks at once."""
        before, self._interval = self._interval, seconds
        if seconds < before and not self.picture.trouble:
            self._due_at = 0.0
            self._wake.set()

    def pause(self, paused: bool) -> None:
        """While it is paused the snapshot stays as it is; pages that are newly wanted are fetched all the same."""
        if paused != self._paused:
            self._paused, self._due_at = paused, 0.0
            self._wake.set()

    def close(self) -> None:
        """Ends the thread; waits for a look under way no longer than a moment."""
        self._closed = True
        self._wake.set()
        self._thread.join(timeout=0.5)

    def _run(self) -> None:
        while not self._closed:
            self._wake.clear()
            if self.look():
                self.changed()
            patience = None if self._paused else max(0.0, self._due_at - time.monotonic())
            if self._wanted == self._fetched:
                self._wake.wait(patience)

    def look(self) -> bool:
        """Fetches what is due. Returns whether there is a new picture. Never raises what a server can cause."""
        begun = time.monotonic()
        due = not self._paused and begun >= self._due_at
        wanted = self._wanted
        if not due and wanted == self._fetched:
            return False
        try:
            picture = self._news(self.picture, wanted) if due else self.picture
            picture = self._pages(picture, wanted)
            self._pause_seconds = max(self._interval, RESTED * (time.monotonic() - begun))
        except YadtqError as error:
            away = isinstance(error, ServerUnreachable) and error.server == "redis"
            picture = replace(self.picture, trouble=str(error), away=away)
            self._pause_seconds = min(SLOWEST, self._pause_seconds * 2)
        except Exception as error:  # a mistake of ours must not leave the page standing still without a word
            log.exception("a look at the queue failed in an unforeseen way")
            picture = replace(self.picture, trouble=f"{type(error).__name__}: {error} (a mistake in YADTQ)", away=False)
            self._pause_seconds = SLOWEST
        self._fetched = wanted
        if due:
            self._due_at = time.monotonic() + self._pause_seconds
        self.picture = picture
        return True

    def _news(self, before: Picture, wanted: Wanted) -> Picture:
        snapshot = self._operator.snapshot(spans=SPANS)
        now = time.monotonic()
        earlier = (moment for moment in before.moments if snapshot.at - HOUR <= moment.at < snapshot.at)
        moments = (*earlier, Moment(snapshot.at, snapshot.waiting_seconds))
        self._rates.note(now, snapshot)
        # What was fetched for an earlier snapshot must not stand beside this one.
        kept = {selection: page for selection, page in before.pages.items() if selection in wanted.selections}
        return replace(
            before,
            snapshot=snapshot,
            read_at=now,
            trouble="",
            away=False,
            moments=moments,
            rates=self._rates.now(),
            pages=kept,
        )

    def _pages(self, picture: Picture, wanted: Wanted) -> Picture:
        counts = picture.snapshot.stats.counts if picture.snapshot else {}
        pages = {selection: self._page(selection, counts.get(selection.status, 0)) for selection in wanted.selections}
        task, problem = self._task(wanted.task_id) if wanted.task_id else (None, "")
        return replace(picture, pages=pages, task_id=wanted.task_id, task=task, task_problem=problem)

    def _page(self, wanted: Selection, total: int) -> Page:
        first = max(0, total - wanted.count) if wanted.oldest else wanted.first
        page = self._operator.page(
            wanted.status, wanted.task, wanted.worker, wanted.prefix, first=first, count=wanted.count
        )
        return replace(page, tasks=page.tasks[::-1]) if wanted.oldest else page

    def _task(self, task_id: str) -> tuple[Task | None, str]:
        try:
            return self._operator.client.get_result(task_id), ""
        except TaskNotFound as error:
            return None, str(error)


class Rates:
    """How many tasks each worker ends a second, from what it had executed at earlier looks."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, dict[str, int]]] = deque()

    def note(self, now: float, snapshot: Snapshot) -> None:
        """now: monotonic seconds."""
        self._looks.append((now, {worker.id: worker.tasks_executed for worker in snapshot.workers}))
        while len(self._looks) > 2 and now - self._looks[1][0] >= RATE_SECONDS:
            self._looks.popleft()

    def now(self) -> dict[str, float]:
        """Incarnation → tasks a second; only for workers that were seen twice."""
        (begin, before), (end, after) = self._looks[0], self._looks[-1]
        if end <= begin:
            return {}
        return {each: max(0, count - before[each]) / (end - begin) for each, count in after.items() if each in before}
