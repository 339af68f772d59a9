"""Faults of Kafka and Redis that come back with all that they had, and what a person may do to the queue."""

from collections.abc import Callable, Sequence

import redis

from local.embedded_server import EmbeddedServer
from local.errors import StartFailed
from tests.support.chaos_arena import REDIS, Arena, Stories, Story
from tests.support.chaos_worker_faults import set_clock
from tests.support.faults import DOWN_SECONDS, LOOK_SECONDS, Step
from tests.support.ledger import Reset, now
from yadtq import YadtqError

LED_BACK_SECONDS = 60.0  # then it is another fault's matter


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
        yield from started(server)
    arena.servers_back_at = now()
    if arena.redis in servers:
        yield from led_back(arena)
    arena.note_outage(step.kind, began, arena.everybody() if arena.redis in servers else frozenset())


def led_back(arena: Arena) -> Story:
    """Goes on when the queue is open on this run of Redis: while Kafka is away, that waits for Kafka."""
    until = now() + LED_BACK_SECONDS
    with arena.redis.connection() as connection:
        run = str(connection.info("server")["run_id"])
        while connection.hget(f"{{{arena.settings.namespace}}}:meta", "run") != run and now() < until:
            yield LOOK_SECONDS


def started(server: EmbeddedServer) -> Story:
    """Starts a server, and goes on when it answers."""
    server.start()
    while not server.answers():
        if not server.is_running():
            raise StartFailed(f"{server.name} ended while it started", server.place.log)
        yield LOOK_SECONDS


def redis_full(arena: Arena, step: Step) -> Story:
    began = now()
    with arena.redis.connection() as connection:
        connection.config_set("maxmemory", 1)
        yield step.seconds
        connection.config_set("maxmemory", 0)
    arena.note_outage(step.kind, began, arena.everybody())


def redis_disk_full(arena: Arena, step: Step) -> Story:
    began = now()
    arena.redis.fill_disk()
    yield step.seconds
    if arena.redis.disk_is_well():
        arena.problems.append("Redis has not noticed that its disk is full")
    arena.redis.free_disk()
    while not arena.redis.disk_is_well():
        yield LOOK_SECONDS
    arena.note_outage(step.kind, began, arena.everybody())


def redis_clock(arena: Arena, step: Step) -> Story:
    """Hits nobody: the clock of all leases gains at most a second a call, and never goes back."""
    yield from set_clock(arena, step, REDIS, arena.redis.pid)


def delete_leases(arena: Arena, step: Step) -> Story:
    began, prefix = now(), f"{{{arena.settings.namespace}}}"
    try:
        with arena.redis.connection() as connection:
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


STORIES: Stories = {
    "kafka-stop": kafka_stop,
    "kafka-kill": kafka_kill,
    "redis-stop": redis_stop,
    "redis-kill": redis_kill,
    "both-kafka-first": both_kafka_first,
    "both-redis-first": both_redis_first,
    "redis-full": redis_full,
    "redis-disk-full": redis_disk_full,
    "redis-clock": redis_clock,
    "reset": reset,
    "delete-leases": delete_leases,
}
