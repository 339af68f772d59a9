"""How many workers a machine should run: one pure decision, taken once a second.

`decide` has a memory (`Scale`) and looks at one picture of the queue. It rises quickly and falls slowly, so that a
queue that breathes does not start and stop workers with every breath.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

import yadtq


@dataclass(frozen=True, slots=True)
class Rules:
    """The thresholds. docs/manager.md has them as a table.

    minimum, maximum: workers. slots_each: tasks that one of them runs at once. waiting_seconds: a task that waits for
    its first start so long asks for more workers. backlog_per_slot: so do more waiting tasks than this for each task
    that can run at once. growth: the most that one step multiplies the workers by. rise_pause_seconds: from one step to
    the next one up. idle_seconds: for how long there must be too many before the first one leaves. fall_pause_seconds:
    from one step to the next one down. spare: the share of the slots of those that stay which may be busy, when one
    leaves.
    """

    minimum: int = 1
    maximum: int = 1
    slots_each: int = 3
    waiting_seconds: float = 2.0
    backlog_per_slot: float = 10.0
    growth: float = 2.0
    rise_pause_seconds: float = 5.0
    idle_seconds: float = 30.0
    fall_pause_seconds: float = 5.0
    spare: float = 0.5


@dataclass(frozen=True, slots=True)
class Picture:
    """What the decision looks at. waiting: tasks that a worker could begin now; waiting_seconds: the oldest one's age.

    slots, busy: of this machine's workers that are online: tasks they can run at once, and those that run.
    """

    waiting: int
    waiting_seconds: float
    slots: int
    busy: int


@dataclass(frozen=True, slots=True)
class Scale:
    """What a decision leaves to the next one. target: workers wanted. Instants are seconds of one clock.

    changed_at: of the last step. idle_since: since when there have been too many; None: there are not.
    why: for a person.
    """

    target: int
    changed_at: float = -math.inf
    idle_since: float | None = None
    why: str = "as it was started"


def picture_of(snapshot: yadtq.Snapshot, births: Collection[str]) -> Picture | None:
    """The picture for the workers whose processes these are; None: Redis was restarted, and nothing moves yet."""
    if snapshot.quarantine:
        return None
    ours = [worker for worker in snapshot.workers if worker.birth in births and worker.state == "online"]
    return Picture(
        waiting=snapshot.stats.ready + (snapshot.stats.unread or 0),
        waiting_seconds=snapshot.waiting_seconds,
        slots=sum(worker.slots for worker in ours),
        busy=sum(worker.busy for worker in ours),
    )


def decide(scale: Scale, picture: Picture | None, now: float, rules: Rules) -> Scale:
    """The next scale. picture: None when the queue cannot be seen: then all stays as it is.

    now: seconds of the clock that the scale's instants are of.
    """
    scale = replace(scale, target=min(max(scale.target, rules.minimum), rules.maximum))
    if picture is None:
        return replace(scale, idle_since=None, why="the queue cannot be seen: nothing changes")
    pressure = _pressure(picture, rules)
    if pressure:
        return _risen(replace(scale, idle_since=None), picture, now, rules, pressure)
    return _fallen(scale, picture, now, rules)


def _pressure(picture: Picture, rules: Rules) -> str:
    """Why there should be more workers; '' when there need not be."""
    if not picture.waiting:
        return ""
    if not picture.slots or picture.waiting > rules.backlog_per_slot * picture.slots:
        return "1 task waits" if picture.waiting == 1 else f"{picture.waiting} tasks wait"
    if picture.waiting_seconds >= rules.waiting_seconds:
        return f"a task has waited for {picture.waiting_seconds:.0f} s"
    return ""


def _risen(scale: Scale, picture: Picture, now: float, rules: Rules, why: str) -> Scale:
    if scale.target >= rules.maximum:
        return replace(scale, why=f"{why}, and these are all that may be")
    if now < scale.changed_at + rules.rise_pause_seconds:
        return replace(scale, why=f"{why}; what was started last has not had its time yet")
    useful = math.ceil((picture.waiting + picture.busy) / rules.slots_each)
    step = min(max(useful, scale.target + 1), max(1, math.floor(scale.target * rules.growth)))
    return Scale(min(max(step, scale.target + 1), rules.maximum), now, None, why)


def _fallen(scale: Scale, picture: Picture, now: float, rules: Rules) -> Scale:
    if scale.target <= rules.minimum:
        return replace(scale, idle_since=None, why="these are all that must be")
    staying = (scale.target - 1) * rules.slots_each
    if picture.waiting or picture.busy > rules.spare * staying:
        return replace(scale, idle_since=None, why=_running(picture))
    since = now if scale.idle_since is None else scale.idle_since
    if now < since + rules.idle_seconds or now < scale.changed_at + rules.fall_pause_seconds:
        return replace(scale, idle_since=since, why=f"{_running(picture)}, which fewer workers could do as well")
    return Scale(scale.target - 1, now, since, f"idle for {now - since:.0f} s: {_running(picture)}")


def _running(picture: Picture) -> str:
    return "1 task runs" if picture.busy == 1 else f"{picture.busy or 'no'} tasks run"
