"""Which task has which name: the event log says it when a task begins, and not when it ends."""

from collections.abc import Callable, Mapping, Sequence

from _yadtq.events import Event

MOST = 200_000  # tasks that are remembered; of more, names are looked up when they end
RUNS = frozenset({"success", "failed", "retry"})  # actions that end the run of a handler
LAST = frozenset({"success", "failed", "reject", "withdraw", "expire"})  # actions that nothing follows

Lookup = Callable[[Sequence[str]], Mapping[str, str]]


class TaskNames:
    """The names of tasks that have not ended. lookup: asks Redis for the names of a few ids."""

    def __init__(self, lookup: Lookup, most: int = MOST) -> None:
        self._lookup, self._most = lookup, most
        self._known: dict[str, str] = {}

    def of(self, event: Event) -> Mapping[str, str]:
        """Task id → name, for the tasks of an event: for those whose run it ends, and for others that are known."""
        entries = [(str(e.get("id", "")), str(e.get("action", "")), str(e.get("task") or "")) for e in event.tasks]
        found = {task_id: name or self._known.get(task_id, "") for task_id, _, name in entries}
        unknown = [task_id for task_id, action, _ in entries if action in RUNS and not found[task_id]]
        if unknown:
            found.update(self._lookup(unknown))
        if event.action == "reset":
            self._known.clear()
        for task_id, action, name in entries:
            if action in LAST:
                self._known.pop(task_id, None)
            elif name and len(self._known) < self._most:  # the first ones stay: they are run first
                self._known[task_id] = name
        return found
