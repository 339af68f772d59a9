"""Watches this session's tasks, in one thread for all of them, and keeps a line for each that has ended.

The thread never prints: whoever owns the screen collects the lines when the screen is free.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from shell.answers import Line
from shell.descriptions import short
from shell.session import LOOK_SECONDS, OwnTasks, gone
from shell.views import outcome_line
from yadtq import TaskClient, TaskNotFound, YadtqError

log = logging.getLogger("yadtq.shell")

IDLE_SECONDS = 0.5
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0


class Notices:
    """The lines about tasks that have ended and were not shown yet. arrived: called when there is a new one."""

    def __init__(self, client: TaskClient, own: OwnTasks, arrived: Callable[[], None]) -> None:
        self._client = client
        self._own = own
        self._arrived = arrived
        self._lines: deque[Line] = deque()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notices", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stops the thread; waits for a look under way no longer than a moment."""
        self._closed.set()
        self._thread.join(timeout=0.2)

    def collect(self) -> list[Line]:
        """Takes the lines that have come since the last call."""
        lines = []
        while self._lines:
            lines.append(self._lines.popleft())
        return lines

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._closed.is_set():
            ids = self._own.wait_for_some(IDLE_SECONDS)
            if not ids:
                continue
            try:
                self._look(ids)
                pause = FIRST_PAUSE
            except Exception as error:  # this thread must not end: it asks again
                if not isinstance(error, YadtqError):  # else a server is away, and the toolbar says so
                    log.exception("a look at the own tasks failed in an unforeseen way")
                self._closed.wait(pause)
                pause = min(LONGEST_PAUSE, pause * 2)

    def _look(self, ids: set[str]) -> None:
        try:
            for task in self._client.wait_any(ids, LOOK_SECONDS):
                if self._own.forget(task.id):  # else Wait has shown it
                    self._say(outcome_line(task, time.time()))
        except TaskNotFound:
            for task_id in gone(self._client, ids):
                if self._own.forget(task_id):
                    self._say(Line(f"{short(task_id)}  is gone: the queue was reset"))

    def _say(self, line: Line) -> None:
        self._lines.append(line)
        self._arrived()
