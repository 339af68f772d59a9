"""A TaskClient without servers: tasks live in a dictionary and end when a test says so."""

import builtins
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from yadtq import (
    FINAL,
    SHOWN,
    STATUSES,
    AmbiguousId,
    Call,
    Failure,
    Health,
    NotRetryable,
    Parameter,
    ServerUnreachable,
    Signature,
    Stats,
    Task,
    TaskClient,
    TaskNotFound,
    Worker,
)


def signature(name: str, *parameters: str, about: str = "") -> Signature:
    """A signature from short words: 'a: int' must be given, 'a?' may be, '*more: Number' takes the rest, '=key' is
    given by its name only."""
    return Signature(name, tuple(_parameter(word) for word in parameters), about)


def _parameter(word: str) -> Parameter:
    name, _, annotation = word.partition(": ")
    kind = {"*": "variadic", "=": "keyword"}.get(name[0], "positional")
    return Parameter(name.lstrip("*=").rstrip("?"), kind, not name.endswith("?"), annotation)


NUMBERS = "*numbers: int | float | Decimal | list"
SIGNATURES = (
    signature("add", NUMBERS, about="The sum of the numbers."),
    signature("sub", NUMBERS, about="The first number minus the others."),
    signature("mul", NUMBERS, about="The product of the numbers."),
    signature("div", "a: float", "b: float", about="a divided by b."),
    signature("sleep", "seconds: float", about="Waits, and does nothing."),
    signature("compress", "text: str", about="A text, compressed."),
    signature("greet", "name: str", "greeting?: str", "=loud?: bool", about="A greeting."),
)


def worker(name: str = "worker1", **given: Any) -> Worker:
    """A worker as it would report itself."""
    now = time.time()
    usual = Worker(f"{name}~abcdefgh", name, "online", now, now - 60, "host1", 42, 3, 0, 0, SIGNATURES)
    return replace(usual, **given)


class MemoryClient(TaskClient):
    """Keeps tasks in memory. down: the servers that do not answer. at_once: what ends a task as it is submitted."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.at_once: Callable[[Task], Task] | None = None
        self.known_workers = [worker()]
        self.epoch = 0
        self.closed = False
        self._tasks: dict[str, Task] = {}
        self._changed = threading.Condition()

    def close(self) -> None:
        self.closed = True

    # -- what a test does

    def end(self, task_id: str, result: Any = None, error: Failure | None = None) -> None:
        """Ends a task, with a result or an error."""
        now = time.time()
        status = "failed" if error else "success"
        self.put(
            replace(
                self._tasks[task_id],
                status=status,
                result=result,
                error=error,
                attempt=1,
                failures=int(error is not None),
                worker_id="worker1~abcdefgh",
                started_at=now - 0.25,
                finished_at=now,
            )
        )

    def put(self, task: Task) -> None:
        """Stores a task as it is given."""
        with self._changed:
            self._tasks[task.id] = task
            self._changed.notify_all()

    def all(self) -> "builtins.list[Task]":
        """Every task, oldest first."""
        return builtins.list(self._tasks.values())

    # -- what a client does

    def submit(self, task_name: str, /, *args: Any, task_id: str = "", **kwargs: Any) -> str:
        return self.submit_many([Call(task_name, args, kwargs, task_id)])[0]

    def submit_many(self, calls: Iterable[Call]) -> "builtins.list[str]":
        self._need("kafka", "redis")
        ids = []
        for call in calls:
            task_id = call.task_id or f"{len(self._tasks):08x}-0000-4000-8000-000000000000"
            task = Task(task_id, "queued", call.task, builtins.list(call.args), call.kwargs, submitted_at=time.time())
            self.put(self.at_once(task) if self.at_once else task)
            ids.append(task_id)
        return ids

    def get_result(self, task_id: str) -> Task:
        self._need("redis")
        try:
            return self._tasks[task_id]
        except KeyError:
            raise TaskNotFound(f"no task has the id {task_id}") from None

    def find(self, prefix: str) -> str:
        self._need("redis")
        matches = [task_id for task_id in self._tasks if task_id.startswith(prefix)]
        if prefix in self._tasks:
            return prefix
        if len(matches) > 1:
            raise AmbiguousId(prefix, matches[:10])
        if not matches:
            raise TaskNotFound(f"no task has an id that begins with {prefix}")
        return matches[0]

    def wait_any(self, task_ids: set[str], timeout: float | None = None) -> "builtins.list[Task]":
        self._need("redis")
        with self._changed:
            self._changed.wait_for(lambda: task_ids - self._tasks.keys() or self._ended(task_ids), timeout)
            for task_id in task_ids:
                self.get_result(task_id)
            return self._ended(task_ids)

    def list(self, status: str = "", limit: int = 20, offset: int = 0) -> "builtins.list[Task]":
        self._need("redis")
        tasks = [task for task in reversed(self.all()) if not status or task.status == status]
        return tasks[offset : offset + limit]

    def counts(self) -> dict[str, int]:
        self._need("redis")
        return {status: sum(task.status == status for task in self.all()) for status in STATUSES}

    def workers(self) -> "builtins.list[Worker]":
        self._need("redis")
        return builtins.list(self.known_workers)

    def stats(self) -> Stats:
        unread = None if "kafka" in self.down else 7
        return Stats(self.counts(), 1, 3, 0, 2, 1, unread, 4, self.epoch, 1)

    def health(self) -> Health:
        return Health(**{server: f"{server} does not answer" for server in self.down})

    def retry(self, task_id: str) -> Task:
        task = self.get_result(task_id)
        if task.status != "failed":
            raise NotRetryable(f"task {task_id} is {SHOWN[task.status]}; only a failed task can be retried")
        self.put(replace(task, status="queued", error=None))
        return self._tasks[task_id]

    def reset(self) -> int:
        self._need("kafka", "redis")
        with self._changed:
            count = len(self._tasks)
            self._tasks.clear()
            self.epoch += 1
            self._changed.notify_all()
        return count

    def _ended(self, task_ids: set[str]) -> "builtins.list[Task]":
        return [self._tasks[i] for i in sorted(task_ids) if i in self._tasks and self._tasks[i].status in FINAL]

    def _need(self, *servers: str) -> None:
        for server in servers:
            if server in self.down:
                raise ServerUnreachable(server, f"{server} does not answer at 127.0.0.1; is it running?")
