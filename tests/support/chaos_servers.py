"""Kafka and Redis as the chaos tests have them: private ones that can be killed, and ways to them that can be cut."""

import contextlib
import os
import signal
import socket
import threading
from pathlib import Path

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

    Synced each second, as it is else, it may hold writes back for up to two seconds while the disk is busy. A Redis
    that comes back with less than it had is another fault, which is not among these.
    """

    def prepare(self) -> list[str]:
        return [*super().prepare(), "--appendfsync", "no"]


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


def chaos_redis(folder: Path) -> ChaosRedis:
    """A Redis that is not started yet."""
    return ChaosRedis(Place(folder / "redis", folder / "redis.log", free_port()))


class TcpProxy:
    """A proxy on loopback that understands nothing of what it carries. port: what programs connect to."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.upstream = upstream
        self._refusing = self._mute = False
        self._delay = 0.0
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
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
