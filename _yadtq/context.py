"""What a handler may ask about the task that it runs for, and what its process is doing.

Only a child process of a pool ever sets anything here. It runs one task at a time, so plain module variables hold the
task, and every thread that the handler starts sees it too.
"""

from dataclasses import dataclass

from _yadtq.errors import NotInMain, UsageError

_task: tuple[str, int] | None = None
_importing = ""


@dataclass(frozen=True, slots=True)
class TaskContext:
    """The task that runs here. `id` and `attempt` (1 for the first start) together name this one execution."""

    id: str
    attempt: int


def current_task() -> TaskContext:
    """The task that this process runs now, also in threads that its handler started.

    Raises UsageError where no task runs, as in a handler that was called directly.
    """
    if _task is None:
        raise UsageError("current_task() was called where no task runs; only a handler that a worker started has one")
    return TaskContext(*_task)


def refuse_while_importing() -> None:
    """Raises NotInMain when this process only imports a script for its handlers.

    Called by everything that starts a worker: the script's own call of it must not start workers in the children.
    """
    if _importing:
        raise NotInMain(
            f"{_importing} starts a worker while its tasks are being imported; "
            'put the call that starts it under `if __name__ == "__main__":`'
        )


def begin_task(task_id: str, attempt: int) -> None:
    """Notes the task that begins in this child."""
    global _task  # noqa: PLW0603 - one task a process, see above
    _task = (task_id, attempt)


def end_task() -> None:
    """Notes that no task runs in this child."""
    global _task  # noqa: PLW0603 - one task a process, see above
    _task = None


def set_importing(what: str) -> None:
    """Notes which script or module this child is importing; '' when it has ended."""
    global _importing  # noqa: PLW0603 - one process, one import phase
    _importing = what
