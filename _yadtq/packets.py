"""The packets between a pool and its children: some jobs, one outcome or some printed lines each.

A packet begins with its kind (one byte) and the number of the job that it is about (0: none). A large one travels in a
memory file: what is sent then is just this head, with the kind in lower case, and the file's descriptor.
"""

import array
import json
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from _yadtq.failure import Failure
from _yadtq.jobs import Job

SETUP, JOBS = b"S", b"J"
READY, BROKEN, OUTCOME, PRINTED, FULL = b"R", b"B", b"O", b"P", b"F"

HEAD = struct.Struct("<cQ")
_JOBS = struct.Struct("<cQI")
_JOB = struct.Struct("<QIIIII")
_OUTCOME = struct.Struct("<cQddBI")
_PRINTED = struct.Struct("<cQB")
_SUCCEEDED, _RETRYABLE = 1, 2
# Larger packets would fill a socket's buffer (about 200 KB) with a few jobs.
INLINE_BYTES = 32_000
# Jobs share a packet up to this size: with characters of four bytes, too, it needs no memory file.
_SHARED_CHARACTERS = 7_000
_ONE_DESCRIPTOR = socket.CMSG_SPACE(array.array("i").itemsize)


class BadPacket(Exception):
    """A packet that the other side cannot have meant."""


class Work(NamedTuple):
    """A job as its child gets it."""

    number: int
    attempt: int
    task_id: str
    task: str
    args: str
    kwargs: str


class Outcome(NamedTuple):
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


def pack_jobs(jobs: Iterable[tuple[int, Job]]) -> Iterator[tuple[int, bytes]]:
    """Numbered jobs as their child gets them: packets, each after the number of jobs in it."""
    heads: list[bytes] = []
    texts: list[str] = []
    first = size = 0
    for number, job in jobs:
        parts = (job.task_id, job.task, job.args, job.kwargs)
        lengths = [len(part) for part in parts]
        added = sum(lengths) + _JOB.size
        if heads and size + added > _SHARED_CHARACTERS:
            yield len(heads), _jobs_packet(first, heads, texts)
            heads, texts, size = [], [], 0
        first = first if heads else number
        heads.append(_JOB.pack(number, job.attempt, *lengths))
        texts += parts
        size += added
    if heads:
        yield len(heads), _jobs_packet(first, heads, texts)


def _jobs_packet(first: int, heads: list[bytes], texts: list[str]) -> bytes:
    head = _JOBS.pack(JOBS, first, len(heads))
    return b"".join((head, *heads, "".join(texts).encode("utf-8", "surrogatepass")))


def unpack_jobs(packet: bytes) -> Iterator[Work]:
    """The jobs of a packet, in order."""
    count: int = _JOBS.unpack_from(packet)[2]
    heads_end = _JOBS.size + count * _JOB.size
    text = packet[heads_end:].decode("utf-8", "surrogatepass")
    start = 0
    for number, attempt, *lengths in _JOB.iter_unpack(packet[_JOBS.size : heads_end]):
        middle = start + lengths[0]
        args = middle + lengths[1]
        kwargs = args + lengths[2]
        end = kwargs + lengths[3]
        yield Work(number, attempt, text[start:middle], text[middle:args], text[args:kwargs], text[kwargs:end])
        start = end


def pack_outcome(outcome: Outcome) -> bytes:
    """An outcome as the pool gets it."""
    number, began_at, ended_at, result, failure, retryable, left_out = outcome
    flags = (_SUCCEEDED if failure is None else 0) | (_RETRYABLE if retryable else 0)
    head = _OUTCOME.pack(OUTCOME, number, began_at, ended_at, flags, left_out)
    if failure is None:
        return head + (result or "null").encode()
    texts = (failure.type, failure.message, failure.traceback)
    # A lone half of a character pair could be neither stored nor shown.
    return head + json.dumps([text.encode("utf-8", "backslashreplace").decode() for text in texts]).encode()


def unpack_outcome(packet: bytes) -> Outcome:
    """Raises BadPacket."""
    try:
        _, number, began_at, ended_at, flags, left_out = _OUTCOME.unpack_from(packet)
        content = packet[_OUTCOME.size :].decode()
        if flags & _SUCCEEDED:
            return Outcome(number, began_at, ended_at, content, None, False, left_out)
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
