"""A child: the process in which handlers run, one task at a time.

Its first packet says which handlers it imports. Then packets are jobs, and each number that comes through a pipe lets
it begin one of them; it tells what the handler printed and one outcome before it looks for the next number. It ends
when the pool's end of that pipe is closed, and is killed when its guard dies.
"""

import contextlib
import faulthandler
import fcntl
import os
import socket
import sys
import threading
import time
from collections import deque
from typing import Any

from _yadtq import calls, context, packets
from _yadtq.errors import BadHandler, NotInMain
from _yadtq.failure import Failure
from _yadtq.handlers import Handler, MainScript, load
from _yadtq.output import Budget, LineWriter, text_stream
from _yadtq.reports import Telling
from _yadtq.starts import Permits

# Lines are gathered into packets of about this size.
_PRINTED_BYTES = packets.INLINE_BYTES // 2
# A handler that closes what it did not open, and then opens a file, gets the lowest number that is free: never ours.
_LOWEST_DESCRIPTOR = 100


class Output:
    """Catches what is printed in this child, and sends it line by line with the number of the job that runs."""

    def __init__(self, telling: Telling) -> None:
        self._telling = telling
        self._lock = threading.RLock()  # handlers may print from several threads, and from signal handlers
        self._number = 0
        self._budget = Budget()
        self._writers = [LineWriter(1, self._send), LineWriter(2, self._send)]
        self._stdout, self._stderr = map(text_stream, self._writers)
        sys.stdout, sys.stderr = self._stdout, self._stderr
        # What the interpreter itself says of a fatal error goes through the pipe.
        faulthandler.enable(2)

    def begin(self, number: int) -> None:
        """From here on lines belong to job `number`."""
        self._number = number

    def finish(self) -> int:
        """Sends what is left of the job's lines; returns how many were left out."""
        stdout, stderr = self._writers
        if not (stdout.is_touched or stderr.is_touched):
            self._number = 0
            return 0
        for index, stream in enumerate((self._stdout, self._stderr)):
            if stream.closed:
                self._renew(index)
            else:
                stream.flush()
            self._writers[index].finish()
        self._number = 0
        left_out, self._budget = self._budget.left_out, Budget()
        return left_out

    def _renew(self, index: int) -> None:
        """A handler has closed sys.stdout or sys.stderr; the next one finds it open."""
        writer = self._writers[index] = LineWriter(index + 1, self._send)
        stream = text_stream(writer)
        if index == 0:
            self._stdout = sys.stdout = stream
        else:
            self._stderr = sys.stderr = stream

    def _send(self, stream: int, lines: list[str]) -> None:
        with self._lock:
            was_full = self._budget.left_out > 0
            lines = self._budget.admit(lines)
            packet: list[str] = []
            size = 0
            for line in lines:
                packet.append(line)
                size += len(line)
                if size > _PRINTED_BYTES:
                    self._telling.tell(packets.pack_printed(self._number, stream, packet))
                    packet, size = [], 0
            if packet:
                self._telling.tell(packets.pack_printed(self._number, stream, packet))
            if self._budget.left_out and not was_full:
                self._telling.tell(packets.pack_note(packets.FULL, self._number))


class Child:
    """Serves jobs until the pipe that permits them is closed.

    link: the socket that brings setup and jobs.
    """

    def __init__(self, link: socket.socket, permits: Permits, telling: Telling) -> None:
        self._telling = telling
        self._output = Output(telling)
        self._receiver = packets.Receiver(link)
        self._permits = permits
        self._received: deque[packets.Work] = deque()  # not begun; what is not permitted was taken back
        self._callees: dict[str, calls.Callee] = {}
        self._process = os.getpid()

    def prepare(self) -> bool:
        """Imports the handlers that the first packet names, and says how that went."""
        setup = packets.unpack_note(self._receiver.receive())
        sys.path[:], sys.argv[:] = setup["path"], setup["argv"]
        handlers = [Handler(name, module, qualname, None, exact) for name, module, qualname, exact in setup["handlers"]]
        try:
            functions = load(handlers, MainScript(**setup["main"]))
        except (BadHandler, NotInMain) as error:
            self._output.finish()
            self._telling.tell(packets.pack_note(packets.BROKEN, 0, [type(error).__name__, str(error)]))
            return False
        plain = calls.PlainJson()
        exact = calls.ExactJson() if any(handler.exact for handler in handlers) else plain
        for handler in handlers:
            function = functions[handler.name]
            self._callees[handler.name] = calls.Callee(handler.name, function, exact if handler.exact else plain)
        self._output.finish()
        self._telling.tell(packets.pack_note(packets.READY))
        return True

    def serve(self) -> None:
        """Runs job after job."""
        while number := self._permits.next():
            outcome = self._run(self._find(number))
            try:
                self._telling.tell(packets.pack_outcome(outcome))
            except OSError as error:
                if outcome.result is None:
                    raise
                # No descriptor or memory is left for a large result; the failure is small.
                failure = Failure("ResultNotSent", str(error))
                lost = packets.Outcome(number, outcome.began_at, outcome.ended_at, None, failure)
                self._telling.tell(packets.pack_outcome(lost))

    def _find(self, number: int) -> packets.Work:
        """The job that may begin. Those before it were taken back, for jobs are permitted in the order of sending."""
        while True:
            while self._received:
                work = self._received.popleft()
                if work.number == number:
                    return work
            packet = self._receiver.receive()
            if not packet:
                raise ConnectionError("the pool is gone")
            self._received.extend(packets.unpack_jobs(packet))

    def _run(self, work: packets.Work) -> packets.Outcome:
        number, attempt, task_id, task, args, kwargs = work
        self._output.begin(number)
        context.begin_task(task_id, attempt)
        callee = self._callees.get(task)
        began_at = time.monotonic()
        text, failure, retryable = callee.call(args, kwargs) if callee else _unknown(task, self._callees)
        ended_at = time.monotonic()
        if os.getpid() != self._process:
            os._exit(0)  # the handler forked and returned in the copy, which may neither report nor go on
        context.end_task()
        return packets.Outcome(number, began_at, ended_at, text, failure, retryable, self._output.finish())


def _unknown(task: str, known: dict[str, Any]) -> calls.Result:
    shown = task if len(task) <= 200 else task[:199] + "…"
    names = ", ".join(sorted(known)[:20])
    return calls.Result(None, Failure("UnknownTask", f"this worker has no task named {shown!r}; it has {names}"))


def _out_of_the_way(descriptor: int) -> int:
    """The same under a high number, and not inherited by what handlers start."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _LOWEST_DESCRIPTOR)
    os.close(descriptor)
    return moved


def main() -> None:
    """Started by the guard; the last arguments are descriptors: of the socket, and of the pipes in and out."""
    link, starts, reports = [_out_of_the_way(int(argument)) for argument in sys.argv[-3:]]
    near = socket.socket(fileno=link)
    child = Child(near, Permits(starts), Telling(reports, near))
    # The worker has gone, or is stopping this child: there is nobody to tell.
    with contextlib.suppress(KeyboardInterrupt, ConnectionError):
        if child.prepare():
            child.serve()
