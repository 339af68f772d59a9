"""Submits tasks: registers them in Redis, publishes them to Kafka, and takes back what Kafka has not acknowledged.

Of many, one part is published while the next is registered: both servers work at the same time, and the order stays.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from _yadtq.errors import (
    QueueFull,
    QueueMissing,
    RedisRestarted,
    ServerUnreachable,
    SubmissionRefused,
    SubmissionUnknown,
    TaskIdConflict,
)
from _yadtq.messages import Header, Submission

if TYPE_CHECKING:  # they bring redis and kafka with them
    from _yadtq.broker import Broker
    from _yadtq.store import Store

REFUSALS = {"conflict": TaskIdConflict, "full": QueueFull}  # of the script register, by its word

Part = list[tuple[Submission, bytes]]  # tasks with their messages
Problem = SubmissionRefused | SubmissionUnknown
Problems = dict[str, Problem]  # by task id


@dataclass(slots=True)
class Submitted:
    """What submissions have come to. accepted: ids that Kafka keeps. failure: of the first that it may not keep."""

    accepted: list[str] = field(default_factory=list)
    failure: Problem | None = None

    def add(self, part: Part, problems: Problems) -> None:
        """Adds what a part has come to."""
        self.accepted += [each.id for each, _ in part if each.id not in problems]
        self.failure = self.failure or next(iter(problems.values()), None)

    def merge(self, other: "Submitted") -> None:
        """Adds what others have come to. The failure becomes one of its own: it will tell what was accepted here."""
        self.accepted += other.accepted
        if self.failure is None and other.failure is not None:
            self.failure = type(other.failure)(other.failure.task_id, str(other.failure))

    def ids(self) -> list[str]:
        """What was accepted, when that is all. Raises the failure, with what was accepted all the same."""
        if self.failure is None:
            return self.accepted
        self.failure.accepted = self.accepted
        raise self.failure


@dataclass(frozen=True, slots=True)
class Registered:
    """A part that Redis has answered. header: of a registration. problems: of what is not to be published."""

    unsent: Sequence[tuple[Submission, bytes, Header]] = ()
    doubtful: Sequence[Submission] = ()
    header: Header | None = None
    problems: Problems = field(default_factory=dict)


class Submitter:
    """A part of TaskClient. ready: the topics and the queue exist and both servers answer, as far as it knows.

    read: calls Redis, which is led back before where that is needed.
    """

    def __init__(self, store: "Store", broker: "Broker", read: Callable[[Callable[[], Any]], Any]) -> None:
        self._store, self._broker, self._read = store, broker, read
        self.ready = False

    def prepare(self) -> None:
        """Makes sure, before anything is written, that both servers answer and the topics exist."""
        if not self.ready:
            self._broker.create_topics()
            self._store.ping()
            self.ready = True

    def submit(self, parts: Sequence[Part], submitted: Submitted) -> None:
        """Submits parts in their order, and adds what they have come to."""
        publishing: list[tuple[Part, Future[Problems]]] = []  # at most one
        try:
            for part in parts:
                if self._is_gone(submitted):  # the rest is not even registered
                    failure = submitted.failure
                    submitted.add(part, {each.id: SubmissionRefused.about(each.id, failure) for each, _ in part})
                    continue
                registered = self._register(part)
                _end(publishing, submitted)
                if self._is_gone(submitted):
                    submitted.add(part, self._take_back(registered, submitted.failure))
                elif part is parts[-1]:
                    submitted.add(part, self._publish(registered))
                else:
                    publishing.append((part, _beside(self._publish, registered)))
        finally:
            _end(publishing, submitted)

    def _is_gone(self, submitted: Submitted) -> bool:
        """Whether a server has gone away since these submissions began."""
        return submitted.failure is not None and not self.ready

    def _register(self, part: Part) -> Registered:
        """Makes the records. What may have been registered without an answer is taken back."""
        tasks = [each for each, _ in part]
        doubts: list[str] = []
        try:
            answers = self._read(lambda: self._store.register(tasks, doubts))
        except (ServerUnreachable, RedisRestarted, QueueMissing) as error:
            if error.nothing_changed and not doubts:
                return Registered(problems={each.id: SubmissionRefused.about(each.id, error) for each in tasks})
            # the script may have run, and only the reply was lost
            return Registered(problems=self._withdraw(tasks, None, error))
        pairs = list(zip(part, answers, strict=True))
        return Registered(
            unsent=[(each, value, a.header) for (each, value), a in pairs if a.word == "publish"],
            doubtful=[each for (each, _), a in pairs if a.word == "doubtful"],
            header=answers[0].header,
            problems={each.id: REFUSALS[a.word].about(each.id) for (each, _), a in pairs if a.word in REFUSALS},
        )

    def _publish(self, registered: Registered) -> Problems:
        """Publishes, and takes back what Kafka has not acknowledged. Returns what was not accepted."""
        unsent = registered.unsent
        headers = {header: header.pairs() for header in {header for _, _, header in unsent}}  # most have the same
        messages = [(each.id, value, headers[header]) for each, value, header in unsent]
        try:
            sent = self._broker.publish_tasks(messages) if messages else []
        except Exception as error:  # any: what is registered must be published or taken back
            sent = [error] * len(unsent)
        unkept = [each for (each, _, _), error in zip(unsent, sent, strict=True) if error is not None]
        reason = next((error for error in sent if error is not None), None)
        doubtful = [*registered.doubtful, *unkept]
        return {**registered.problems, **self._withdraw(doubtful, registered.header, reason)}

    def _take_back(self, registered: Registered, reason: Exception | None) -> Problems:
        """Publishes nothing of a part. Returns what was not accepted."""
        doubtful = [*registered.doubtful, *(each for each, _, _ in registered.unsent)]
        return {**registered.problems, **self._withdraw(doubtful, registered.header, reason)}

    def _withdraw(self, tasks: Iterable[Submission], header: Header | None, reason: Exception | None) -> Problems:
        """Takes submissions back. What a worker has already taken is accepted after all, and is not returned."""
        problems: Problems = {}
        answers = True
        for each in tasks:
            try:
                word = self._store.withdraw(each, header) if answers else "unknown"
            except (ServerUnreachable, QueueMissing, RedisRestarted):
                word, answers = "unknown", False  # nor can the others be taken back
            if word != "acknowledged":
                kind = SubmissionRefused if word == "refused" else SubmissionUnknown
                problems[each.id] = kind.about(each.id, reason)
        self.ready = self.ready and not problems  # what comes next asks first whether the servers are there
        return problems


def _end(publishing: list[tuple[Part, "Future[Problems]"]], submitted: Submitted) -> None:
    """Waits for the part that is being published, if there is one."""
    while publishing:
        part, problems = publishing.pop()
        submitted.add(part, problems.result())


def _beside(publish: Callable[[Registered], Problems], registered: Registered) -> "Future[Problems]":
    """Publishes in a thread of its own."""
    future: Future[Problems] = Future()

    def run() -> None:
        try:
            future.set_result(publish(registered))
        except BaseException as error:  # it is raised where the result is asked for
            future.set_exception(error)

    try:
        threading.Thread(target=run, name="publish").start()
    except RuntimeError:  # the machine has no room for another one
        run()
    return future
