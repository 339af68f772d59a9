"""The event log as its readers must read it: which messages count, and in which order. Pure.

A message is stamped with the generation that Redis had when it was sent. When Redis has come back with less than it
had, a marker begins the next generation; what an older one sends behind it is void, because Redis does not know of it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MARKER = "generation"  # the action of a marker, and the field that every event has

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EventLog:
    """What the messages of `yadtq_events` say.

    events: those that count, in the order of what happened. void: sent behind the marker of a newer generation.
    repeats: how many were there more than once. generations: those that a marker began, oldest first. reached: the
    highest number that stood before the newest marker.
    """

    events: tuple[Event, ...] = ()
    void: tuple[Event, ...] = ()
    repeats: int = 0
    generations: tuple[int, ...] = ()
    reached: int = 0


def read_log(rows: Iterable[tuple[bytes, bytes]]) -> EventLog:
    """Reads messages (key, value), given in the order of their offsets.

    With markers, an event's number is unique and rises over all generations; in a log without any, within its own.
    """
    told: list[Event] = [json.loads(value) for _, value in rows]
    began = [int(event[MARKER]) if event.get("action") == MARKER else 0 for event in told]
    generations = tuple(sorted({generation for generation in began if generation}))
    events: dict[tuple[int, int], Event] = {}
    void: list[Event] = []
    repeats = reached = 0
    lives = 0  # the oldest generation whose events count from here on
    for event, marker in zip(told, began, strict=True):
        generation = int(event[MARKER])
        place = (0 if generations else generation, int(event.get("seq", 0)))
        if marker:
            lives = max(lives, int(event["before"]) + 1)
            reached = max((seq for _, seq in events), default=0)
            continue
        if generation < lives:
            void.append(event)
            continue
        lives = generation
        if place in events:
            repeats += 1
        else:
            events[place] = event
    return EventLog(tuple(events[place] for place in sorted(events)), tuple(void), repeats, generations, reached)
