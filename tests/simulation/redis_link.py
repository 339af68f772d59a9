"""What stands between a program and Redis: the real Store on connections that hand its calls to the simulation.

Each call is a step of its own: others may act before it runs, and between its run and its answer. Here calls are lost,
their answers are lost, or they are held up and run later; and connections break when Redis goes away.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import redis

from _yadtq.bell import Bell
from _yadtq.settings import Settings
from _yadtq.store import Store
from tests.simulation.faults import WITH_DEATH
from tests.simulation.server import Part
from tests.simulation.stage import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

REPLY_SECONDS = 4.0
MOST_CALLS = 6  # after at most so many calls of others, who waits for an event looks again


@dataclass(frozen=True, slots=True)
class HeldCall:
    """A call that is on its way to Redis, and whose caller does not wait for it any more."""

    process: Process
    command: tuple[Part, ...]
    not_before: float


class Connection:
    """One connection of a process. yadtq_run: which run of the server it speaks to, as the Store notes it."""

    def __init__(self, world: "World", process: Process) -> None:
        self.yadtq_run = world.redis.run_id
        self.is_broken = False
        self._world, self._process = world, process
        self._command: tuple[Part, ...] = ()

    def disconnect(self) -> None:
        self.is_broken = True

    def send_command(self, kind: str, script: str, _keys: int, *rest: Part) -> None:
        """kind: EVALSHA or EVAL. Nothing is on its way before the answer is asked for."""
        if kind == "EVAL":
            script = self._world.redis.learn(script)
        self._command = (script, *rest)

    def read_response(self) -> Any:
        """Sends the command and waits for its answer."""
        world, command, name = self._world, self._command, self._world.redis.scripts.get(str(self._command[0]))
        if name is None:
            raise redis.exceptions.NoScriptError
        world.stage.point()
        self._check()
        fate = world.faults.of_call(self._process, name)
        if fate == "cut":
            world.trace(f"{self._process.name}: a call of {name} is lost")
            raise redis.ConnectionError("simulated: the call is lost")
        if fate == "held":
            world.held.append(HeldCall(self._process, command, world.stage.now + world.rng.choice((0, 0.5, 3, 6))))
            world.trace(f"{self._process.name}: a call of {name} is held up")
            world.stage.wait(world.rng.choice((0.05, REPLY_SECONDS)))
            raise redis.TimeoutError("simulated: no answer")
        if fate == "die":
            world.kill(self._process)
            if world.rng.random() > WITH_DEATH:
                world.stage.point()
        reply = world.redis.run(self._process, command)
        if fate == "lost":
            world.trace(f"{self._process.name}: the answer is lost")
            raise redis.ConnectionError("simulated: the answer is lost")
        if world.rng.random() < world.plan.slow_replies:
            world.stage.point()
            self._check()
        return reply

    def _check(self) -> None:
        reach(self._world, self._process)
        if self.yadtq_run != self._world.redis.run_id:
            raise redis.ConnectionError("simulated: the server has closed the connection")


class ConnectionPool:
    """The connections of a process that nobody uses now."""

    def __init__(self, world: "World", process: Process) -> None:
        self._world, self._process = world, process
        self._idle: list[Connection] = []

    def get_connection(self) -> Connection:
        if self._idle:
            return self._idle.pop()
        self._world.stage.point()
        reach(self._world, self._process)
        return Connection(self._world, self._process)

    def release(self, connection: Connection) -> None:
        if not connection.is_broken:
            self._idle.append(connection)


class RedisClient:
    """The part of redis.Redis that the Store uses, for one process."""

    def __init__(self, world: "World", process: Process) -> None:
        self._world, self._process = world, process
        self.connection_pool = ConnectionPool(world, process)

    def xread(self, streams: Mapping[str, str], count: int, block: int) -> Any:
        """Waits until there is something, without a call for each look."""
        ((key, after),) = streams.items()
        world, late_at = self._world, self._world.stage.now + block / 1000
        world.stage.point()
        run_id = world.redis.run_id
        while True:
            reach(world, self._process)
            if run_id != world.redis.run_id:
                raise redis.ConnectionError("simulated: the server has closed the connection")
            enough = world.redis.writes + world.rng.randint(1, MOST_CALLS)
            rows = world.redis.server.link("XREAD", "COUNT", count, "STREAMS", key, after)
            if rows or world.stage.now >= late_at:
                return [[name, [(entry, _pairs(fields)) for entry, fields in part]] for name, part in rows or []]
            world.stage.wait(late_at - world.stage.now, partial(world.redis.has_run, enough))

    def info(self, section: str) -> dict[str, str]:
        self.ping()
        return {"maxmemory_policy": "noeviction"}

    def ping(self) -> bool:
        self._world.stage.point()
        reach(self._world, self._process)
        return True

    def close(self) -> None:
        """Nothing is open."""


class SimulatedStore(Store):
    """The real Store of one process."""

    def __init__(self, settings: Settings, world: "World", process: Process) -> None:
        super().__init__(settings)
        client: Any = RedisClient(world, process)
        self._redis = self._scripts.redis = client

    def events(self, after: str, block_seconds: float, most: int, bell: Bell | None = None) -> list[tuple[str, str]]:
        """As a Store's; no bell rings on the stage."""
        return super().events(after, block_seconds, most)


def reach(world: "World", process: Process) -> None:
    """Raises where Redis cannot be reached."""
    if max(process.no_redis_until, world.no_redis_until) > world.stage.now:
        world.stage.wait(0.05)
        raise redis.ConnectionError("simulated: cut off")


def _pairs(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
