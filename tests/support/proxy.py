"""A small TCP proxy on loopback that stands between a program and Redis, and does to it what networks do.

It reads the Redis protocol as far as it must: where a request and a reply ends, and which script a request runs.
"""

import contextlib
import hashlib
import socket
import threading
from collections import Counter, deque
from collections.abc import Iterator
from typing import BinaryIO

from _yadtq.scripts import script

SCRIPTS = (
    "apply", "beat", "begin", "confirm", "leave", "list", "open", "register", "reset", "retry", "settle",
    "stats", "take", "tidy", "trim",
    "unpublished", "view", "watch", "withdraw", "workers",
)  # fmt: skip


class RedisProxy:
    """host, port: what a program is given as its Redis. Close it in the end (or use it as a context).

    swallowed: names of the scripts whose replies were swallowed, in order. calls: script → replies that arrived.
    """

    host = "127.0.0.1"

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.swallowed: list[str] = []
        self.calls: Counter[str] = Counter()
        self._upstream = upstream
        self._lock = threading.Lock()
        self._orders: dict[str, deque[str]] = {}  # script → what to do with its next replies: '' · cut · silence
        self._links: set[_Link] = set()
        self._mute, self._refusing, self._delay = False, False, 0.0
        self._released = threading.Event()  # set: nothing is held back any more, the proxy is closing
        self._listener = socket.create_server((self.host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._names = {script(name)[1]: name for name in SCRIPTS}
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def __enter__(self) -> "RedisProxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what it is told to do

    def swallow(self, name: str, nth: int = 1, times: int = 1, *, rounds: int = 1, silently: bool = False) -> None:
        """Swallows the replies of the calls nth … nth + times - 1 of a script, counted from now; so in each round.

        The script has run. Then the connection is cut, or, `silently`, left open without an answer.
        """
        with self._lock:
            one = [""] * (nth - 1) + ["silence" if silently else "cut"] * times
            self._orders[name] = deque(one * rounds)

    def pending(self) -> list[str]:
        """Scripts of which a reply is still to be swallowed."""
        with self._lock:
            return [name for name, orders in self._orders.items() if orders]

    def cut(self) -> None:
        """Cuts all connections; new ones are served."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.cut()

    def refuse(self, refuse: bool = True) -> None:
        """Cuts all connections, and serves no new one. False: as before."""
        self._refusing = refuse
        if refuse:
            self.cut()

    def mute(self, mute: bool = True) -> None:
        """Accepts connections and requests, and never answers; requests do not reach Redis. False: as before.

        Connections that were mute stay so.
        """
        self._mute = mute

    def delay(self, seconds: float) -> None:
        """Holds back every reply for so long."""
        self._delay = seconds

    def close(self) -> None:
        """Takes no more connections, and cuts those there are."""
        self._released.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    # -- what links ask

    def is_mute(self) -> bool:
        return self._mute

    def hold(self) -> None:
        """Waits as long as replies are held back."""
        if self._delay:
            self._released.wait(self._delay)

    def name_of(self, request: list[bytes]) -> str:
        """The script that a request runs, or ''."""
        command = request[0].upper() if request else b""
        if command == b"EVALSHA":
            return self._names.get(request[1].decode(), "")
        if command == b"EVAL":
            return self._names.get(hashlib.sha1(request[1], usedforsecurity=False).hexdigest(), "")
        return ""

    def fate(self, name: str, reply: bytes) -> str:
        """What becomes of the reply of a script: '' · cut · silence."""
        if not name or reply.startswith(b"-NOSCRIPT"):
            return ""
        with self._lock:
            self.calls[name] += 1
            orders = self._orders.get(name)
            what = orders.popleft() if orders else ""
            if what:
                self.swallowed.append(name)
            return what

    def ended(self, link: "_Link") -> None:
        with self._lock:
            self._links.discard(link)

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
                server = socket.create_connection(self._upstream, 5)
            except OSError:
                client.close()  # Redis is away: so are we
                continue
            server.settimeout(None)
            link = _Link(self, client, server)
            with self._lock:
                self._links.add(link)
            link.start()


class _Link:
    """One connection: a thread for each direction."""

    def __init__(self, proxy: RedisProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._asked: deque[str] = deque()  # the scripts of the requests that wait for their reply

    def start(self) -> None:
        for work in (self._requests, self._replies):
            threading.Thread(target=self._run, args=(work,), name="proxy-link", daemon=True).start()

    def cut(self) -> None:
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _run(self, work: object) -> None:
        assert callable(work)
        try:
            work()
        except (OSError, EOFError):
            pass  # one side has ended
        finally:
            self.cut()
            self._proxy.ended(self)

    def _requests(self) -> None:
        with self._client, self._client.makefile("rb") as stream:
            while True:
                request, raw = read_request(stream)
                if self._proxy.is_mute():
                    continue
                self._asked.append(self._proxy.name_of(request))
                self._server.sendall(raw)

    def _replies(self) -> None:
        with self._server, self._server.makefile("rb") as stream:
            while True:
                reply = read_frame(stream)
                what = self._proxy.fate(self._asked.popleft() if self._asked else "", reply)
                if what == "cut":
                    return
                self._proxy.hold()
                if not what:
                    self._client.sendall(reply)


def read_request(stream: BinaryIO) -> tuple[list[bytes], bytes]:
    """One request: its parts, and the bytes as they came. Raises EOFError, also for what is none (a TLS hello)."""
    head = _line(stream)
    if not head.startswith(b"*"):
        raise EOFError
    parts, raw = [], [head]
    for _ in range(int(head[1:])):
        frame = read_frame(stream)
        raw.append(frame)
        parts.append(frame.partition(b"\r\n")[2][:-2])
    return parts, b"".join(raw)


def read_frame(stream: BinaryIO) -> bytes:
    """One value of the protocol, with all that it contains, as bytes. Raises EOFError."""
    return b"".join(_frame(stream))


def _frame(stream: BinaryIO) -> Iterator[bytes]:
    open_values = 1
    while open_values:
        head = _line(stream)
        yield head
        open_values -= 1
        kind, size = head[:1], head[1:-2]
        if kind in b"$=!" and size != b"-1":
            yield _exactly(stream, int(size) + 2)
        elif kind in b"*~>" and size != b"-1":
            open_values += int(size)
        elif kind == b"%":
            open_values += 2 * int(size)


def _line(stream: BinaryIO) -> bytes:
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise EOFError
    return line


def _exactly(stream: BinaryIO, count: int) -> bytes:
    found = stream.read(count)
    if len(found) < count:
        raise EOFError
    return found
