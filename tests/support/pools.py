"""A process pool as its tests drive it: submits, ticks, and waits for messages with a deadline."""

import itertools
import json
import os
import queue
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from _yadtq.clock import SystemClock
from _yadtq.handlers import Handler, handler_of
from _yadtq.jobs import Crashed, Ended, Interrupted, Job, PoolMessage, Printed, TimedOut
from _yadtq.pool import Pool
from tests.support import pool_tasks

WAIT_SECONDS = 30.0
OUTCOMES = (Ended, Crashed, TimedOut, Interrupted)
Message = TypeVar("Message", bound=PoolMessage)


def handlers(*functions: Callable[..., Any]) -> dict[str, Handler]:
    """Handlers of these functions, or of all in pool_tasks."""
    found = functions or tuple(
        value for value in vars(pool_tasks).values() if getattr(value, "__module__", "") == pool_tasks.__name__
    )
    return {each.__name__: handler_of(each.__name__, each, exact="exact" in each.__name__) for each in found}


def marks(path: Path, count: int) -> list[int]:
    """The numbers that handlers have marked in a file, once there are so many; else []."""
    found = path.read_text().split() if path.exists() else []
    return [int(word) for word in found] if len(found) >= count else []


def await_death(process: int, seconds: float = 10.0) -> bool:
    """Whether the process is dead (perhaps a zombie) in time."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    poller = select.poll()
    poller.register(handle, select.POLLIN)
    try:
        return bool(poller.poll(seconds * 1000))
    finally:
        os.close(handle)


def into(inbox: "queue.Queue[PoolMessage]") -> Callable[[list[PoolMessage]], None]:
    """Puts each of a pool's messages into a queue."""

    def post(messages: list[PoolMessage]) -> None:
        for message in messages:
            inbox.put(message)

    return post


class Driver:
    """Plays the worker's part. `messages`: all that were received, in order."""

    def __init__(self, pool: Pool, inbox: "queue.Queue[PoolMessage]") -> None:
        self.pool = pool
        self.inbox = inbox
        self.messages: list[PoolMessage] = []
        self._numbers = itertools.count(1)

    def job(self, task: str, *args: Any, limit: float = 0.0, **kwargs: Any) -> Job:
        number = next(self._numbers)
        return Job(f"claim-{number}", f"task-{number}", task, json.dumps(args), json.dumps(kwargs), 1, limit)

    def submit(self, task: str, *args: Any, limit: float = 0.0, **kwargs: Any) -> Job:
        job = self.job(task, *args, limit=limit, **kwargs)
        self.pool.submit([job])
        return job

    def receive(self) -> None:
        """Ticks, and takes in what comes next, if it comes soon."""
        seconds = min(0.02, self.pool.tick())
        try:
            self.messages.append(self.inbox.get(timeout=seconds))
            while True:
                self.messages.append(self.inbox.get_nowait())
        except queue.Empty:
            pass

    def until(self, condition: Callable[[], object], what: str = "it") -> None:
        """Runs until the condition holds; fails after WAIT_SECONDS."""
        end = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < end, f"{what} did not happen; received: {self.messages[-10:]}"
            self.receive()

    def of(self, kind: type[Message]) -> list[Message]:
        return [message for message in self.messages if isinstance(message, kind)]

    def outcome(self, job: Job) -> Ended | Crashed | TimedOut | Interrupted:
        """What came of the job, once it has."""

        def found() -> list[Ended | Crashed | TimedOut | Interrupted]:
            return [each for each in self.messages if isinstance(each, OUTCOMES) and each.job is job]

        self.until(found, f"the end of {job}")
        assert len(found()) == 1
        return found()[0]

    def ended(self, job: Job) -> Ended:
        outcome = self.outcome(job)
        assert isinstance(outcome, Ended), outcome
        return outcome

    def run(self, task: str, *args: Any, limit: float = 0.0, **kwargs: Any) -> Ended:
        return self.ended(self.submit(task, *args, limit=limit, **kwargs))

    def result(self, task: str, *args: Any, **kwargs: Any) -> Any:
        ended = self.run(task, *args, **kwargs)
        assert ended.failure is None, ended.failure
        assert ended.result is not None
        return json.loads(ended.result)

    def printed(self, job: Job) -> list[tuple[str, str]]:
        return [(each.stream, each.line) for each in self.of(Printed) if each.task_id == job.task_id]


@contextmanager
def running_pool(
    size: int = 2, live_seconds: float = 3600.0, functions: tuple[Callable[..., Any], ...] = ()
) -> Iterator[Driver]:
    """A started, confirmed pool; closed at the end."""
    inbox: queue.Queue[PoolMessage] = queue.Queue()
    pool = Pool(handlers(*functions), size, into(inbox))
    pool.start()
    try:
        pool.confirm(SystemClock().boottime() + live_seconds)
        yield Driver(pool, inbox)
    finally:
        pool.close()
