"""What the tasks of tests/support/task_modules have written down about their own runs."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import eventually


@dataclass(frozen=True, slots=True)
class Note:
    """One line. event: begin · end. at: seconds of the machine's monotonic clock."""

    event: str
    id: str
    attempt: int
    process: int
    at: float


class Notes:
    """The file; `path` is what the tasks are given."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.path = str(path)

    def all(self) -> list[Note]:
        """All lines so far, in the order in which they were written."""
        if not self._path.exists():
            return []
        return [Note(**json.loads(line)) for line in self._path.read_text(encoding="ascii").splitlines()]

    def begun(self, task_id: str = "") -> list[Note]:
        """The starts of one task, or of all."""
        return [note for note in self.all() if note.event == "begin" and task_id in ("", note.id)]

    def wait_for(self, count: int, seconds: float = 20.0) -> None:
        """Waits until there were so many starts."""
        eventually(lambda: len(self.begun()) >= count, seconds, f"{count} starts")

    def starts(self) -> Counter[str]:
        """Task id → how often it was started."""
        return Counter(note.id for note in self.begun())

    def overlaps(self) -> list[str]:
        """Tasks of which two runs overlapped, as far as the notes show it: a run that left no end ended in time."""
        running: dict[str, Note] = {}
        found = []
        for note in self.all():
            before = running.pop(note.id, None)
            if note.event == "end" and before is not None and before.attempt != note.attempt:
                found.append(note.id)
            if note.event == "begin":
                running[note.id] = note
        return found
