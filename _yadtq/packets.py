"""The packets between a pool and its children: one job, one outcome or some printed lines each.

A packet begins with its kind (one byte) and the number of the job that it is about (0: none), so that a job can be
recognised when it is taken back unread. A large one travels in a memory file: the packet then holds just this head,
with the kind in lower case, and the file's descriptor.
"""

import array
import json
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from _yadtq.failure import Failure
from _yadtq.jobs import Job

SETUP, JOB = b"S", b"J"
READY, BROKEN, OUTCOME, PRINTED, FULL = b"R", b"B", b"O", b"P", b"F"

HEAD = struct.Struct("<cQ")
_JOB = struct.Struct("<cQIIII")
_OUTCOME = struct.Struct("<cQddBI")
_PRINTED = struct.Struct("<cQB")
_SUCCEEDED, _RETRYABLE = 1, 2
# Larger packets would fill a socket's buffer (about 200 KB) with a few jobs.
INLINE_BYTES = 32_000
_ONE_DESCRIPTOR = socket.CMSG_SPACE(array.array("i").itemsize)


class BadPacket(Exception):
    """A packet that the other side cannot have meant."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How job `number` ended. result: JSON text, or None with the failure. left_out: printed lines not sent."""

    number: int
    began_at: float
    ended_at: float
    result: str | None
    failure: Failure | None = None
    retryable: bool = False
    left_out: int = 0


def send(link: socket.socket, packet: bytes) -> None:
    """Sends one packet whole. Raises OSError, and has then sent nothing."""
    if len(packet) <= INLINE_BYTES:
        link.send(packet)
        return
    with open(os.memfd_create("yadtq", os.MFD_CLOEXEC), "wb", buffering=0) as file:
        view = memoryview(packet)
        while view:
            view = view[file.write(view) :]
        head = packet[:1].lower() + packet[1 : HEAD.size]
        socket.send_fds(link, [head], [file.fileno()])


class Receiver:
    """Reads packets from a socket into one buffer."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._buffer = bytearray(INLINE_BYTES)
        self._view = memoryview(self._buffer)

    def receive(self) -> bytes:
        """The next packet; b'' at the end. Raises BlockingIOError where the socket does not block, BadPacket."""
        size, ancillary, _, _ = self._link.recvmsg_into([self._buffer], _ONE_DESCRIPTOR, socket.MSG_CMSG_CLOEXEC)
        packet = bytes(self._view[:size])
        if ancillary:
            return _whole(packet, _descriptors(ancillary))
        if packet[:1].islower():
            raise BadPacket("its memory file was not received: this process has no free file descriptor")
        return packet


def _descriptors(ancillary: Sequence[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for _, _, data in ancillary:
        found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)


def _whole(head: bytes, descriptors: list[int]) -> bytes:
    """The packet in a memory file; its reading position is shared with the writer's, so it starts again."""
    with open(descriptors[0], "rb", buffering=0) as file:
        file.seek(0)
        packet = file.read()
    if packet[: HEAD.size] != head[:1].upper() + head[1:]:
        raise BadPacket("its memory file holds another packet")
    return packet


def pack_job(number: int, job: Job) -> bytes:
    """A job as its child gets it."""
    parts = [text.encode("utf-8", "surrogatepass") for text in (job.task_id, job.task, job.args, job.kwargs)]
    return b"".join((_JOB.pack(JOB, number, job.attempt, *map(len, parts[:3])), *parts))


def unpack_job(packet: bytes) -> tuple[int, int, str, str, str, str]:
    """→ number, attempt, task id, task, args, kwargs."""
    _, number, attempt, *lengths = _JOB.unpack_from(packet)
    texts, start = [], _JOB.size
    for length in (*lengths, len(packet)):
        texts.append(packet[start : start + length].decode("utf-8", "surrogatepass"))
        start += length
    task_id, task, args, kwargs = texts
    return number, attempt, task_id, task, args, kwargs


def pack_outcome(outcome: Outcome) -> bytes:
    """An outcome as the pool gets it."""
    flags = (_SUCCEEDED if outcome.failure is None else 0) | (_RETRYABLE if outcome.retryable else 0)
    head = _OUTCOME.pack(OUTCOME, outcome.number, outcome.began_at, outcome.ended_at, flags, outcome.left_out)
    if outcome.failure is None:
        return head + (outcome.result or "null").encode()
    failure = outcome.failure
    texts = (failure.type, failure.message, failure.traceback)
    # A lone half of a character pair could be neither stored nor shown.
    return head + json.dumps([text.encode("utf-8", "backslashreplace").decode() for text in texts]).encode()


def unpack_outcome(packet: bytes) -> Outcome:
    """Raises BadPacket."""
    try:
        _, number, began_at, ended_at, flags, left_out = _OUTCOME.unpack_from(packet)
        content = packet[_OUTCOME.size :].decode()
        if flags & _SUCCEEDED:
            return Outcome(number, began_at, ended_at, content, left_out=left_out)
        failure = Failure(*json.loads(content))
    except (struct.error, ValueError, TypeError) as error:
        raise BadPacket(str(error)) from error
    return Outcome(number, began_at, ended_at, None, failure, bool(flags & _RETRYABLE), left_out)


def pack_printed(number: int, stream: int, lines: list[str]) -> bytes:
    """Lines that were printed to descriptor `stream` while job `number` ran (0: none)."""
    return _PRINTED.pack(PRINTED, number, stream) + "\n".join(lines).encode()


def unpack_printed(packet: bytes) -> tuple[int, int, list[str]]:
    """→ number of the job, descriptor, lines. Raises BadPacket."""
    try:
        _, number, stream = _PRINTED.unpack_from(packet)
        return number, stream, packet[_PRINTED.size :].decode().split("\n")
    except (struct.error, ValueError) as error:
        raise BadPacket(str(error)) from error


def pack_note(kind: bytes, number: int = 0, content: Any = None) -> bytes:
    """A packet of another kind: its head, then JSON where it has content."""
    return HEAD.pack(kind, number) + (b"" if content is None else json.dumps(content).encode())


def unpack_note(packet: bytes) -> Any:
    """The JSON content of a packet of `pack_note`. Raises BadPacket."""
    try:
        return json.loads(packet[HEAD.size :])
    except ValueError as error:
        raise BadPacket(str(error)) from error
