"""Faults of workers and clients, and of their ways to the servers. What a story is: chaos_injector.py."""

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

from tests.support.chaos_arena import Arena, Stories, Story, name_of
from tests.support.chaos_watcher import children_of, guard_of
from tests.support.faults import DOWN_SECONDS, LOOK_SECONDS, Step
from tests.support.ledger import Fault, identity, now

SCALES = (1, 6, 2, 6)
CLOCK_STEP_SECONDS = 60.0

# -- workers


def kill_worker(arena: Arena, step: Step) -> Story:
    if arena.is_running(step.worker):
        began = now()
        arena.workers[step.worker].kill()
        arena.note(step.kind, began, workers=frozenset({name_of(step.worker)}))
        yield DOWN_SECONDS
        arena.start_worker(step.worker)


def kill_child(arena: Arena, step: Step) -> Story:
    guard = guard_of(arena.process(step.worker))
    children = {name: child for child in children_of(guard or 0) if (name := identity(child)) is not None}
    at_work = [run.process for run in arena.runs() if run.ended is None and run.process in children]
    if children:
        began, victim = now(), (at_work or sorted(children))[0]
        with contextlib.suppress(ProcessLookupError):
            os.kill(children[victim], signal.SIGKILL)
        arena.note(step.kind, began, processes=frozenset({victim}), mends="seen")
    yield LOOK_SECONDS


def kill_guard(arena: Arena, step: Step) -> Story:
    guard = guard_of(arena.process(step.worker))
    if guard is not None:
        began = now()
        os.kill(guard, signal.SIGKILL)
        arena.note(step.kind, began, workers=frozenset({name_of(step.worker)}))
    yield DOWN_SECONDS


def stop_worker(arena: Arena, step: Step) -> Story:
    began, process = now(), arena.workers[step.worker].process
    process.send_signal(signal.SIGSTOP)
    yield step.seconds
    process.send_signal(signal.SIGCONT)
    hit = {name_of(step.worker)} if step.seconds > arena.safe_seconds else set()
    arena.note(step.kind, began, workers=frozenset(hit))


def restart_worker(arena: Arena, step: Step) -> Story:
    yield from _replaced(arena, step.worker)


def rolling(arena: Arena, step: Step) -> Story:
    for number in sorted(arena.workers):
        yield from _replaced(arena, number)


def _replaced(arena: Arena, number: int) -> Story:
    yield from _stopped(arena, number)
    arena.start_worker(number)
    yield DOWN_SECONDS


def _stopped(arena: Arena, number: int) -> Story:
    """Its tasks end before it does, and nothing is started again, unless it has no time for that."""
    began, hit = now(), set() if arena.settings.drain_seconds else {name_of(number)}
    arena.workers[number].process.terminate()
    while arena.is_running(number):
        yield LOOK_SECONDS
    arena.ended(number)
    arena.faults.append(Fault("sigterm", began, now(), workers=frozenset(hit), mends="seen"))


def clock_jump(arena: Arena, step: Step) -> Story:
    """Hits nobody: leases, deadlines and time limits go by clocks that nobody sets."""
    yield from set_clock(arena, step, name_of(step.worker), arena.process(step.worker))


def set_clock(arena: Arena, step: Step, name: str, process: int) -> Story:
    """Sets the clock of a program wrong, and right again."""
    if not arena.clocks.available:
        arena.left_out.add(step.kind)
        return
    assert arena.clocks.rules(process), f"the clock of {name} cannot be set"
    began = now()
    arena.clocks.set(name, clock_step(step))
    yield step.seconds
    arena.clocks.set(name, 0)
    arena.note(step.kind, began, mends="seen")


def clock_step(step: Step) -> float:
    """How far a clock is set off, seconds: forward and back in turn, by the tenths of how long it lasts."""
    return CLOCK_STEP_SECONDS if round(step.seconds * 10) % 2 else -CLOCK_STEP_SECONDS


def scale(arena: Arena, step: Step) -> Story:
    before = len(arena.workers)
    for wanted in (*SCALES, before):
        for number in range(1, wanted + 1):
            if number not in arena.workers:
                arena.start_worker(number)
        for number in sorted(arena.workers, reverse=True):
            if len(arena.workers) > wanted:
                yield from _stopped(arena, number)
        yield step.seconds / len(SCALES)


# -- clients


def client_before_publish(arena: Arena, step: Step) -> Story:
    yield from _dying_client(arena, step, "before")


def client_during_publish(arena: Arena, step: Step) -> Story:
    yield from _dying_client(arena, step, "during")


def _dying_client(arena: Arena, step: Step, when: str) -> Story:
    began, name = now(), f"doomed{len(arena.clients)}-{len(arena.faults)}"
    program = arena.start_client(name, 20, "small", when)
    while program.process.poll() is None:
        yield LOOK_SECONDS
    arena.note(step.kind, began, mends="seen")


# -- ways to the servers


def redis_cut(arena: Arena, step: Step) -> Story:
    began, proxy = now(), arena.proxy(step.worker)
    proxy.refuse()
    yield step.seconds
    proxy.refuse(False)
    arena.note_outage(step.kind, began, frozenset({name_of(step.worker)}))


def redis_mute(arena: Arena, step: Step) -> Story:
    began, proxy = now(), arena.proxy(step.worker)
    proxy.mute()
    yield step.seconds
    proxy.mute(False)
    proxy.cut()
    arena.note_outage(step.kind, began, frozenset({name_of(step.worker)}))


def redis_slow(arena: Arena, step: Step) -> Story:
    yield from _spoiled(arena, step, arena.proxy(step.worker).delay, 0.2, 0)


def _spoiled(arena: Arena, step: Step, spoil: Callable[[Any], None], spoiled: Any, well: Any) -> Story:
    """A way to a server is spoiled, for as long as the step says."""
    began = now()
    spoil(spoiled)
    yield step.seconds
    spoil(well)
    arena.note(step.kind, began, mends="outage")


def redis_swallow(arena: Arena, step: Step) -> Story:
    began, proxy = now(), arena.proxy(step.worker)
    for name, nth in (("take", 3), ("settle", 2), ("beat", 2)):
        proxy.swallow(name, nth, rounds=5)
    yield step.seconds
    for name in ("take", "settle", "beat"):
        proxy.swallow(name, rounds=0)
    arena.note(step.kind, began, mends="outage")


def kafka_cut(arena: Arena, step: Step) -> Story:
    yield from _spoiled(arena, step, arena.kafka.proxy.refuse, True, False)


def kafka_mute(arena: Arena, step: Step) -> Story:
    yield from _spoiled(arena, step, arena.kafka.proxy.mute, True, False)


def kafka_slow(arena: Arena, step: Step) -> Story:
    yield from _spoiled(arena, step, arena.kafka.proxy.delay, 0.2, 0)


STORIES: Stories = {
    "kill-worker": kill_worker,
    "kill-child": kill_child,
    "kill-guard": kill_guard,
    "stop-worker": stop_worker,
    "pause-worker": stop_worker,
    "restart-worker": restart_worker,
    "clock-jump": clock_jump,
    "client-before-publish": client_before_publish,
    "client-during-publish": client_during_publish,
    "redis-cut": redis_cut,
    "redis-mute": redis_mute,
    "redis-slow": redis_slow,
    "redis-swallow": redis_swallow,
    "kafka-cut": kafka_cut,
    "kafka-mute": kafka_mute,
    "kafka-slow": kafka_slow,
    "scale": scale,
    "rolling": rolling,
}
