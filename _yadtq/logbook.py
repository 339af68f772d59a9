"""What logger.py writes: each event as a line for a person and as one for a program, and where it got to."""

from collections.abc import Callable
from pathlib import Path

from _yadtq.errors import SettingError
from _yadtq.events import Cursor, Event, StrangeEntry
from _yadtq.journal import Journal, committed_parts, lines_with, unreadable
from _yadtq.log import visible
from _yadtq.occurrences import occurrences
from _yadtq.task_history import TaskSearch

READABLE, AUDIT = "yadtq.log", "audit.jsonl"


class Logbook(Journal):
    """The two files of a queue. owner, most, keep, errors: see Journal. cursor: where to go on in the event log."""

    def __init__(self, folder: Path, owner: str, most: int, keep: int) -> None:
        super().__init__(folder, (READABLE, AUDIT), owner, most, keep)
        try:
            self.cursor = _cursor(folder, self.mark)
        except SettingError:
            self.close()
            raise

    def note(self, event: Event) -> None:
        """Adds an event to both files; it counts after the next `save`."""
        lines = "".join(f"{occurrence.line()}\n" for occurrence in occurrences(event))
        self.append(lines.encode("utf-8", "backslashreplace"), f"{event.to_line()}\n".encode())

    def save(self) -> None:
        """Records that everything up to the cursor is in the files."""
        self.commit(self.cursor.to_json())


def search_audit(folder: Path, owner: str, task: str, tell: Callable[[str], None]) -> tuple[TaskSearch, Cursor]:
    """Looks for a task, by its id or the beginning of that, in the audit trail of a folder.

    Returns the search, which more events can be handed to, and where the trail ends. tell: is told which line cannot be
    read. Raises SettingError.
    """
    search = TaskSearch(task)
    mark, parts = committed_parts(folder, AUDIT, owner)
    try:
        for line in lines_with(parts, search.needles()):
            try:
                search.add(Event.from_line(line))
            except StrangeEntry as error:
                tell(f"a line of {AUDIT} cannot be read ({error}), and is passed over: {visible(repr(line[:60]))}")
    finally:
        for file, _ in parts:
            file.close()
    return search, _cursor(folder, mark)


def _cursor(folder: Path, mark: str) -> Cursor:
    """Raises SettingError."""
    try:
        return Cursor.from_json(mark) if mark else Cursor()
    except ValueError:
        raise unreadable(folder) from None
