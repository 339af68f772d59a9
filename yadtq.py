"""YADTQ (interface; being written)."""

from collections.abc import Iterable
from typing import Any

from _yadtq.errors import *  # noqa: F403
from _yadtq.records import Attempt, Call, Failure, Health, Parameter, Signature, Stats, Task, Worker
from _yadtq.settings import SETTINGS, Settings, add_flags, given_flags
from _yadtq.states import FINAL, SHOWN, STATUSES, STORED

__all__ = ["SETTINGS", "Settings"]


class TaskClient:
    """Submits tasks and reads what became of them. Thread-safe. Opens no connection until it is needed."""

    def __init__(self, settings: Settings | None = None) -> None: ...
    def __enter__(self) -> "TaskClient": ...
    def __exit__(self, *_: object) -> None: ...
    def close(self) -> None: ...
    def submit(self, task_name: str, /, *args: Any, task_id: str = "", **kwargs: Any) -> str:
        """→ id, when Kafka has it. BadArguments, ServerUnreachable, SubmissionRefused, SubmissionUnknown."""

    def submit_many(self, calls: Iterable[Call]) -> list[str]: ...
    def get_result(self, task_id: str) -> Task:
        """The task now (exact id). TaskNotFound, ServerUnreachable."""

    def find(self, prefix: str) -> str:
        """The one id that is `prefix` or begins with it. TaskNotFound, AmbiguousId."""

    def wait_for_result(self, task_id: str, timeout: float | None = None) -> Task:
        """Woken when it ends. WaitTimeout. KeyboardInterrupt may be raised while it waits; cancels nothing."""

    def list(self, status: str = "", limit: int = 20, offset: int = 0) -> list[Task]:
        """Newest first; status: a stored status or '' for all."""

    def counts(self) -> dict[str, int]:
        """{'queued': n, 'processing': n, 'success': n, 'failed': n, 'rejected': n}"""

    def workers(self) -> list[Worker]: ...
    def stats(self) -> Stats: ...
    def health(self) -> Health:
        """Asks both servers (≤ 2 s each); never raises."""

    def retry(self, task_id: str) -> Task:
        """A failed task becomes queued again with its history. NotRetryable, TaskNotFound."""

    def reset(self) -> int:
        """Removes every task submitted before; returns how many."""
