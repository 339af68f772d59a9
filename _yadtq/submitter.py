"""Submits tasks: registers them in Redis, publishes them to Kafka, and takes back what Kafka has not acknowledged."""

from collections.abc import Callable, Iterable
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
Problems = dict[str, SubmissionRefused | SubmissionUnknown]  # by task id


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

    def submit(self, part: Part) -> Problems:
        """Registers, publishes, and takes back what Kafka has not acknowledged. Returns what was not accepted."""
        tasks = [each for each, _ in part]
        doubts: list[str] = []
        try:
            answers = self._read(lambda: self._store.register(tasks, doubts))
        except (ServerUnreachable, RedisRestarted, QueueMissing) as error:
            if error.nothing_changed and not doubts:
                return {each.id: SubmissionRefused.about(each.id, error) for each in tasks}
            return self._withdraw(tasks, None, error)  # the script may have run, and only the reply was lost
        pairs = list(zip(part, answers, strict=True))
        refused: Problems = {each.id: REFUSALS[a.word].about(each.id) for (each, _), a in pairs if a.word in REFUSALS}
        unsent = [(each, value, a.header.pairs()) for (each, value), a in pairs if a.word == "publish"]
        try:
            sent = self._broker.publish_tasks([(each.id, value, header) for each, value, header in unsent])
        except ServerUnreachable as error:
            sent = [error] * len(unsent)
        doubtful = [each for (each, _), answer in pairs if answer.word == "doubtful"]
        doubtful += [each for (each, _, _), error in zip(unsent, sent, strict=True) if error is not None]
        reason = next((error for error in sent if error is not None), None)
        return {**refused, **self._withdraw(doubtful, answers[0].header, reason)}

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
