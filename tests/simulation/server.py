"""The real Redis of the simulation: one small server of its own on a Unix socket, without a file on disk.

The scripts run as they are, with one change of their text: the time comes from the simulation and not from the server.
"""

import contextlib
import hashlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import hiredis

from local.redis_server import executable

SERVER_TIME, VIRTUAL_TIME = "redis.call('TIME')", "{math.floor(KEYS[2] / 1000), KEYS[2] % 1000 * 1000}"
START_SECONDS = 20.0
KEEP = """local kept = {}
for _, key in ipairs(redis.call('KEYS', '*')) do kept[#kept + 1] = key; kept[#kept + 1] = redis.call('DUMP', key) end
return kept"""

Part = str | bytes | int
Snapshot = list[bytes]


class ScriptFailed(AssertionError):
    """Redis has answered a call with an error."""


@cache
def on_virtual_time(text: str) -> str:
    """A script that takes the time from KEYS[2], milliseconds, instead of from the server."""
    if text.count(SERVER_TIME) != 1:
        raise ValueError(f"{SERVER_TIME} stands {text.count(SERVER_TIME)} times in a script, and not once")
    return text.replace(SERVER_TIME, VIRTUAL_TIME)


class Link:
    """A connection. decode: replies are text."""

    def __init__(self, path: Path, decode: bool = True) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        encoding, errors = ("utf-8", "backslashreplace") if decode else (None, None)
        self._reader = hiredis.Reader(encoding=encoding, errors=errors)

    def close(self) -> None:
        self._socket.close()

    def __call__(self, *command: Part) -> Any:
        """Sends a command and returns its reply. Raises ScriptFailed."""
        return self.several([command])[0]

    def several(self, commands: Sequence[tuple[Part, ...]]) -> list[Any]:
        """Sends commands at once and returns their replies."""
        self._socket.sendall(b"".join(_packed(command) for command in commands))
        replies = []
        for _ in commands:
            while (reply := self._reader.gets()) is False:
                received = self._socket.recv(1 << 16)
                if not received:
                    raise ConnectionError("the simulation's Redis has gone away")
                self._reader.feed(received)
            if isinstance(reply, hiredis.HiredisError):
                raise ScriptFailed(str(reply))
            replies.append(reply)
        return replies


def _packed(command: tuple[Part, ...]) -> bytes:
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # it takes a tuple of any length
    return packed


class Server:
    """What the simulation asks of Redis. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.link, self._raw = Link(path), Link(path, decode=False)
        self._loaded: dict[str, str] = {}  # text → SHA-1

    def close(self) -> None:
        self.link.close()
        self._raw.close()

    def clear(self) -> None:
        """Forgets all keys; scripts stay."""
        self.link("FLUSHDB")

    def script(self, text: str) -> str:
        """Loads a script once. Returns its SHA-1."""
        if text not in self._loaded:
            self._loaded[text] = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
            self.link("SCRIPT", "LOAD", text)
        return self._loaded[text]

    def keep(self) -> Snapshot:
        """All keys and their values."""
        kept: Snapshot = self._raw("EVAL", KEEP, 0)
        return kept

    def restore(self, kept: Snapshot) -> None:
        """All keys are again what they were."""
        pairs = zip(kept[::2], kept[1::2], strict=True)
        self._raw.several([("FLUSHDB",), *(("RESTORE", key, 0, value) for key, value in pairs)])


@contextlib.contextmanager
def started() -> Iterator[Server]:
    """A server for as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="yadtq-simulation-") as folder:
        path = Path(folder) / "redis.sock"
        options = ("--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no", "--dir", folder)
        process = subprocess.Popen([executable(), *options], stdout=subprocess.DEVNULL)
        try:
            server = Server(_listening(path, process))
            try:
                yield server
            finally:
                server.close()
        finally:
            process.terminate()
            process.wait(10)


def _listening(path: Path, process: "subprocess.Popen[bytes]") -> Path:
    """Waits until somebody answers there."""
    late_at = time.monotonic() + START_SECONDS
    while True:
        try:
            link = Link(path)
        except OSError:
            if time.monotonic() > late_at or process.poll() is not None:
                raise
            time.sleep(0.01)
        else:
            link.close()
            return path
