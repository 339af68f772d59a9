"""A Kafka and a Redis for the client's own decisions: they take everything, unless a test says what fails."""

from collections.abc import Callable, Sequence
from typing import Any

from _yadtq.messages import Header, Submission
from _yadtq.store import Registration
from yadtq import ServerUnreachable, Settings

DOWN = ServerUnreachable("redis", "Redis does not answer")


class FakeBroker:
    """Publishes, unless `errors` says otherwise for an id ('*': for all, before anything is sent).

    before: called before each publication.
    """

    def __init__(self) -> None:
        self.before: Callable[[], object] = lambda: None
        self.closed = False
        self.published: list[str] = []
        self.errors: dict[str, Exception] = {}
        self.prepared = 0

    def create_topics(self) -> None:
        self.prepared += 1

    def publish_tasks(self, tasks: Sequence[tuple[str, bytes, Any]]) -> list[Exception | None]:
        self.before()
        if "*" in self.errors:
            raise self.errors["*"]
        self.published += [task_id for task_id, _, _ in tasks if task_id not in self.errors]
        return [self.errors.get(task_id) for task_id, _, _ in tasks]

    def has_history(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


class FakeStore:
    """Registers everything, and answers withdrawals with `word`; `fails` says which calls do not come through."""

    def __init__(self) -> None:
        self.words: dict[str, str] = {}  # of register, by id
        self.word = "refused"
        self.fails: dict[str, Exception] = {}
        self.calls: list[str] = []

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.fails:
            raise self.fails[name]

    def ping(self) -> None:
        self._called("ping")

    settings = Settings.load({})

    def register(self, tasks: Sequence[Submission], doubts: list[str]) -> list[Registration]:
        self._called("register")
        return [Registration(self.words.get(each.id, "publish"), Header("0", "1", "1")) for each in tasks]

    def withdraw(self, each: Submission, header: Header | None) -> str:
        self._called(f"withdraw {each.id} {header.epoch if header else ''}-{header.generation if header else ''}")
        self._called("withdraw")
        return self.word

    def begin(self, leader: str, new: bool, least: int) -> str:
        """Another program founds the queue meanwhile."""
        self._called("begin")
        del self.fails["register"]
        return "open"

    def close(self) -> None: ...
