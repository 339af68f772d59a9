"""Does to an arena what a schedule says. Each fault is a small story: what comes before a `yield` is done at once, then
others go on for so many seconds, then comes what mends it.
"""

import time
from collections.abc import Callable, Sequence

from tests.support import chaos_loss_faults, chaos_operators, chaos_server_faults, chaos_worker_faults
from tests.support.chaos_arena import Arena, Stories, Story
from tests.support.chaos_worker_faults import SCALES
from tests.support.faults import Step
from tests.support.ledger import now

PAUSE_SECONDS = 0.02

STORIES: Stories = {
    **chaos_worker_faults.STORIES,
    **chaos_server_faults.STORIES,
    **chaos_loss_faults.STORIES,
    **chaos_operators.STORIES,
}


class Injector:
    """Plays a schedule. Everything happens in the thread that calls `run`, which must live as long as the programs."""

    def __init__(self, arena: Arena, steps: Sequence[Step], say: Callable[[str], None]) -> None:
        self.arena = arena
        self._steps, self._say = list(steps), say
        self._busy: dict[str, int] = {}  # what is in use → serial number of the story that uses it
        self._stories: dict[int, tuple[Step, Story, float]] = {}  # serial number → its step, itself, when it goes on
        self._workers = sorted(arena.workers)

    def run(self, seconds: float) -> None:
        """Plays for so long; returns when every fault is mended."""
        began, serial = now(), 0
        while self._stories or (now() - began < seconds):
            elapsed = now() - began
            for step in [step for step in self._steps if step.at <= elapsed < seconds]:
                needs = self._needs(step)
                if not needs & self._busy.keys():
                    self._steps.remove(step)
                    serial += 1
                    self._busy |= dict.fromkeys(needs, serial)
                    self._say(f"{elapsed:7.1f} s  {step.kind} {step.worker or ''} {step.seconds or ''}".rstrip())
                    self._stories[serial] = (step, STORIES[step.kind](self.arena, step), now())
            self._advance()
            time.sleep(PAUSE_SECONDS)

    def _needs(self, step: Step) -> frozenset[str]:
        return step.needs({*self._workers, *SCALES, *self.arena.workers})

    def _advance(self) -> None:
        for serial, (step, story, due) in list(self._stories.items()):
            if now() < due:
                continue
            try:
                self._stories[serial] = (step, story, now() + next(story))
            except StopIteration:
                del self._stories[serial]
                self._busy = {needed: user for needed, user in self._busy.items() if user != serial}


def play(arena: Arena, step: Step) -> None:
    """One fault, from its beginning until it is mended."""
    for pause in STORIES[step.kind](arena, step):
        time.sleep(pause)
