"""What pages show, read once for all who look at the same one, and kept for the time in which it cannot be read."""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from dashboard.picture import Picture
from dashboard.web.rendering import Pages
from dashboard.web.views import ALWAYS, Query, Records, Values, View
from yadtq import YadtqError

MOST_READINGS = 64
"""Different pages whose last reading is kept."""
LONGEST_PARAMETER = 300
"""Characters. A task's id has at most 200 bytes."""
REST = 9.0
"""What took a while to read is not read again for so many times as long: a tenth of Redis' time at most."""
OLD_SECONDS = 15.0
"""Age of a picture from which it is marked as old, also when nothing says why."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A page as it is now. parts: name → HTML. said: what a screen reader is told. values: of its template."""

    parts: Mapping[str, Markup]
    said: str
    values: Values


@dataclass(slots=True)
class Kept:
    """A page's last reading. picture, old: of what it was made. fetched, problem: what the records said at last.

    rest_until: monotonic seconds, before which they are not asked again.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    picture: Picture | None = None
    old: bool = False
    reading: Reading | None = None
    fetched: Any = None
    problem: str = ""
    rest_until: float = 0.0


class Readings:
    """Makes readings. Thread-safe; those of one page wait for each other, and then take the same one."""

    def __init__(self, operator: Records, pages: Pages) -> None:
        self._operator = operator
        self._pages = pages
        self._kept: OrderedDict[tuple[str, ...], Kept] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, view: View, query: Query, picture: Picture) -> Reading:
        """The page as this picture and the records have it."""
        asked = {name: query[name][:LONGEST_PARAMETER] for name in view.asks if query.get(name)}
        kept = self._keep((view.name, *(f"{name}={value}" for name, value in asked.items())))
        with kept.lock:
            old = is_old(picture)
            if kept.reading is None or kept.picture is not picture or kept.old != old:
                self._fetch(kept, view, asked, picture)
                kept.reading = self._made(kept, view, asked, picture)
                kept.picture, kept.old = picture, old
            return kept.reading

    def _keep(self, key: tuple[str, ...]) -> Kept:
        with self._lock:
            kept = self._kept.setdefault(key, Kept())
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_READINGS:
                self._kept.popitem(last=False)
            return kept

    def _fetch(self, kept: Kept, view: View, asked: Query, picture: Picture) -> None:
        """Reads records, unless Redis is away or they were just read. What cannot be read stays as it was."""
        begin = time.monotonic()
        if view.fetch is None or picture.snapshot is None or picture.trouble or begin < kept.rest_until:
            return
        try:
            kept.fetched, kept.problem = view.fetch(self._operator, asked), ""
        except YadtqError as error:
            kept.problem = str(error)
        end = time.monotonic()
        kept.rest_until = end + (end - begin) * REST

    def _made(self, kept: Kept, view: View, asked: Query, picture: Picture) -> Reading:
        snapshot = picture.snapshot
        values: Values = {
            "picture": picture,
            "snapshot": snapshot,
            "now": snapshot.at if snapshot else time.time(),
            "problem": _problem(picture) or kept.problem,
            "old": is_old(picture) or bool(kept.problem),
            "taken": _taken(picture),
            "query": asked,
            **view.values(picture, kept.fetched, asked),
        }
        parts = {name: self._pages.part(name, values) for name in (*ALWAYS, *view.parts)}
        return Reading(parts, _said(picture), values)


def is_old(picture: Picture) -> bool:
    """Whether the picture is to be marked as old."""
    return bool(picture.trouble) or time.monotonic() - picture.read_at > OLD_SECONDS


def _problem(picture: Picture) -> str:
    if picture.trouble or picture.snapshot is None:
        return picture.trouble
    return picture.snapshot.health.redis or picture.snapshot.health.kafka


def _taken(picture: Picture) -> str:
    """The instant of the picture, by Redis' clock, on this machine's calendar."""
    if picture.snapshot is None:
        return ""
    return datetime.fromtimestamp(picture.snapshot.at, UTC).astimezone().strftime("%H:%M:%S")


def _said(picture: Picture) -> str:
    if picture.snapshot is None:
        return "Nothing is known of the queue yet."
    if picture.trouble:
        return f"The picture is old: {picture.trouble}"
    counts = picture.snapshot.stats.counts
    return (
        f"{counts.get('queued', 0):,} queued, {counts.get('processing', 0):,} in progress,"
        f" {counts.get('success', 0):,} completed, {counts.get('failed', 0):,} failed."
    )
