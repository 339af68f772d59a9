"""Redis as the world sees it: scripts that run, points to which it may fall back, and the run of the server."""

import hashlib
from functools import cache
from typing import TYPE_CHECKING

from _yadtq.keys import Keys
from _yadtq.scripts import LUA, Reply
from tests.simulation.plan import NAMESPACE
from tests.simulation.server import Part, Server, Snapshot, on_virtual_time
from tests.simulation.stage import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

BEGAN_MS = 1_700_000_000_000
LINE = 160


class RedisState:
    """scripts: SHA-1 as programs know it → name. writes: rises with each call. ahead_ms: of its clock."""

    def __init__(self, world: "World", server: Server) -> None:
        self.server = server
        self.keys = Keys(NAMESPACE)
        self.scripts: dict[str, str] = {}
        self.writes = 0
        self.ahead_ms = 0
        self._world = world
        self._real: dict[str, str] = {}  # SHA-1 as programs know it → of the script that runs
        self._kept: list[Snapshot] = []
        self._runs = 1

    @property
    def run_id(self) -> str:
        return f"run{self._runs}"

    # -- scripts

    def learn(self, text: str) -> str:
        """A script that a program sends for the first time. Returns its SHA-1 as the program knows it."""
        name, sha = _known(text)
        self.scripts[sha] = name
        self._real[sha] = self.server.script(self._world.rules.edited(on_virtual_time(text)))
        return sha

    def run(self, process: Process, command: tuple[Part, ...]) -> Reply:
        """The script runs, now."""
        sha, meta, *arguments = command
        world, name = self._world, self.scripts[str(sha)]
        now = BEGAN_MS + round(world.stage.now * 1000) + self.ahead_ms
        self.writes += 1
        reply: Reply = self.server.link("EVALSHA", self._real[str(sha)], 2, meta, now, *arguments)
        world.trace(f"{process.name}: {name} ", arguments, " -> ", reply)
        if reply[0] == "ok":
            world.observer.ran(process, name, arguments, reply)
        return reply

    def has_run(self, calls: int) -> bool:
        """Whether so many calls have run in all."""
        return self.writes >= calls

    def get(self, name: str) -> str:
        """A field of meta, '' when it is not there."""
        found: str | None = self.server.link("HGET", self.keys.meta, name)
        return found or ""

    def key(self, name: str) -> str:
        return f"{self.keys.prefix}{name}"

    # -- what it may forget

    def keep(self) -> None:
        """What is in Redis now, is in a file too."""
        if self.get("run"):
            self._world.trace(f"-- DURABLE POINT {len(self._kept) + 1}: seq {self.get('seq')}")
            self._kept.append(self.server.keep())

    def restart(self) -> None:
        """All connections break."""
        self._runs += 1
        self.writes += 1
        self._world.held.clear()  # they were on connections that are broken now
        self._world.trace(f"-- Redis restarts; it had seq {self.get('seq')}")

    def go_back(self) -> None:
        """It restarts as it was at a durable point, when there is one."""
        self.restart()
        if self._kept:
            place = self._world.rng.randrange(len(self._kept))
            self._forget()
            self.server.restore(self._kept[place])
            del self._kept[place + 1 :]
            self._world.trace(f"-- it is back at durable point {place + 1}, seq {self.get('seq')}")

    def lose(self) -> None:
        """It restarts, and is empty."""
        self.restart()
        self._forget()
        self.server.clear()
        self._kept.clear()
        self._world.trace("-- it has lost everything")

    def _forget(self) -> None:
        self._world.observer.forgets(self.server.link("XRANGE", self.keys.events, "-", "+"))


@cache
def _known(text: str) -> tuple[str, str]:
    """The name and the SHA-1 of a script; its own part comes last in it."""
    for path in LUA.glob("*.lua"):
        if text.endswith(path.read_text(encoding="utf-8")):
            return path.stem, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    raise ValueError("not one of our scripts")
