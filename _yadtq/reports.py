"""What a child tells its pool: packets, framed one behind the other in a pipe.

A frame is a packet's length and the packet. Up to PIPE_BUF bytes it is one atomic write, from whatever thread or signal
handler, so a process that dies leaves whole frames only; the pool reads many at once. A larger packet goes through the
child's socket first, and a marker then tells when its turn is: length 0 and the packet's head. Between the two steps a
signal handler may raise, and a forked copy may die: a packet without a marker comes with the next one that has one.
"""

import contextlib
import os
import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator

from _yadtq import packets

_LENGTH = struct.Struct("<H")
_MOST_FRAMED = select.PIPE_BUF - _LENGTH.size
_BESIDE = _LENGTH.pack(0)
_PIPE_BYTES = 65536
# Most of those that came before their turn have a marker that is on its way; a few never get one.
_MOST_EARLY = 1000


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
            os.write(self._pipe, _BESIDE + packet[: packets.HEAD.size])


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
        self._early: deque[bytes] = deque(maxlen=_MOST_EARLY)  # heads of packets that came before their turn

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
                frame_end = content + (length or packets.HEAD.size)
                if frame_end > end:
                    break
                start = frame_end
                if length:
                    yield data[content:start]
                else:
                    yield from self._beside(data[content:start])
        finally:
            self._part = data[start:]

    def last_words(self) -> Iterator[bytes]:
        """What a dead child had sent beside the pipe, and died before it could say so. Raises BadPacket."""
        while True:
            try:
                yield self._receiver.receive()
            except BlockingIOError:
                return

    def _beside(self, head: bytes) -> Iterator[bytes]:
        """The packet with this head, after those before it; nothing when it came before its turn. Raises BadPacket."""
        if head in self._early:
            self._early.remove(head)
            return
        found = b""
        while found != head:
            try:
                packet = self._receiver.receive()
            except BlockingIOError as error:
                raise packets.BadPacket("it announces a packet that was not sent") from error
            found = packet[: packets.HEAD.size]
            if found != head:
                self._early.append(found)
            yield packet

    def close(self) -> None:
        os.close(self._reading)
        os.close(self._writing)
