"""The events of the event log, and which of them are new to a reader. Pure: messages go in, events come out."""

import json
import math
import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from _yadtq.damaged import Damaged
from _yadtq.history import Entry, Row
from _yadtq.topic import Topic

MOST_RANGES = 10_000  # of numbers that were seen; where there are more, the lowest gap between them counts as seen

HIDDEN = re.compile(r"[^ -~]")
LINE = re.compile(rb'\{"offset":(\d{1,19}),(.*)', re.DOTALL)
KEY = re.compile(rb"(\d{1,19})-(\d{1,19})")
TEXTS = ("token", "script", "actor", "action")
NUMBERS = ("generation", "seq", "epoch")
MARKED = ("before", "kept")  # numbers of a marker


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


DECODER = json.JSONDecoder(parse_constant=_no_number)


class StrangeEntry(ValueError):
    """A message of the event log that is no event."""


@dataclass(frozen=True, slots=True)
class Event:
    """One call of a script that changed something; docs/protocol.md tells what each field means.

    offset: of its message. at: seconds since 1970. tasks: what happened to which task. action: of the call as a whole,
    '' when it has none. fields: what else the event has. text: its JSON as it is in the topic.
    A marker, with which a generation begins, has the seq 0, the action 'generation' and the epoch -1.
    """

    offset: int
    generation: int
    seq: int
    token: str
    epoch: int
    at: float
    script: str
    actor: str
    action: str
    tasks: tuple[dict[str, Any], ...]
    fields: dict[str, Any]
    text: str = field(repr=False)

    @classmethod
    def of(cls, row: Row, generation: int, seq: int) -> "Event":
        """The event of a message whose key says so. Raises StrangeEntry."""
        try:
            text = (row.value or b"").decode()
            told = DECODER.decode(text)
        except (ValueError, RecursionError):
            raise StrangeEntry("it is not JSON") from None
        if not isinstance(told, dict):
            raise StrangeEntry("it is no object")
        marker = {"seq": 0, "token": "", "epoch": -1, "at": str(row.sent_at), "script": "", "actor": ""}
        told = {"action": "", "tasks": []} | (marker if seq == 0 else {}) | told
        if not all(isinstance(told.get(name), str) for name in TEXTS):
            raise StrangeEntry("it lacks a field")
        if not all(type(told.get(name)) is int for name in (*NUMBERS, *(MARKED if seq == 0 else ()))):
            raise StrangeEntry("it lacks a number")
        if seq == 0 and told["action"] != "generation":
            raise StrangeEntry("it has no number and is no marker")
        if (told["generation"], told["seq"]) != (generation, seq):
            raise StrangeEntry("its key is another one's")
        known: dict[str, Any] = {name: told.pop(name) for name in (*NUMBERS, *TEXTS)}
        return cls(
            row.offset,
            at=_instant(told.pop("at", "")),
            tasks=_tasks(told.pop("tasks")),
            fields=told,
            text=text,
            **known,
        )

    def to_line(self) -> str:
        """Its JSON as it is in the topic, in one line that shows everything, with its offset in front."""
        text = self.text.strip()
        if not text.isprintable():
            text = HIDDEN.sub(_shown, text)
        return f'{{"offset":{self.offset},{text[1:]}'

    @classmethod
    def from_line(cls, line: bytes) -> "Event":
        """The event that was written so. Raises StrangeEntry."""
        found = LINE.fullmatch(line)
        if found is None:
            raise StrangeEntry("it does not begin with its offset")
        try:
            told = json.loads(line)
            place = (int(told["generation"]), int(told.get("seq", 0)))
        except (ValueError, TypeError, KeyError, RecursionError):
            raise StrangeEntry("it is not JSON") from None
        return cls.of(Row(int(found[1]), None, b"{" + found[2], 0.0), *place)


class Cursor:
    """Where a reader has got to, and what it must remember to go on exactly. Pure: messages go in, events come out.

    topic: id of the topic, '' before the first look. offset: of the next message, -1: the first that there is.
    generation: the oldest that counts from here on. began: that of the last marker. highest: the highest number seen in
    this topic. seen: the numbers that were seen, first and last of each range.
    """

    def __init__(self, offset: int = -1) -> None:
        self.topic, self.offset = "", offset
        self.generation = self.began = self.highest = 0
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    @property
    def seen(self) -> list[tuple[int, int]]:
        """See above."""
        return list(zip(self._firsts, self._lasts, strict=True))

    def to_json(self) -> str:
        """The cursor as text, for a file."""
        names = ("topic", "offset", "generation", "began", "highest", "seen")
        return json.dumps({name: getattr(self, name) for name in names})

    @classmethod
    def from_json(cls, text: str) -> "Cursor":
        """The cursor that was written so. Raises ValueError for anything else."""
        told = json.loads(text)
        try:
            cursor = cls(int(told["offset"]))
            cursor.topic = str(told["topic"])
            cursor.generation, cursor.began = int(told["generation"]), int(told["began"])
            cursor.highest = int(told["highest"])
            cursor._firsts = [int(first) for first, _ in told["seen"]]
            cursor._lasts = [int(last) for _, last in told["seen"]]
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no cursor: {error}") from None
        return cursor

    def accept(self, row: Row, wanted: Callable[[bytes], bool] | None = None) -> Event | None:
        """Takes the next message; gives its event when that counts and is new.

        wanted: tells from the bytes of an event whether it is to be given at all. Raises StrangeEntry, and is past it.
        """
        if row.offset < self.offset:
            return None
        self.offset = row.offset + 1
        generation, seq = _place(row)
        if generation < self.generation or (self.has_seen(seq) if seq else generation == self.began):
            return None
        if seq and wanted and not wanted(row.value or b""):
            self._note(generation, seq)
            return None
        event = Event.of(row, generation, seq)
        if seq == 0:
            self._begin(generation, event.fields["before"], event.fields["kept"])
        else:
            self._note(generation, seq)
        return event

    def has_seen(self, seq: int) -> bool:
        """Whether the event with this number was given before."""
        place = bisect_right(self._firsts, seq) - 1
        return place >= 0 and seq <= self._lasts[place]

    def skip(self, following: int) -> None:
        """Up to this offset there is no further message."""
        self.offset = max(self.offset, following)

    def know_all_before(self, seq: int) -> None:
        """What has a lower number counts as seen."""
        kept = [(first, last) for first, last in self.seen if last >= seq]
        lowest = [] if kept and kept[0][0] <= seq else [(1, seq - 1)]
        ranges = [*lowest, *kept]
        self._firsts = [1, *(first for first, _ in ranges[1:])]
        self._lasts = [last for _, last in ranges]

    def place(self, topic: Topic) -> str:
        """Goes to where the topic is to be read on, as it is now. Returns a line for a person, '' none."""
        start, end = topic.starts[0], topic.ends[0]
        before, known, self.topic = self.offset, self.topic, topic.id or self.topic
        if known != self.topic and known:
            self.offset, self.generation, self.began, self.highest = start, 0, 0, 0
            return f"{topic.name} was deleted or made anew: it is read from its beginning"
        if start <= before <= end:
            return ""
        self.offset = start
        if before > end:
            return (
                f"{topic.name} was cut at offset {end:,}, and {before:,} was next: it is read again from its beginning"
            )
        if before < 0:
            return ""
        return f"Kafka has deleted offsets {before:,} to {start - 1:,} of {topic.name} unread: their events are missing"

    def _begin(self, generation: int, before: int, kept: int) -> None:
        """A generation begins: its numbers go on behind what was known then; what was seen above was of another log."""
        self.began, self.generation = generation, max(self.generation, before + 1)
        highest = max(self.highest, kept)
        while self._firsts and self._firsts[-1] > highest:
            self._firsts.pop()
            self._lasts.pop()
        if self._lasts:
            self._lasts[-1] = min(self._lasts[-1], highest)

    def _note(self, generation: int, seq: int) -> None:
        self.generation, self.highest = generation, max(self.highest, seq)
        place = bisect_right(self._firsts, seq)  # of the range behind it
        joins_before = place > 0 and self._lasts[place - 1] == seq - 1
        joins_behind = place < len(self._firsts) and self._firsts[place] == seq + 1
        if joins_before and joins_behind:
            self._lasts[place - 1] = self._lasts[place]
            del self._firsts[place], self._lasts[place]
        elif joins_before:
            self._lasts[place - 1] = seq
        elif joins_behind:
            self._firsts[place] = seq
        else:
            self._firsts.insert(place, seq)
            self._lasts.insert(place, seq)
        if len(self._firsts) > MOST_RANGES:
            del self._firsts[1], self._lasts[0]


def entry_of(row: Row) -> Entry:
    """The entry of a message, for History. Raises StrangeEntry: whoever reads the log passes over the same ones."""
    event = Event.of(row, *_place(row))
    return Entry(event.seq, event.generation, event.token, event.text)


def _place(row: Row) -> tuple[int, int]:
    """The generation and the number that a message's key names. Raises StrangeEntry."""
    if isinstance(row.value, Damaged):
        raise StrangeEntry(row.value.reason)
    key = KEY.fullmatch(row.key or b"")
    if key is None:
        raise StrangeEntry("its key is not <generation>-<seq>")
    return int(key[1]), int(key[2])


def _shown(match: re.Match[str]) -> str:
    """A character of JSON as it can be shown: outside of text it is only space."""
    character = match[0]
    if character.isprintable():
        return character
    return " " if character in "\t\n\r" else json.dumps(character)[1:-1]


def _instant(at: Any) -> float:
    try:
        seconds = float(at) if isinstance(at, str) else math.nan
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < 1e11:
        raise StrangeEntry("its time cannot be read")
    return seconds


def _tasks(told: Any) -> tuple[dict[str, Any], ...]:
    """What happened to tasks. Raises StrangeEntry."""
    if not isinstance(told, list):
        raise StrangeEntry("its tasks are no list")
    for each in told:
        if not (isinstance(each, dict) and isinstance(each.get("action"), str) and isinstance(each.get("id"), str)):
            raise StrangeEntry("one of its tasks has no action or no id")
    return tuple(told)
