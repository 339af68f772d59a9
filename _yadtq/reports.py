"""What a child tells its pool: packets, framed one behind the other in a pipe.

A frame is a packet's length and the packet. Up to PIPE_BUF bytes it is one atomic write, from whatever thread or signal
handler, so a process that dies leaves whole frames only; the pool reads many at once. A larger packet goes through the
child's socket first, and a frame of length 0 then tells when its turn is.
"""

import contextlib
import os
import select
import socket
import struct
import threading
from collections.abc import Iterator

from _yadtq import packets

_LENGTH = struct.Struct("<H")
_MOST_FRAMED = select.PIPE_BUF - _LENGTH.size
_BESIDE = _LENGTH.pack(0)
_PIPE_BYTES = 65536


class Telling:
    """The child's side. pipe: the writing end. link: the socket for what is large."""

    def __init__(self, pipe: int, link: socket.socket) -> None:
        self._pipe = pipe
        self._link = link
        self._lock = threading.RLock()  # also a signal handler may tell something

    def tell(self, packet: bytes) -> None:
        """Sends one packet whole; waits until there is room. Raises OSError, and has then sent nothing."""
        if len(packet) <= _MOST_FRAMED:
            os.write(self._pipe, _LENGTH.pack(len(packet)) + packet)
            return
        with self._lock:
            packets.send(self._link, packet)
            os.write(self._pipe, _BESIDE)


class Reports:
    """The pool's side: the pipe of one child. Never waits.

    It keeps the writing end too, so that the pipe has no end to be heard again and again while the child is buried.
    """

    def __init__(self, link: socket.socket) -> None:
        """link: the socket for what is large. Raises OSError."""
        self._reading, self._writing = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._reading, False)  # the child, at the other end, waits
        self._receiver = packets.Receiver(link)
        self._part = b""

    @property
    def far_end(self) -> int:
        """What the child gets."""
        return self._writing

    def fileno(self) -> int:
        return self._reading

    def heard(self) -> Iterator[bytes]:
        """A bounded number of the next packets. Raises BadPacket."""
        data = self._part
        with contextlib.suppress(BlockingIOError):
            data += os.read(self._reading, _PIPE_BYTES)
        start, end = 0, len(data)
        try:
            while start + _LENGTH.size <= end:
                (length,) = _LENGTH.unpack_from(data, start)
                content = start + _LENGTH.size
                if length > _MOST_FRAMED:
                    start = end  # nobody knows where the next frame begins
                    raise packets.BadPacket("it is longer than a frame can be")
                if content + length > end:
                    break
                start = content + length
                yield data[content:start] if length else self._beside()
        finally:
            self._part = data[start:]

    def last_words(self) -> Iterator[bytes]:
        """What a dead child had sent beside the pipe, and died before it could say so. Raises BadPacket."""
        while True:
            try:
                yield self._receiver.receive()
            except BlockingIOError:
                return

    def _beside(self) -> bytes:
        try:
            return self._receiver.receive()
        except BlockingIOError as error:
            raise packets.BadPacket("it announces a packet that was not sent") from error

    def close(self) -> None:
        os.close(self._reading)
        os.close(self._writing)
