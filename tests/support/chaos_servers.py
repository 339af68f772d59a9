"""Kafka and Redis as the chaos tests have them: private ones that can be killed, and ways to them that can be cut."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import threading
from collections.abc import Mapping
from pathlib import Path

import redis

from local.embedded_server import EmbeddedServer, Place
from local.kafka_jars import kafka_jars
from local.kafka_server import KafkaServer
from local.ports import free_port
from local.redis_server import RedisServer
from tests.support.servers import JARS

CHUNK = 1 << 16


class _Killable(EmbeddedServer):
    def kill(self) -> None:
        """SIGKILL; returns when the process is gone. Does nothing when it does not run."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


class ChaosRedis(_Killable, RedisServer):
    """Writes what it has answered to the file at once, so that a kill of its process loses nothing.

    Synced each second, as it is else, it may hold writes back for up to two seconds while the disk is busy: a Redis
    that comes back with less than it had is another fault. environment: what its process is given.
    """

    def __init__(self, place: Place, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(place)
        self._environment = environment or {}

    @property
    def pid(self) -> int:
        """The number of its process, which must have been started."""
        assert self._process is not None
        return self._process.pid

    def prepare(self) -> list[str]:
        given = [f"{name}={value}" for name, value in self._environment.items()]
        return ["env", *given, *super().prepare(), "--appendfsync", "no"]

    def connection(self) -> redis.Redis:
        """A connection past all proxies. Use it as a context."""
        return redis.Redis("127.0.0.1", self.place.port, decode_responses=True)

    # -- its disk

    def fill_disk(self) -> None:
        """From now on its files cannot grow: the kernel refuses it to this process, as a full disk does."""
        _, most = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        end = max(path.stat().st_size for path in self._files().glob("*.incr.aof"))
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (end, most))

    def free_disk(self) -> None:
        """There is room again."""
        _, most = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (most, most))

    def disk_is_well(self) -> bool:
        """Whether its last write was kept."""
        with self.connection() as connection:
            return bool(connection.info("persistence")["aof_last_write_status"] == "ok")

    # -- its files

    def copy(self, target: Path) -> None:
        """Copies its files while it runs: all that it has answered until now is in them."""
        while True:
            before = self._manifest()
            shutil.rmtree(target, ignore_errors=True)
            try:
                shutil.copytree(self._files(), target)
            except (OSError, shutil.Error):
                continue  # it has just begun a new file and removed an old one
            if self._manifest() == before:
                return

    def replace(self, source: Path | None) -> None:
        """Puts other files in the place of its own; None: none. It must not run."""
        shutil.rmtree(self._files(), ignore_errors=True)
        if source is not None:
            shutil.copytree(source, self._files())

    def _files(self) -> Path:
        return self.place.home / "appendonlydir"

    def _manifest(self) -> str:
        return next(self._files().glob("*.manifest")).read_text(encoding="ascii")


class ChaosKafka(_Killable, KafkaServer):
    """Has a second listener, whose clients all come through a proxy: that is the address which it tells them."""

    def __init__(self, place: Place, jars: Path) -> None:
        super().__init__(place, jars)
        self.proxy = TcpProxy(("127.0.0.1", free_port()))

    def _write_properties(self, name: str, data: Path) -> Path:
        path = super()._write_properties(name, data)
        added = {
            "listeners=": f"PROXIED://127.0.0.1:{self.proxy.upstream[1]}",
            "advertised.listeners=": f"PROXIED://127.0.0.1:{self.proxy.port}",
            "listener.security.protocol.map=": "PROXIED:PLAINTEXT",
        }
        lines = path.read_text(encoding="utf-8").splitlines()
        lines = [",".join([line, *(more for key, more in added.items() if line.startswith(key))]) for line in lines]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path


def chaos_kafka(folder: Path) -> ChaosKafka:
    """A Kafka that is not started yet. Raises StartFailed when its jars cannot be had."""
    return ChaosKafka(Place(folder / "kafka", folder / "kafka.log", free_port()), kafka_jars(JARS))


def chaos_redis(folder: Path, name: str = "redis", environment: Mapping[str, str] | None = None) -> ChaosRedis:
    """A Redis that is not started yet. name: of its folder and its log."""
    return ChaosRedis(Place(folder / name, folder / f"{name}.log", free_port()), environment)


class TcpProxy:
    """A proxy on loopback that understands nothing of what it carries. port: what programs connect to (0: any)."""

    def __init__(self, upstream: tuple[str, int], port: int = 0) -> None:
        self.upstream = upstream
        self._refusing = self._mute = False
        self._delay = 0.0
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="tcp-proxy", daemon=True).start()

    def refuse(self, refuse: bool) -> None:
        """Cuts all connections and serves no new one. False: as before."""
        self._refusing = refuse
        if refuse:
            self.cut()

    def mute(self, mute: bool) -> None:
        """Takes what comes, and carries nothing. False: as before, for new connections; the mute ones are cut."""
        self._mute = mute
        if not mute:
            self.cut()

    def delay(self, seconds: float) -> None:
        """Carries each answer so much later."""
        self._delay = seconds

    def cut(self) -> None:
        """Cuts all connections."""
        with self._lock:
            sockets = list(self._sockets)
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Takes no more connections, and cuts those there are."""
        self._closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            if self._refusing:
                client.close()
                continue
            try:
                server = socket.create_connection(self.upstream, 5)
            except OSError:
                client.close()  # the server is away: so are we
                continue
            server.settimeout(None)
            with self._lock:
                self._sockets |= {client, server}
            ends = threading.Barrier(2)
            for source, target, is_answer in ((client, server, False), (server, client, True)):
                threading.Thread(
                    target=self._carry, args=(source, target, is_answer, ends), name="tcp-proxy-link", daemon=True
                ).start()

    def _carry(self, source: socket.socket, target: socket.socket, is_answer: bool, ends: threading.Barrier) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                if is_answer and self._delay:
                    self._closed.wait(self._delay)
                if not self._mute:
                    target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        ends.wait()  # the other thread still uses both until its own end
        with self._lock:
            self._sockets.discard(source)
        source.close()
