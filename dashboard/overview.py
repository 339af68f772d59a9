"""The overview: the curves, and under them who works, what runs, what waits and what went wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dashboard import rows
from dashboard.blocks import Column, Key, Line, Row, beside
from dashboard.body import Body, Panel, Size, share
from dashboard.curves import Curve, chart, mean, rate_text, seconds_text
from dashboard.picture import Picture, Selection, Wanted
from dashboard.view import Shown, View, place
from shell.descriptions import length
from yadtq import SHOWN, Page, Snapshot, Span, Task

SIDE_BY_SIDE = 130
"""Columns from which panels stand side by side."""
CURVES_FROM = 14
"""Lines from which there is room for the curves."""
FAILURES_FROM = 16
"""Lines from which there is room for failures; else their own section has them."""
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Kind:
    """A panel of tasks."""

    title: str
    status: str
    columns: Sequence[Column]
    row: Callable[[Task, float], Row]


PANELS = (
    Kind("In progress", "processing", rows.RUNNING, rows.running_row),
    Kind("Waiting", "queued", rows.WAITING, rows.waiting_row),
    Kind("Completed", "success", rows.DONE, rows.done_row),
    Kind("Failed", "failed", rows.FAILED, rows.failed_row),
)


def overview(picture: Picture, now: Snapshot, view: View, size: Size) -> Body:
    """On a wide screen the panels stand in two columns; on a low one only those about the present have room."""
    wide = size.columns >= SIDE_BY_SIDE
    curves = [*_curves(picture, now, view, size), ()] if size.lines >= CURVES_FROM else []
    room = Size((size.columns - 2) // 2 if wide else size.columns, size.lines - len(curves))
    wanted = _wanted(room)
    workers, running, waiting, done, *failures = _panels(picture, now, wanted)
    high = room.lines >= FAILURES_FROM
    groups = [[workers, running, waiting, *(failures if high else [])]]
    if wide:
        groups = [[workers, *failures], [running, waiting, done]]
    laid = [_laid(group, room) for group in groups]
    drawn = [row for group in laid for panel, lines in group for row in panel.rows[: max(0, lines - 1)]]
    keys = tuple(row.key for row in drawn if row.key)
    chosen = keys[place(view, keys)] if keys else None
    blocks = [_stacked(group, room, chosen) for group in laid]
    body = beside(blocks[0], blocks[1], size.columns) if wide else blocks[0]
    lines = [*curves, *body]
    needed = tuple(each for each in wanted if wide or each.status != "success")
    return Body(lines[: size.lines], Shown(keys), Wanted(needed))


def _wanted(room: Size) -> tuple[Selection, ...]:
    """Tasks that run, that wait, that were done last and that failed, as many as there may be room for."""
    count = max(1, min(rows.MOST, room.lines))
    return (
        Selection(count, status="processing", oldest=True),
        Selection(count, status="queued", oldest=True),
        Selection(count, status="success"),
        Selection(min(count, 10), status="failed"),
    )


def _panels(picture: Picture, now: Snapshot, selections: Sequence[Selection]) -> list[Panel]:
    """Workers, tasks that run, that wait, were done and failed, and lost workers when there are some."""
    pages = [picture.page(selection) for selection in selections]
    panels = [_panel(kind, now, page) for kind, page in zip(PANELS, pages, strict=True)]
    workers = [rows.worker_row(each, picture.rates, now.at) for each in rows.in_order(now.workers)]
    lost = [rows.lost_row(each, now.at) for each in now.failures]
    return [
        Panel("Workers", len(workers), rows.WORKERS, workers, rows.NO_WORKERS),
        *panels,
        *([Panel("Lost workers", len(lost), rows.LOST, lost, "")] if lost else []),
    ]


def _panel(kind: Kind, now: Snapshot, page: Page | None) -> Panel:
    drawn = [kind.row(task, now.at) for task in page.tasks] if page else []
    empty = f"no task is {SHOWN[kind.status]}" if page else rows.LOOKING
    return Panel(kind.title, now.stats.counts.get(kind.status, 0), kind.columns, drawn, empty)


def _curves(picture: Picture, now: Snapshot, view: View, size: Size) -> list[Line]:
    height = max(2, min(10, size.lines // 5))
    columns = (size.columns - 2) // 2
    spans = [span for span in now.spans if span.start > now.at - view.reach - 1]
    return beside(
        chart(_throughput(now, spans, view.reach), columns, height, "good"),
        chart(_waiting(picture, now, len(spans), view.reach), columns, height, "warm"),
        size.columns,
    )


def _throughput(now: Snapshot, spans: Sequence[Span], reach: float) -> Curve:
    values = [(span.success + span.failed) / max(0.001, span.end - span.start) for span in spans]
    ended = sum(span.success + span.failed for span in spans)
    about = f"{rate_text(throughput(now))} now, {ended:,} in {seconds_text(reach)}"
    return Curve("Throughput", about, values, reach, rate_text, mean)


def throughput(now: Snapshot) -> float:
    """Tasks that ended a second, over the last minute."""
    late = [span for span in now.spans if span.start >= now.at - MINUTE - 1]
    ended = sum(span.success + span.failed for span in late)
    return ended / max(1.0, now.at - late[0].start) if late else 0.0


def _waiting(picture: Picture, now: Snapshot, parts: int, reach: float) -> Curve:
    values: list[float | None] = [None] * parts
    for moment in picture.moments:
        part = int((moment.at - now.at + reach) / reach * parts)
        if moment.at > now.at - reach and parts:
            values[min(part, parts - 1)] = max(values[min(part, parts - 1)] or 0.0, moment.waiting_seconds)
    about = f"{length(now.waiting_seconds)} now" if now.waiting_seconds else "none waits now"
    return Curve("Oldest waiting", about, values, reach, seconds_text, max)


def _laid(panels: Sequence[Panel], room: Size) -> list[tuple[Panel, int]]:
    """The panels with the lines that each one gets, a free line between them included."""
    return list(zip(panels, share(room.lines, [panel.need + 1 for panel in panels]), strict=True))


def _stacked(laid: Sequence[tuple[Panel, int]], room: Size, chosen: Key | None) -> list[Line]:
    lines: list[Line] = []
    for panel, given in laid:
        drawn = panel.drawn(room.columns, given, chosen)
        lines += [*drawn, *[()] * max(0, given - len(drawn))]
    return lines
