"""What programs say to Redis: recorded call by call on its way, and said again by one connection, each call timed."""

import contextlib
import hashlib
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import hiredis

from _yadtq.scripts import LUA, PARTS, script
from tests.support.front import Front

CHUNK = 1 << 18
# They are about the connection, and change nothing.
UNRECORDED = frozenset({"HELLO", "AUTH", "SELECT", "CLIENT", "PING", "INFO", "QUIT"})
SUBSCRIBING = frozenset({"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"})


@dataclass(frozen=True, slots=True)
class Call:
    """One request. name: of its script, else the command in small letters. request: as it goes over the wire."""

    name: str
    request: bytes


class _Talk:
    """One connection, of which whole requests or replies are read."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = connection
        self._reader = hiredis.Reader(notEnoughData=Ellipsis)

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def next(self) -> tuple[Any, bytes]:
        """The next message, and what had to be read for it. Raises ConnectionError."""
        raw = b""
        while (message := self._reader.gets()) is Ellipsis:
            data = self.connection.recv(CHUNK)
            if not data:
                raise ConnectionError("the other end has closed the connection")
            raw += data
            self._reader.feed(data)
        return message, raw


class RecordingProxy(Front):
    """Stands before a Redis. Requests pass it one at a time, so that what it has recorded is what happened, in order.

    A request that waits in Redis (XREAD with BLOCK) lets others pass; it is recorded, without waiting, when it is
    answered, and not at all when it has waited in vain.
    """

    def __init__(self, redis_port: int) -> None:
        self.calls: list[Call] = []
        self._upstream = ("127.0.0.1", redis_port)
        self._turn = threading.Lock()
        super().__init__("recording-proxy")

    def serve(self, accepted: socket.socket) -> None:
        with accepted, socket.create_connection(self._upstream) as connected:
            client, server = _Talk(accepted), _Talk(connected)
            with contextlib.suppress(OSError):
                while True:
                    request, _ = client.next()
                    if _command(request) in SUBSCRIBING:
                        server.send(packed(request))
                        _pass_on(client.connection, server.connection)
                        return
                    client.send(self._ask(server, request))

    def _ask(self, server: _Talk, request: list[bytes]) -> bytes:
        if _waits(request):
            server.send(packed(request))
            reply, raw = server.next()
            with self._turn:
                if reply is not None:
                    self._record(without_waiting(request))
            return raw
        with self._turn:
            server.send(packed(request))
            reply, raw = server.next()
            if not isinstance(reply, hiredis.ReplyError):  # then nothing was done
                self._record(request)
            return raw

    def _record(self, request: list[bytes]) -> None:
        if _command(request) == "EVAL":
            request = [b"EVALSHA", hashlib.sha1(request[1], usedforsecurity=False).hexdigest().encode(), *request[2:]]
        if _command(request) not in UNRECORDED:
            self.calls.append(Call(name_of(request), packed(request)))


def _pass_on(client: socket.socket, server: socket.socket) -> None:
    """Carries bytes both ways, until one end closes."""

    def carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    back = threading.Thread(target=carry, args=(server, client), name="recording-proxy-back", daemon=True)
    back.start()
    carry(client, server)
    back.join()


# -- requests


def _command(request: Sequence[bytes]) -> str:
    return request[0].decode().upper()


def _waits(request: Sequence[bytes]) -> bool:
    return _command(request) == "XREAD" and any(part.upper() == b"BLOCK" for part in request)


def without_waiting(request: list[bytes]) -> list[bytes]:
    """An XREAD that answers at once."""
    place = next(place for place, part in enumerate(request) if part.upper() == b"BLOCK")
    return request[:place] + request[place + 2 :]


def packed(request: Sequence[bytes]) -> bytes:
    """A request as it goes over the wire."""
    parts = [b"*%d\r\n" % len(request)]
    for part in request:
        parts += (b"$%d\r\n" % len(part), part, b"\r\n")
    return b"".join(parts)


@cache
def _scripts() -> dict[bytes, str]:
    shared = {part for parts in PARTS.values() for part in parts}
    names = [path.stem for path in LUA.glob("*.lua") if path.stem not in shared]
    return {script(name)[1].encode(): name for name in names}


def name_of(request: Sequence[bytes]) -> str:
    """The name of the script that a request runs, or its command in small letters."""
    found = _scripts().get(request[1]) if len(request) > 1 else None
    return found or request[0].decode().lower()


# -- said again


def replay(port: int, calls: Sequence[Call]) -> dict[str, float]:
    """Says the calls again, one after the other, each when the one before is answered.

    Returns how many seconds they took, by name. Raises ReplyError, the first that Redis answers.
    """
    took: dict[str, float] = defaultdict(float)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        talk = _Talk(connection)
        for call in calls:
            began = time.perf_counter()
            talk.send(call.request)
            reply, _ = talk.next()
            took[call.name] += time.perf_counter() - began
            if isinstance(reply, hiredis.ReplyError):
                raise reply
    return took
