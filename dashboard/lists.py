"""The sections that are lists: tasks, rejected messages, failures, workers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dashboard import rows
from dashboard.blocks import Column, Key, Line, Row, ends, shown, table, text
from dashboard.body import Body, Size, window
from dashboard.picture import Picture, Selection, Wanted
from dashboard.view import Filters, Shown, View, place
from yadtq import SHOWN, Snapshot, Task

LOST_ROWS = 10
"""Lost workers that are seen above the failed tasks, at most."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A long list of tasks, a page of which is shown. total: None when nobody knows. empty: said when there is none."""

    selection: Selection
    total: int | None
    title: str
    empty: str
    columns: Sequence[Column] = rows.TASKS
    row: Callable[[Task, float], Row] = rows.task_row


def tasks(picture: Picture, now: Snapshot, view: View, size: Size) -> Body:
    """All tasks, newest first, or those that were asked for."""
    wanted = view.filters
    total = None if wanted.sought else _total(now, wanted.status)
    count = _rows(size)
    selection = Selection(count, view.first, wanted.status, wanted.task, wanted.worker, wanted.prefix)
    empty = rows.NO_TASKS if wanted == Filters() else "no task is like that (Esc: all tasks)"
    return _listed(picture, now, view, size, Listed(selection, total, f"Tasks: {filtered(wanted)}", empty))


def filtered(filters: Filters) -> str:
    """What a list is about, in words."""
    named = (("name", filters.task), ("worker", filters.worker), ("id", filters.prefix and f"{filters.prefix}…"))
    words = [SHOWN[filters.status] if filters.status else "all", *(f"{kind} {shown(it)}" for kind, it in named if it)]
    return " · ".join(words)


def rejected(picture: Picture, now: Snapshot, view: View, size: Size) -> Body:
    """Messages that were no tasks."""
    selection = Selection(_rows(size), view.first, "rejected")
    title, empty = "Messages that were no tasks", "no message was rejected"
    listed = Listed(selection, _total(now, "rejected"), title, empty, rows.REJECTED, rows.rejected_row)
    return _listed(picture, now, view, size, listed)


def failures(picture: Picture, now: Snapshot, view: View, size: Size) -> Body:
    """Lost workers, and under them the tasks that failed."""
    lost = [rows.lost_row(each, now.at) for each in now.failures]
    room = min(len(lost), LOST_ROWS, max(1, (size.lines - 6) // 3))
    above = room + 2 if lost else 0
    selection = Selection(_rows(Size(size.columns, size.lines - above)), view.first, "failed")
    total = _total(now, "failed")
    listed = Listed(selection, total, "Tasks that failed", "no task has failed", rows.FAILED, rows.failed_row)
    keys = tuple(row.key for row in lost if row.key)
    below = _listed(picture, now, view, Size(size.columns, size.lines - above), listed, keys)
    if not lost:
        return below
    chosen = place(view, below.shown.keys)
    seen = window(lost, min(chosen, len(lost) - 1), room)
    drawn = table(rows.LOST, seen, size.columns, keys[chosen] if chosen < len(keys) else None)
    return Body([*drawn, (), *below.lines], below.shown, below.wanted)


def workers(picture: Picture, now: Snapshot, view: View, size: Size) -> Body:
    """All workers that were heard of in the last day; those that live first."""
    known = rows.in_order(now.workers)
    drawn = [rows.worker_row(worker, picture.rates, now.at) for worker in known]
    keys = tuple(row.key for row in drawn if row.key)
    if not keys:
        return Body([text("Workers", "title"), text(f"  {rows.NO_WORKERS}", "dim")])
    height = max(1, size.lines - 2)
    chosen = place(view, keys)
    live = sum(worker.state != "offline" for worker in known)
    stats = now.stats
    about = f"{live:,} live, {stats.busy:,} of {stats.slots:,} slots busy"
    lines = [ends(text(about, "title"), _where(chosen // height * height, len(keys), height), size.columns)]
    lines += table(rows.WORKERS, window(drawn, chosen, height), size.columns, keys[chosen])
    return Body(lines, Shown(keys, height=height))


def _listed(
    picture: Picture, now: Snapshot, view: View, size: Size, listed: Listed, above: tuple[Key, ...] = ()
) -> Body:
    """The page of a long list that the view is at. above: keys of rows that stand over it."""
    page = picture.page(listed.selection)
    drawn = [listed.row(task, now.at) for task in page.tasks] if page else []
    keys = (*above, *(row.key for row in drawn if row.key))
    height = listed.selection.count
    seen = Shown(keys, len(above), height, page.next if page else None, listed.total)
    title = text(listed.title, "title")
    wanted = Wanted((listed.selection,))
    if page is None or not drawn:
        words = rows.LOOKING if page is None else listed.empty if page.complete else _looked_at(page.looked_at)
        return Body([title, text(f"  {words}", "dim")], seen, wanted)
    if listed.total is None:
        more = "more: PgDn" if page.next is not None else "the end"
        right = text(more if page.complete else _looked_at(page.looked_at), "dim")
    else:
        right = _where(view.first, listed.total, len(drawn))
    chosen = keys[place(view, keys)]
    lines = [ends(title, right, size.columns), *table(listed.columns, drawn, size.columns, chosen)]
    return Body(lines[: size.lines], seen, wanted)


def _looked_at(count: int) -> str:
    return f"{count:,} tasks were compared; PgDn goes on"


def _where(first: int, total: int, count: int) -> Line:
    return text(f"{first + 1:,}–{min(total, first + count):,} of {total:,}", "dim")


def _rows(size: Size) -> int:
    return max(1, min(rows.MOST, size.lines - 2))


def _total(now: Snapshot, status: str) -> int:
    counts = now.stats.counts
    return counts.get(status, 0) if status else sum(counts.values())
