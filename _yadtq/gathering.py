"""Submissions that are made later: gathered while others are on their way, and submitted in parts."""

import threading
from collections import deque
from itertools import islice

from _yadtq.errors import SubmissionRefused, SubmissionUnknown, WaitTimeout, YadtqError
from _yadtq.messages import PART_TASKS, Submission, in_parts
from _yadtq.submitter import Submitted, Submitter

UNSENT_TASKS, UNSENT_BYTES = 10_000, 32_000_000  # at most; who submits more waits
ROUND_TASKS = 5 * PART_TASKS  # submitted together, while others gather
UNFLUSHED_TASKS = 100_000  # after so many it flushes by itself: what they have come to is kept until then
LINGER_SECONDS = 0.2  # for more, before the thread ends


class Gathering:
    """A part of TaskClient. Thread-safe.

    Its thread lives while there is something to submit. It is no daemon: a program that ends in order sends all.
    """

    def __init__(self, submitter: Submitter) -> None:
        self._submitter = submitter
        self._changed = threading.Condition()
        self._unsent: deque[tuple[Submission, bytes]] = deque()
        self._bytes = 0  # of what is unsent or on its way
        self._begun = self._ended = self._flushed = 0  # tasks so far
        self._submitted = Submitted()  # since the last flush
        self._flushing: list[Submitted] = []  # what each that flushes now is told
        self._thread: threading.Thread | None = None

    def add(self, task: Submission, value: bytes) -> None:
        """Has a task submitted; waits while too much is unsent. Raises like `flush`, and then adds nothing."""
        if self._added() - self._flushed >= UNFLUSHED_TASKS:
            self.flush(None)
        with self._changed:
            while self._added() - self._ended >= UNSENT_TASKS or self._bytes >= UNSENT_BYTES:
                self._changed.wait()
            if self._thread is None:  # before anything is added: the machine may have no room for another one
                thread = threading.Thread(target=self._run, name="submit")
                thread.start()
                self._thread = thread
            self._unsent.append((task, value))
            self._bytes += len(value)
            if len(self._unsent) == 1:
                self._changed.notify_all()

    def flush(self, timeout: float | None) -> None:
        """Returns when Kafka keeps all that was added. Raises the first failure since the last flush; WaitTimeout.

        Those that flush at the same time are all told.
        """
        told = Submitted()
        with self._changed:
            added = self._added()
            self._flushing.append(told)
            try:
                if not self._changed.wait_for(lambda: self._ended >= added, timeout):
                    left = added - self._ended
                    raise WaitTimeout(f"{left:,} tasks are not yet acknowledged after {timeout:g} s; they go on")
                self._tell()
            except BaseException:  # what it was told by others is for its next flush
                self._submitted.merge(told)
                raise
            finally:
                self._flushing = [each for each in self._flushing if each is not told]
            told.ids()

    def _added(self) -> int:
        return self._begun + len(self._unsent)

    def _tell(self) -> None:
        """Under the lock: tells everybody who flushes what all has come to."""
        for told in self._flushing:
            told.merge(self._submitted)
        self._submitted, self._flushed = Submitted(), self._ended

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._unsent, LINGER_SECONDS):
                    self._thread = None
                    return
                tasks = list(islice(self._unsent, ROUND_TASKS))
                for _ in tasks:
                    self._unsent.popleft()
                self._begun += len(tasks)
            submitted = self._outcome(tasks)
            with self._changed:
                self._submitted.merge(submitted)
                self._ended += len(tasks)
                self._bytes -= sum(len(value) for _, value in tasks)
                self._changed.notify_all()

    def _outcome(self, tasks: list[tuple[Submission, bytes]]) -> Submitted:
        """What these have come to. Never raises: somebody waits for it."""
        submitted = Submitted()
        try:
            self._submitter.prepare()
        except Exception as error:
            submitted.failure = SubmissionRefused.about(tasks[0][0].id, error)
            return submitted
        try:
            self._submitter.submit(in_parts(tasks), submitted)
        except Exception as error:  # of a part: what was not even begun is not accepted either
            accepted = set(submitted.accepted)
            first = next((task.id for task, _ in tasks if task.id not in accepted), tasks[-1][0].id)
            refused = isinstance(error, YadtqError) and error.nothing_changed
            kind = SubmissionRefused if refused else SubmissionUnknown
            submitted.failure = submitted.failure or kind.about(first, error)
        return submitted
