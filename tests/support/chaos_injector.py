"""Does to an arena what a schedule says. Each fault is a small story: what comes before a `yield` is done at once, then
others go on for so many seconds, then comes what mends it.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence

import redis

from local.embedded_server import EmbeddedServer
from local.errors import StartFailed
from tests.support.chaos_arena import SAFE_SECONDS, Arena, name_of
from tests.support.chaos_watcher import children_of, guard_of
from tests.support.faults import Step
from tests.support.ledger import Fault, Reset, identity, now
from yadtq import YadtqError

Story = Iterator[float]

LOOK = 0.1  # seconds between two looks of a story that waits for something
PAUSE = 0.02
DOWN_SECONDS = 1.0  # until what was killed is started again
SCALES = (1, 6, 2, 6)


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
            time.sleep(PAUSE)

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


# -- workers


def kill_worker(arena: Arena, step: Step) -> Story:
    if arena.is_running(step.worker):
        began = now()
        arena.workers[step.worker].kill()
        arena.note(step.kind, began, workers=frozenset({name_of(step.worker)}))
        yield DOWN_SECONDS
        arena.start_worker(step.worker)


def kill_child(arena: Arena, step: Step) -> Story:
    guard = guard_of(arena.workers[step.worker].process.pid)
    children = {name: child for child in children_of(guard or 0) if (name := identity(child)) is not None}
    at_work = [run.process for run in arena.runs() if run.ended is None and run.process in children]
    if children:
        began, victim = now(), (at_work or sorted(children))[0]
        with contextlib.suppress(ProcessLookupError):
            os.kill(children[victim], signal.SIGKILL)
        arena.note(step.kind, began, processes=frozenset({victim}), mends="seen")
    yield LOOK


def kill_guard(arena: Arena, step: Step) -> Story:
    guard = guard_of(arena.workers[step.worker].process.pid)
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
    hit = {name_of(step.worker)} if step.seconds > SAFE_SECONDS else set()
    arena.note(step.kind, began, workers=frozenset(hit))


def restart_worker(arena: Arena, step: Step) -> Story:
    yield from _replaced(arena, step.worker)


def rolling(arena: Arena, step: Step) -> Story:
    for number in sorted(arena.workers):
        yield from _replaced(arena, number)


def _replaced(arena: Arena, number: int) -> Story:
    """Its tasks end before it does: a restart starts nothing again, so it hits nobody."""
    yield from _stopped(arena, number)
    arena.start_worker(number)
    yield DOWN_SECONDS


def _stopped(arena: Arena, number: int) -> Story:
    began = now()
    arena.workers[number].process.terminate()
    while arena.is_running(number):
        yield LOOK
    arena.ended(number)
    arena.faults.append(Fault("sigterm", began, now(), mends="seen"))


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
        yield LOOK
    arena.note(step.kind, began, mends="seen")


# -- servers


def kafka_stop(arena: Arena, step: Step) -> Story:
    yield from _away(arena, step, [arena.kafka], arena.kafka.stop)


def kafka_kill(arena: Arena, step: Step) -> Story:
    yield from _away(arena, step, [arena.kafka], arena.kafka.kill)


def redis_stop(arena: Arena, step: Step) -> Story:
    yield from _away(arena, step, [arena.redis], arena.redis.stop)


def redis_kill(arena: Arena, step: Step) -> Story:
    yield from _away(arena, step, [arena.redis], arena.redis.kill)


def both_kafka_first(arena: Arena, step: Step) -> Story:
    yield from _away(arena, step, [arena.kafka, arena.redis], arena.kafka.kill, arena.redis.kill)


def both_redis_first(arena: Arena, step: Step) -> Story:
    yield from _away(arena, step, [arena.redis, arena.kafka], arena.redis.kill, arena.kafka.kill)


def _away(arena: Arena, step: Step, servers: Sequence[EmbeddedServer], *ends: Callable[[], None]) -> Story:
    began = now()
    for end in ends:
        end()
    yield step.seconds
    for server in servers:
        yield from _started(server)
    hit = arena.everybody() if arena.redis in servers and now() - began > SAFE_SECONDS - 1 else frozenset()
    arena.note(step.kind, began, workers=hit, mends="outage")


def _started(server: EmbeddedServer) -> Story:
    server.start()
    while not server.answers():
        if not server.is_running():
            raise StartFailed(f"{server.name} ended while it started", server.place.log)
        yield LOOK


def redis_full(arena: Arena, step: Step) -> Story:
    began = now()
    with redis.Redis("127.0.0.1", arena.redis.place.port) as connection:
        connection.config_set("maxmemory", 1)
        yield step.seconds
        connection.config_set("maxmemory", 0)
    hit = arena.everybody() if now() - began > SAFE_SECONDS - 1 else frozenset()
    arena.note(step.kind, began, workers=hit, mends="outage")


def delete_leases(arena: Arena, step: Step) -> Story:
    began, prefix = now(), f"{{{arena.settings.namespace}}}"
    try:
        with redis.Redis("127.0.0.1", arena.redis.place.port) as connection:
            keys = list(connection.scan_iter(match=f"{prefix}:worker:*", count=1000))
            connection.delete(f"{prefix}:leases", f"{prefix}:workers", *keys)
    except redis.RedisError:
        return  # Redis is away: nothing was deleted
    yield DOWN_SECONDS
    arena.note(step.kind, began, workers=arena.everybody())


def reset(arena: Arena, step: Step) -> Story:
    began, certain = now(), True
    try:
        arena.client.reset()
    except YadtqError:
        certain = False
    arena.resets.append(Reset(began, now(), certain))
    yield 0.0


# -- ways to the servers


def redis_cut(arena: Arena, step: Step) -> Story:
    began, proxy = now(), arena.proxy(step.worker)
    proxy.refuse()
    yield step.seconds
    proxy.refuse(False)
    _note_cut(arena, step, began)


def redis_mute(arena: Arena, step: Step) -> Story:
    began, proxy = now(), arena.proxy(step.worker)
    proxy.mute()
    yield step.seconds
    proxy.mute(False)
    proxy.cut()
    _note_cut(arena, step, began)


def _note_cut(arena: Arena, step: Step, began: float) -> None:
    hit = {name_of(step.worker)} if now() - began > SAFE_SECONDS - 1 else set()
    arena.note(step.kind, began, workers=frozenset(hit), mends="outage")


def redis_slow(arena: Arena, step: Step) -> Story:
    began, proxy = now(), arena.proxy(step.worker)
    proxy.delay(0.2)
    yield step.seconds
    proxy.delay(0)
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
    began = now()
    arena.kafka.proxy.refuse(True)
    yield step.seconds
    arena.kafka.proxy.refuse(False)
    arena.note(step.kind, began, mends="outage")


def kafka_mute(arena: Arena, step: Step) -> Story:
    began = now()
    arena.kafka.proxy.mute(True)
    yield step.seconds
    arena.kafka.proxy.mute(False)
    arena.note(step.kind, began, mends="outage")


def kafka_slow(arena: Arena, step: Step) -> Story:
    began = now()
    arena.kafka.proxy.delay(0.2)
    yield step.seconds
    arena.kafka.proxy.delay(0)
    arena.note(step.kind, began, mends="outage")


STORIES: dict[str, Callable[[Arena, Step], Story]] = {
    "kill-worker": kill_worker,
    "kill-child": kill_child,
    "kill-guard": kill_guard,
    "stop-worker": stop_worker,
    "pause-worker": stop_worker,
    "restart-worker": restart_worker,
    "client-before-publish": client_before_publish,
    "client-during-publish": client_during_publish,
    "kafka-stop": kafka_stop,
    "kafka-kill": kafka_kill,
    "redis-stop": redis_stop,
    "redis-kill": redis_kill,
    "both-kafka-first": both_kafka_first,
    "both-redis-first": both_redis_first,
    "redis-cut": redis_cut,
    "redis-mute": redis_mute,
    "redis-slow": redis_slow,
    "redis-swallow": redis_swallow,
    "kafka-cut": kafka_cut,
    "kafka-mute": kafka_mute,
    "kafka-slow": kafka_slow,
    "redis-full": redis_full,
    "scale": scale,
    "rolling": rolling,
    "reset": reset,
    "delete-leases": delete_leases,
}
