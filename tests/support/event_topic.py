"""The event log as a list: what Kafka would have. Stands in for Kafka where a test leads Redis back."""

from collections.abc import Iterator, Sequence

from _yadtq.events import entry_of
from _yadtq.history import Entry, History, Row, marker, stamped


class EventTopic:
    """entries: by offset. Takes the place of EventLog, and of Broker where Recovery wants one."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def append(self, generation: str, entries: Sequence[tuple[str, str]]) -> tuple[int, int, Exception | None]:
        """Takes entries of the outbox, sent in a generation."""
        for entry, event in entries:
            key, value = stamped(generation, entry, event)
            self.entries.append(entry_of(Row(len(self.entries), key.encode(), value.encode(), 0.0)))
        return len(entries), len(self.entries), None

    def begin(self, generation: int, before: int, kept: int) -> int:
        """Takes the marker of a generation. Returns its offset."""
        key, value = marker(generation, before, kept)
        self.entries.append(entry_of(Row(len(self.entries), key.encode(), value.encode(), 0.0)))
        return len(self.entries) - 1

    def read(self, first: int, end: int) -> Iterator[Entry]:
        yield from self.entries[first:end]

    def create_topics(self) -> None:
        """It is there."""

    def events_end(self) -> int:
        return len(self.entries)

    def has_history(self) -> bool:
        return bool(self.entries)

    def counted(self) -> list[Entry]:
        """The entries that count, each once, in their order."""
        history = History(0, 0)
        found = [due for entry in self.entries for due in history.add(entry)]
        return found + list(history.rest())
