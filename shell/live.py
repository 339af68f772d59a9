"""What the shell knows about the queue without asking: one value, refreshed in the background and swapped whole.

Completion and the toolbar read it and do no input or output of their own.
"""

import importlib
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

from shell.descriptions import call_text, short
from yadtq import SHOWN, ServerUnreachable, Signature, TaskClient, Worker, YadtqError, registered_tasks

INTERVAL, SLOWEST = 1.0, 5.0
"""Seconds between two looks; while a server is down the pause doubles, up to the slowest."""
RECENT = 20

log = logging.getLogger("yadtq.shell")

ASKING, WORKS, DOWN = "…", "ok", "unreachable"


@dataclass(frozen=True, slots=True)
class Live:
    """The queue as it was a moment ago. counts: stored status → tasks, empty while unknown.

    kafka, redis: a word each; kafka_trouble, redis_trouble: one line about what is wrong, or ''. recent: short id and
    call of the latest tasks.
    """

    kafka: str = ASKING
    redis: str = ASKING
    kafka_trouble: str = ""
    redis_trouble: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    workers: tuple[Worker, ...] = ()
    recent: tuple[tuple[str, str], ...] = ()
    signatures: Mapping[str, Signature] = field(default_factory=dict)

    @property
    def trouble(self) -> str:
        return self.redis_trouble or self.kafka_trouble

    @property
    def workers_up(self) -> int:
        return sum(worker.state != "offline" for worker in self.workers)


def signatures_of(workers: tuple[Worker, ...]) -> dict[str, Signature]:
    """The tasks that the workers run, by name; those that come with YADTQ while no worker has published any."""
    published = {signature.name: signature for worker in workers for signature in worker.tasks}
    return published or dict(_shipped())


@cache
def _shipped() -> Mapping[str, Signature]:
    importlib.import_module("tasks")
    return {signature.name: signature for signature in registered_tasks()}


def queue_now(client: TaskClient, before: Live) -> dict[str, Any]:
    """What Redis knows, as fields of `Live`. Never raises what a server can cause."""
    try:
        workers = tuple(client.workers())
        counts = client.counts()
        # Records come with their results, which may be large: they are read again only when something has happened.
        recent = before.recent if counts == before.counts else _recent(client)
    except YadtqError as error:
        # An empty Redis is asked about in Kafka, so this may be Kafka's error.
        word = DOWN if isinstance(error, ServerUnreachable) and error.server == "redis" else WORKS
        return {"redis": word, "redis_trouble": str(error), "counts": {}, "workers": ()}
    signatures = signatures_of(workers)
    return {
        "redis": WORKS,
        "redis_trouble": "",
        "counts": counts,
        "workers": workers,
        "recent": recent,
        "signatures": signatures,
    }


def _recent(client: TaskClient) -> tuple[tuple[str, str], ...]:
    return tuple(
        (short(task.id), f"{call_text(task)[:60]} · {SHOWN[task.status]}") for task in client.list(limit=RECENT)
    )


def kafka_now(client: TaskClient, _: Live) -> dict[str, Any]:
    """Whether Kafka answers, as fields of `Live`."""
    trouble = client.health().kafka
    return {"kafka": DOWN if trouble else WORKS, "kafka_trouble": trouble}


class Refresher:
    """Keeps `live` up to date, with a thread for each server: one that is down must not hide the other.

    changed: called by these threads when there is something new to show.
    """

    def __init__(self, client: TaskClient) -> None:
        self.live = Live(signatures=signatures_of(()))
        self.changed: Callable[[], None] = lambda: None
        self._closed = False
        self._swap = threading.Lock()
        self._wake = threading.Event()
        self._end = threading.Event()
        looks = (("queue", partial(queue_now, client), self._wake), ("kafka", partial(kafka_now, client), self._end))
        self._threads = [
            threading.Thread(target=self._run, args=(look, wake), name=name, daemon=True) for name, look, wake in looks
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def soon(self) -> None:
        """Looks at the queue again now: something has just been done."""
        self._wake.set()

    def close(self) -> None:
        """Stops the threads; waits for a look under way no longer than a moment."""
        self._closed = True
        self._wake.set()
        self._end.set()
        for thread in self._threads:
            thread.join(timeout=0.2)

    def _run(self, look: Callable[[Live], dict[str, Any]], wake: threading.Event) -> None:
        pause = INTERVAL
        while not self._closed:
            wake.clear()
            news = self._news(look)
            with self._swap:
                before = self.live
                self.live = replace(before, **news)
            if self.live != before and not self._closed:
                self.changed()
            down = DOWN in (news.get("redis"), news.get("kafka"))
            pause = min(SLOWEST, pause * 2) if down else INTERVAL
            wake.wait(pause)

    def _news(self, look: Callable[[Live], dict[str, Any]]) -> dict[str, Any]:
        try:
            return look(self.live)
        except Exception as error:  # a mistake of ours must not leave the bottom line standing still for ever
            log.exception("a look at the queue failed in an unforeseen way")
            return {"redis_trouble": f"{type(error).__name__}: {error}; details are in client.log"}
