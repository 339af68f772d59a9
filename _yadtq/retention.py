"""Retention: ends the life of old results, and deletes from the task topic the messages that nobody needs any more.

Kafka keeps the task topic for ever by itself. Needed are: what was not read yet; what was submitted, or read, in the
last days (the rebuild window); and everything from the oldest task on that has not ended. Where that begins is known
from bookmarks, which tell how far the queue had read at an instant: a message of what was submitted later lies there
or behind. So nothing depends on the time that a message bears, which its sender's clock has made.
"""

import json
from typing import TYPE_CHECKING

from _yadtq.log import Log

if TYPE_CHECKING:  # they bring redis and kafka with them
    from _yadtq.broker import Broker
    from _yadtq.store import Store

LOOK_SECONDS = 600.0  # between two looks at the task topic
SPACING_MS, MOST_BOOKMARKS = 1_800_000, 400  # one in half an hour, and at most so many in the rebuild window
MARGIN_MS = 3_600_000  # kept beyond what is needed: Redis' clock may have been set back
TASKS_AT_ONCE, CALLS_AT_ONCE = 500, 20  # that one call and one step look at
SHOWN = 3  # partitions that a line names


class Retention:
    """Used by the relay's thread."""

    def __init__(self, store: "Store", broker: "Broker", log: Log) -> None:
        self._store, self._broker, self._log = store, broker, log
        self._window_ms = round(store.settings.rebuild_window * 1000)
        self._look_at: float | None = None  # monotonic seconds
        self._looking: tuple[int, str] | None = None  # as of which instant, and the order that the look has come to

    def tidy(self) -> bool:
        """One bounded step of ending old results and old epochs. Returns whether there is more."""
        return self._store.tidy()

    def is_due(self, now: float) -> bool:
        """Whether to look now, or to go on with a look. now: monotonic seconds."""
        if self._look_at is None:
            self._look_at = now + LOOK_SECONDS
        if self._looking is None and now < self._look_at:
            return False
        self._look_at = now + LOOK_SECONDS
        return True

    def look(self) -> bool:
        """One bounded step: looks for the oldest task that has not ended, then deletes. Returns whether it is done."""
        looking, self._looking = self._looking or (self._wanted_from(), ""), None
        instant, behind = looking
        for _ in range(CALLS_AT_ONCE):
            word, value = self._store.unfinished(behind, TASKS_AT_ONCE, instant)
            if word != "more":
                self._delete(int(value) if word == "found" else instant)
                return True
            behind = value
        self._looking = instant, behind
        return False

    def _wanted_from(self) -> int:
        """Since when everything is kept, whatever became of it: milliseconds by Redis' clock."""
        begins = self._store.overview(1, 0, 0).now - self._window_ms
        for _, event in self._store.events("0-0", 0.001, 1):  # a rebuild knows nothing of what the event log lacks
            begins = min(begins, round(float(json.loads(event)["at"]) * 1000))
        return begins

    def _delete(self, needed: int) -> None:
        """Deletes what lies before everything that was submitted from this instant on."""
        places = self._store.bookmark(needed - MARGIN_MS, max(SPACING_MS, self._window_ms // MOST_BOOKMARKS))
        standing = self._store.standing()
        if not places or not standing.topic or standing.topic != self._broker.topic_id():
            return  # nothing is known of the topic that Kafka has now
        deleted = self._broker.delete_tasks({p: min(at, standing.positions.get(p, 0)) for p, at in places.items()})
        if deleted:
            parts = [f"partition {p} below offset {places[p]:,}" for p in sorted(deleted)]
            more = f" and {len(parts) - SHOWN} more" if len(parts) > SHOWN else ""
            name, count = self._broker.keys.tasks_topic, sum(deleted.values())
            text = f"{count:,} messages of {name} are deleted, which nobody needs: {', '.join(parts[:SHOWN])}{more}"
            self._log.info("retain", text=text)
