"""Watches the processes of workers, and when each dies; and watches what the public API shows of the tasks."""

import os
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.ledger import Reading, identity, now
from yadtq import Task, TaskClient, YadtqError

LOOK_SECONDS = 0.04
READ_SECONDS = 0.5
READ_TASKS = 200


def children_of(process: int) -> list[int]:
    """The processes that any thread of one has started, and that live."""
    found: list[int] = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += [int(word) for word in path.read_text(encoding="ascii").split()]
        except OSError:
            continue  # that thread has ended
    return found


def guard_of(process: int) -> int | None:
    """The guard of a worker, by its parent's number."""
    for child in children_of(process):
        try:
            if b"guard.py" in Path(f"/proc/{child}/cmdline").read_bytes():
                return child
        except OSError:
            continue
    return None


class DeathWatch(threading.Thread):
    """Notes the death of every child of every worker. parents: the workers' process numbers, asked again and again."""

    def __init__(self, parents: Callable[[], list[int]]) -> None:
        super().__init__(name="death-watch", daemon=True)
        self.deaths: dict[str, float] = {}
        self._parents = parents
        self._guards: dict[int, int] = {}  # worker → its guard
        self._known: dict[int, str] = {}  # descriptor of a process → its identity
        self._poller = select.poll()
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ends the thread, when it has looked once more."""
        self._stopping.set()
        self.join(5)
        while self._known:
            os.close(self._known.popitem()[0])

    def run(self) -> None:
        while not self._stopping.is_set():
            for descriptor, _ in self._poller.poll(LOOK_SECONDS * 1000):
                self._buried(descriptor)
            self._look()
        for descriptor, _ in self._poller.poll(0):
            self._buried(descriptor)

    def _look(self) -> None:
        watched = set(self._known.values())
        for parent in self._parents():
            if identity(self._guards.get(parent, 0)) is None:
                self._guards[parent] = guard_of(parent) or 0
            for child in children_of(self._guards[parent]) if self._guards[parent] else []:
                name = identity(child)
                if name is not None and name not in watched and name not in self.deaths:
                    self._watch(child, name)

    def _watch(self, process: int, name: str) -> None:
        try:
            descriptor = os.pidfd_open(process)
        except ProcessLookupError:
            self.deaths[name] = now()
            return
        self._known[descriptor] = name
        self._poller.register(descriptor, select.POLLIN)

    def _buried(self, descriptor: int) -> None:
        self.deaths[self._known.pop(descriptor)] = now()
        self._poller.unregister(descriptor)
        os.close(descriptor)


class Reader(threading.Thread):
    """Reads the newest tasks through the public API again and again, and keeps what changed."""

    def __init__(self, client: TaskClient) -> None:
        super().__init__(name="reader", daemon=True)
        self.readings: list[Reading] = []
        self._client = client
        self._last: dict[str, Reading] = {}
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ends the thread."""
        self._stopping.set()
        self.join(20)

    def run(self) -> None:
        while not self._stopping.wait(READ_SECONDS):
            try:
                tasks = self._client.list(limit=READ_TASKS)
            except YadtqError:
                continue  # Redis is away
            for task in tasks:
                self._note(reading_of(task))

    def _note(self, reading: Reading) -> None:
        before = self._last.get(reading.task)
        if before is None or (before.status, before.finished_at) != (reading.status, reading.finished_at):
            self.readings.append(reading)
            self._last[reading.task] = reading


def reading_of(task: Task) -> Reading:
    """What the API shows of a task, now."""
    finished = task.finished_at if task.ended else None
    return Reading(task.id, task.status, finished, task.attempt, time.monotonic())
