"""What the page draws: the queue as it was last seen, and what was asked for besides. Plain values, swapped whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from yadtq import Page, Snapshot, Task


@dataclass(frozen=True, slots=True)
class Selection:
    """Tasks that a page wants, as `Operator.page` takes them.

    oldest: those of this status that came first, oldest first, instead of the newest; `first` is then no matter.
    """

    count: int
    first: int = 0
    status: str = ""
    task: str = ""
    worker: str = ""
    prefix: str = ""
    oldest: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What has to be fetched besides the snapshot. task_id: the task that is open, '' none."""

    selections: tuple[Selection, ...] = ()
    task_id: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """How long the oldest task had waited at an instant, in seconds; `at` by Redis' clock."""

    at: float
    waiting_seconds: float


@dataclass(frozen=True, slots=True)
class Picture:
    """The queue as it was last seen.

    queue: its namespace. snapshot: None before the first one. read_at: when that came, on the reader's monotonic clock.
    trouble: why there has been none since, or ''; away: because Redis does not answer. pages: what was asked for, while
    it could be had. task, task_id: the open task; task_problem: why there is none. moments: of earlier snapshots,
    oldest first. rates: incarnation of a worker → tasks a second of late.
    """

    queue: str = ""
    snapshot: Snapshot | None = None
    read_at: float = 0.0
    trouble: str = ""
    away: bool = False
    pages: Mapping[Selection, Page] = field(default_factory=dict)
    task_id: str = ""
    task: Task | None = None
    task_problem: str = ""
    moments: tuple[Moment, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)

    def page(self, wanted: Selection) -> Page | None:
        """What was fetched of a selection, None while there is nothing. One of another length stands for it: a screen
        that has changed its size, or got a line of warning, goes on showing what is known."""
        known = (page for each, page in self.pages.items() if replace(each, count=wanted.count) == wanted)
        page = self.pages.get(wanted) or next(known, None)
        return replace(page, tasks=page.tasks[: wanted.count]) if page else None
