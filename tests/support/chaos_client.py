"""A client of the chaos tests, a process of its own: it writes down every submission before and after it makes it.

    python -m tests.support.chaos_client LEDGER NAME SEED RATE MIX [before|during]

It submits about RATE tasks a second until SIGTERM. MIX names the tasks that it chooses from. With `before` it dies by
its own hand (SIGKILL) when its third submission is registered and not published, with `during` while it is published.
"""

import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from _yadtq.broker import Broker
from _yadtq.settings import Settings
from _yadtq.store import Store
from tests.support.ledger import ACKNOWLEDGED, ATTEMPTED, REFUSED, UNKNOWN, Lines, clients_folder, now
from yadtq import Call, QueueMissing, ServerUnreachable, SubmissionRefused, SubmissionUnknown, TaskClient, YadtqError

DIES_AT = 3
PAUSE_SECONDS = 0.5  # before a submission that failed is made again
LONGEST_BATCH = 8

# How often out of a hundred, the task, fewest and most seconds. Some outlive a lease: what a stopped or cut-off worker
# runs must be over before it starts elsewhere, and with small tasks alone it always is.
MIXES: dict[str, list[tuple[int, str, float, float]]] = {
    "mixed": [
        (76, "work", 0.0, 0.2),
        (14, "work", 0.5, 2.0),
        (4, "work", 8.0, 14.0),
        (3, "stumble", 0.0, 0.1),
        (3, "vanish", 0.0, 0.1),
    ],
    "light": [(90, "work", 0.0, 0.2), (5, "stumble", 0.0, 0.1), (5, "vanish", 0.0, 0.1)],
    "steady": [(100, "work", 1.0, 2.0)],
    "small": [(100, "work", 0.0, 0.1)],
}


class DyingBroker(Broker):
    """Kills its process at a publication. when: before (nothing is sent) · during (within some milliseconds)."""

    def __init__(self, settings: Settings, when: str, chance: random.Random) -> None:
        super().__init__(settings)
        self._when, self._chance = when, chance
        self._published = 0

    def publish_tasks(self, tasks: Sequence[tuple[str, bytes, Sequence[tuple[str, bytes]]]]) -> list[Exception | None]:
        self._published += 1
        if self._published == DIES_AT:
            if self._when == "before":
                _die()
            threading.Timer(self._chance.uniform(0, 0.006), _die).start()
        return super().publish_tasks(tasks)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class ChaosClient:
    """Submits, and keeps the ledger of it."""

    def __init__(self, client: TaskClient, lines: Lines, name: str, chance: random.Random, mix: str) -> None:
        self._client, self._lines, self._name, self._chance = client, lines, name, chance
        self._mix = MIXES[mix]
        self._number = 0
        self._doubtful: list[Call] = []  # their outcome is unknown: submitted again under the same id

    def submit_some(self) -> int:
        """One call of the library; returns how many tasks it was asked to submit, 0 when it failed."""
        if self._doubtful:
            return self._submit_one(self._doubtful.pop())
        if self._chance.random() < 0.7:
            return self._submit_one(self._call())
        return self._submit_many([self._call() for _ in range(self._chance.randint(2, LONGEST_BATCH))])

    def _call(self) -> Call:
        self._number += 1
        (_, task, fewest, most), *_ = self._chance.choices(self._mix, [row[0] for row in self._mix])
        return Call(task, (round(self._chance.uniform(fewest, most), 3),), {}, f"{self._name}-{self._number}")

    def _submit_one(self, call: Call) -> int:
        self._note(ATTEMPTED, call.task_id)
        try:
            self._client.submit(call.task, *call.args, task_id=call.task_id)
        except (SubmissionUnknown, QueueMissing):
            self._in_doubt(call)
            return 0
        except YadtqError as error:
            self._refused(error, call.task_id)
            return 0
        self._note(ACKNOWLEDGED, call.task_id)
        return 1

    def _submit_many(self, calls: list[Call]) -> int:
        for call in calls:
            self._note(ATTEMPTED, call.task_id)
        try:
            accepted = self._client.submit_many(calls)
        except (SubmissionRefused, SubmissionUnknown) as error:
            for task_id in error.accepted:
                self._note(ACKNOWLEDGED, task_id)
            # Of the others, only the first one's fate is told.
            self._note(REFUSED if isinstance(error, SubmissionRefused) else UNKNOWN, error.task_id)
            if isinstance(error, SubmissionUnknown):
                self._doubtful += [call for call in calls if call.task_id == error.task_id]
            return 0
        except QueueMissing:
            for call in calls:
                self._in_doubt(call)
            return 0
        except YadtqError as error:
            for call in calls:
                self._refused(error, call.task_id)
            return 0
        for task_id in accepted:
            self._note(ACKNOWLEDGED, task_id)
        return len(calls)

    def _in_doubt(self, call: Call) -> None:
        """Redis may have known it before it lost everything: only another attempt tells."""
        self._note(UNKNOWN, call.task_id)
        self._doubtful.append(call)

    def _refused(self, error: YadtqError, task_id: str) -> None:
        if not isinstance(error, (SubmissionRefused, ServerUnreachable)):
            raise error
        self._note(REFUSED, task_id)  # ServerUnreachable from a submission: nothing was written

    def _note(self, kind: str, task_id: str) -> None:
        self._lines.write(kind, task_id, now())


def serve(submit: Callable[[], int], rate: float, chance: random.Random) -> None:
    """Calls `submit` about so often a second, until SIGTERM."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    pause = 0.0
    while not stopping.wait(pause):
        done = submit()
        pause = done * chance.expovariate(rate) if done else PAUSE_SECONDS


def main() -> None:
    ledger, name, seed, rate, mix = Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]), sys.argv[5]
    settings, chance = Settings.load(), random.Random(seed)
    broker = DyingBroker(settings, sys.argv[6], chance) if len(sys.argv) > 6 else Broker(settings)
    with TaskClient(broker=broker, result_store=Store(settings)) as client:
        lines = Lines(clients_folder(ledger) / f"{name}.jsonl")
        serve(ChaosClient(client, lines, name, chance, mix).submit_some, rate, chance)


if __name__ == "__main__":
    main()
