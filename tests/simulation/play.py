"""Schedules, one after the other: each from its seed alone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tests.simulation.plan import Plan, plan_of
from tests.simulation.rules import RULES, Rules, Wanted
from tests.simulation.server import Server, started
from tests.simulation.world import World


@dataclass(frozen=True, slots=True)
class Played:
    """What one schedule came to. problem: '' when every promise held. lines: of its trace, when that was wanted."""

    seed: int
    steps: int
    seconds: float
    problem: str
    lines: tuple[str, ...] = ()


def play(seed: int, server: Server, rules: Rules | None = None, trace: bool = False) -> Played:
    """Plays the schedule of one seed. seconds: of virtual time."""
    return _play(plan_of(seed), server, rules or Rules(), trace)


def search(rule: str, server: Server, seeds: Iterable[int]) -> Iterator[Played]:
    """Plays without a rule the schedules in which it can matter. What goes wrong with all rules too does not count.

    Raises ValueError when the rule could not be taken out.
    """
    found = RULES[rule]
    rules = Rules(found.changes)
    for plan in _wanted(seeds, found.wanted):
        played = _play(plan, server, rules, trace=False)
        yield replace(played, problem="") if played.problem and play(played.seed, server).problem else played
    if rules.unused():
        raise ValueError(f"no script has {rules.unused()[0]!r} any more: rules.py takes out what is not there")


def _wanted(seeds: Iterable[int], wanted: Wanted) -> Iterator[Plan]:
    return (plan for plan in map(plan_of, seeds) if wanted(plan))


def _play(plan: Plan, server: Server, rules: Rules, trace: bool) -> Played:
    lines: list[str] | None = [] if trace else None
    world = World(plan, server, rules, lines)
    problem = ""
    try:
        world.play()
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    return Played(plan.seed, world.steps, world.stage.now, problem, tuple(lines or ()))


def play_part(seeds: range) -> tuple[int, list[Played]]:
    """In a process of its own: how many were played, and those that went wrong."""
    with started() as server:
        return len(seeds), [played for seed in seeds if (played := play(seed, server)).problem]
