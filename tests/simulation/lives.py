"""What the events tell of each task, followed one after the other."""

from typing import Any

from _yadtq.states import FINAL, TRANSITIONS
from tests.simulation.observer import Violation

AFTER = {(t.before, t.action): t.after for t in TRANSITIONS}
AFTER_ALL = {t.action: t.after for t in TRANSITIONS}
BEGINS = {"register", "admit", "reject"}
ENDS = {"success", "failed", "retry", "crash", "release", "reclaim"}
SILENT = {"refused", "share", "forgotten"}  # they change no status

Event = dict[str, Any]
Key = tuple[str, str]  # epoch, id


class Lives:
    """A task's life begins where its id had no record. gaps: events may be missing, and what they told with them.

    status: of each task. numbers: lives of an id so far. of_claim: id and token → epoch, id, life. remade: marks of
    registrations that were forgotten and made good, with the tokens of the resets before that. Raises Violation.
    """

    def __init__(self, events: list[Event], gaps: bool) -> None:
        self.status: dict[Key, str] = {}
        self.numbers: dict[Key, int] = {}
        self.of_claim: dict[tuple[str, str], tuple[str, str, int]] = {}
        self.reclaimed: list[tuple[str, str]] = []  # incarnation, id
        self.ended: set[Key] = set()  # they have, or had, an outcome
        self.registered: set[str] = set()  # submissions
        self.withdrawn: set[str] = set()  # submissions
        self.resets: dict[str, Event] = {}  # by token
        self.remade: list[tuple[str, list[str]]] = []
        self._admitted: set[tuple[int, int]] = set()
        self._owners: dict[Key, str] = {}
        self._gaps = gaps
        for event in events:
            if event.get("action") == "reset":
                self._note_reset(event)
            for transition in event.get("tasks", []):
                self._follow(event, transition)

    def _follow(self, event: Event, t: Event) -> None:
        action, key = t["action"], (str(event["epoch"]), t["id"])
        if action == "forgotten":
            self.of_claim[(t["id"], t["token"])] = (*key, self.numbers.get(key, 0))
        if action in SILENT:
            return
        before = self.status.get(key, "")
        if self._gaps and not before and action not in BEGINS:
            return  # how it began is not known
        if (before, action) not in AFTER and not self._gaps:
            raise Violation(f"task {t['id']}: {action} while it is {before or 'absent'} (event {event['seq']})")
        self.status[key] = AFTER.get((before, action), AFTER_ALL[action])
        if self.status[key] in FINAL:
            self.ended.add(key)
        if not before:
            self.numbers[key] = self.numbers.get(key, 0) + 1
        self._note(event, t, key)

    def _note_reset(self, event: Event) -> None:
        if event["request"] in {reset["request"] for reset in self.resets.values()}:
            raise Violation(f"the reset {event['request']} happens twice")
        self.resets[event["token"]] = event

    def _note(self, event: Event, t: Event, key: Key) -> None:
        action = t["action"]
        if action == "admit":
            self._note_admission(t)
        elif action == "take":
            self.of_claim[(t["id"], event["token"])] = (*key, self.numbers[key])
            self._owners[key] = t["worker"]
        elif action == "reclaim":
            self.reclaimed.append((t["worker"], t["id"]))
        elif action == "register":
            self.registered.add(t["submitted_by"])
        elif action == "withdraw":
            self.withdrawn.add(t["submitted_by"])
        if action in ENDS and t["worker"] != self._owners.get(key) and not self._gaps:
            raise Violation(f"task {t['id']}: {action} by {t['worker']}, and {self._owners.get(key)} has it")

    def _note_admission(self, t: Event) -> None:
        place = (t["partition"], t["offset"])
        if place in self._admitted:
            raise Violation(f"the message at {place} is admitted twice")
        self._admitted.add(place)
        if "mark" in t:
            self.remade.append((t["mark"], list(self.resets)))
        elif any(reset.get("floors", {}).get(str(place[0]), 0) > place[1] for reset in self.resets.values()):
            raise Violation(f"the message at {place} was reset, and task {t['id']} is there again")
