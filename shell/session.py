"""One session of the shell: who asks, through which client, and which tasks it has submitted."""

import threading
import time
from collections.abc import Callable, Generator, Iterable
from enum import Enum
from typing import Protocol

from shell.arguments import Command, Word
from shell.live import Live, signatures_of
from shell.parsing import BadInput
from yadtq import Signature, Task, TaskClient, TaskNotFound

OWN_TASKS_SECONDS = 60.0
"""How long a command that reads waits, in a pipe, for the tasks that the session submitted before it."""
LOOK_SECONDS = 1.0
"""The longest single wait, so that an interruption, or a task added meanwhile, is noticed."""


class Manner(Enum):
    """Where the commands come from."""

    PROMPT = "prompt"
    PIPE = "pipe"
    ONE_SHOT = "one-shot"


class Asker(Protocol):
    """Asks the person, or the pipe, for one more line."""

    can_confirm: bool
    """Whether a person is there to answer."""

    def ask(self, question: str, words: Iterable[Word], check: Callable[[str], object]) -> str:
        """One line that `check` accepts (BadInput: it does not; a person is asked again). EOFError: there is none."""
        ...


class OwnTasks:
    """The ids of this session's tasks that have not ended, as far as it knows. Thread-safe."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._some = threading.Condition()
        self.last = ""

    def add(self, task_id: str) -> None:
        with self._some:
            self._ids.add(task_id)
            self.last = task_id
            self._some.notify_all()

    def forget(self, *task_ids: str) -> bool:
        """These have ended, or are gone. Whether any of them was still counted as running."""
        with self._some:
            known = not self._ids.isdisjoint(task_ids)
            self._ids.difference_update(task_ids)
            return known

    def lend(self, task_ids: set[str]) -> set[str]:
        """Those of these that are counted as running; they no longer are, until they are given back."""
        with self._some:
            lent = self._ids & task_ids
            self._ids -= lent
            return lent

    def give_back(self, task_ids: set[str]) -> None:
        """These were lent and have not ended."""
        with self._some:
            self._ids |= task_ids
            self._some.notify_all()

    def running(self) -> set[str]:
        with self._some:
            return set(self._ids)

    def wait_for_some(self, timeout: float) -> set[str]:
        """The ids; when there are none, waits for one to come."""
        with self._some:
            self._some.wait_for(lambda: self._ids, timeout)
            return set(self._ids)


class Session:
    """What a command may use."""

    def __init__(
        self, client: TaskClient, manner: Manner, asker: Asker, commands: tuple[Command, ...], live: Callable[[], Live]
    ) -> None:
        self.client = client
        self.manner = manner
        self.asker = asker
        self.commands = commands
        self.own = OwnTasks()
        self.waiting_for: frozenset[str] = frozenset()
        self.json = False
        self.no_wait = False
        self._live = live
        self._asked: dict[str, Signature] = {}

    @property
    def live(self) -> Live:
        return self._live()

    def signatures(self) -> dict[str, Signature]:
        """The known tasks, from what is at hand; asks the workers only when nothing is."""
        if self._live().signatures:
            return dict(self._live().signatures)
        return self._asked or self.ask_signatures()

    def ask_signatures(self) -> dict[str, Signature]:
        """The tasks that the workers publish now. ServerUnreachable."""
        self._asked = signatures_of(tuple(self.client.workers()))
        return self._asked

    def task_id(self, given: str) -> str:
        """The id that a person means: `_`, an id, or the beginning of one. BadInput, TaskNotFound, AmbiguousId."""
        if given == "_":
            if not self.own.last:
                raise BadInput("_ is the last task of this session, and there is none yet")
            return self.own.last
        return self.client.find(given)

    def wait(self, task_ids: Iterable[str], timeout: float | None = None) -> Generator[Task, None, None]:
        """The tasks as they end. Stops early when the time is over. KeyboardInterrupt cancels none of them."""
        left = set(task_ids)
        deadline = None if timeout is None else time.monotonic() + timeout
        self.waiting_for = frozenset(left)
        own = self.own.lend(left)  # who waits shows how they end; a notice would say it twice
        try:
            while left:
                remaining = LOOK_SECONDS if deadline is None else min(LOOK_SECONDS, deadline - time.monotonic())
                for task in self.client.wait_any(left, max(0.0, remaining)):
                    left.discard(task.id)
                    self.waiting_for = frozenset(left)
                    yield task
                if deadline is not None and time.monotonic() >= deadline:
                    break
            self.waiting_for = frozenset()  # not after Ctrl-C: whoever catches that says what was waited for
        finally:
            self.own.give_back(own & left)

    def wait_for_own(self) -> int:
        """Waits for this session's tasks, a minute at most; how many of them still run."""
        deadline = time.monotonic() + OWN_TASKS_SECONDS
        while self.own.running() and time.monotonic() < deadline:
            try:
                for _ in self.wait(self.own.running(), deadline - time.monotonic()):
                    pass
            except TaskNotFound:  # somebody else has reset the queue
                self.own.forget(*gone(self.client, self.own.running()))
        return len(self.own.running())


def gone(client: TaskClient, ids: set[str]) -> list[str]:
    """Those of the ids that no task has any more."""
    missing = []
    for task_id in sorted(ids):
        try:
            client.get_result(task_id)
        except TaskNotFound:
            missing.append(task_id)
    return missing
