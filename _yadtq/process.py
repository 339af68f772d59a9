"""The pool's ends of the processes that it started: the guard, and each child.

Nothing here blocks. Jobs wait in the socket that the child reads, until their numbers, which come through a pipe, let
it begin them (starts.py); what it has to tell comes through another pipe (reports.py).
"""

import contextlib
import os
import resource
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from _yadtq import guard, packets
from _yadtq.jobs import Job
from _yadtq.output import Lines
from _yadtq.reports import Reports
from _yadtq.starts import MOST_NUMBERS, Starts

# Bounds the work of one round, so that the other children get their turn.
_OUTPUT_BYTES = 65536
_PIPE_READS = 16
_DESCRIPTORS_A_CHILD, _OTHER_DESCRIPTORS = 10, 256
_PACKAGE_FOLDER = str(Path(__file__).resolve().parent.parent)
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from _yadtq.child import main; main()"


@dataclass(frozen=True, slots=True)
class Born:
    """The guard has started child `number`. handle: descriptor of the process, now the receiver's."""

    number: int
    handle: int


@dataclass(frozen=True, slots=True)
class Dead:
    """Child `number` is dead and reaped, and so is what it had started. reason: for a person."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Fired:
    """The guard is killing all children and then itself."""

    reason: str


class GuardProcess:
    """The guard as its pool sees it. Requests may come from any thread; `receive` belongs to one."""

    def __init__(self) -> None:
        """Starts the guard. Raises OSError when the machine cannot."""
        self._link, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._link.setblocking(False)
        far.setblocking(True)
        command = [sys.executable, "-I", "-S", guard.__file__, str(far.fileno()), str(os.getpid()), *_child_command()]
        with far:
            self._process = subprocess.Popen(
                command,
                pass_fds=[far.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def fileno(self) -> int:
        return self._link.fileno()

    def spawn(self, child: "ChildProcess") -> bool:
        """Asks for a child; False when the guard takes no requests now."""
        return self._ask(guard.NUMBER.pack(guard.SPAWN, child.number), child.far_ends)

    def confirm(self, deadline: float) -> None:
        """Children may live until this instant of CLOCK_BOOTTIME."""
        self._ask(guard.INSTANT.pack(guard.CONFIRM, deadline))

    def kill_child(self, number: int) -> bool:
        """Asks for a child's death; False when the guard takes no requests now."""
        return self._ask(guard.NUMBER.pack(guard.KILL, number))

    def fire(self) -> None:
        """Ends all children and the guard."""
        if not self._ask(guard.FIRE):
            self.kill()

    def kill(self) -> None:
        """Kills the guard; the kernel kills its children."""
        self._process.kill()

    def is_stopped(self) -> bool:
        """Whether somebody has stopped it with a signal, so that it guards nothing."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        except OSError:
            return False  # it has ended; its link tells that
        return state.split()[0] == "T"

    def receive(self) -> Iterator[Born | Dead | Fired]:
        """What the guard has told. Raises EOFError when it is gone."""
        while True:
            try:
                message, descriptors = guard.receive(self._link)
            except BlockingIOError:
                return
            except OSError as error:
                raise EOFError from error
            kind = message[:1]
            if kind == guard.BORN:
                yield Born(guard.NUMBER.unpack(message)[1], descriptors[0] if descriptors else -1)
            elif kind == guard.DEAD:
                _, number, status = guard.DEATH.unpack(message)
                yield Dead(number, _death(status))
            elif kind == guard.FIRED:
                yield Fired(message[1:].decode())
            else:
                raise EOFError

    def wait(self) -> str:
        """Waits for its end, which must be near, and says how it ended."""
        status = self._process.wait()
        return f"was killed by {_signal_name(-status)}" if status < 0 else f"ended with exit code {status}"

    def close(self) -> None:
        self._link.close()

    def _ask(self, message: bytes, descriptors: tuple[int, ...] = ()) -> bool:
        try:
            guard.send(self._link, message, descriptors)
        except OSError:
            return False  # gone, which the reader sees, or stopped, which its check sees
        return True


class ChildProcess:
    """One child as its pool sees it.

    number: its name. reports: what it tells; that and `output` belong to the reader thread. Jobs are sent under the
    pool's lock.
    """

    def __init__(self, number: int, setup: bytes) -> None:
        """Prepares sockets and pipes; the child's first packet will be `setup`. Raises OSError."""
        self.number = number
        self.pipes: dict[int, int] = {}  # reading end → the child's descriptor
        self._write_ends: list[int] = []
        self._lines = {1: Lines(), 2: Lines()}
        self.handle = -1
        with contextlib.ExitStack() as opened:
            self._near, self._far = map(opened.enter_context, socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            self._near.setblocking(False)
            # The child shares this mode: it waits for packets. Here each call says for itself that it does not.
            self._far.setblocking(True)
            self._starts = opened.enter_context(contextlib.closing(Starts()))
            self.reports = opened.enter_context(contextlib.closing(Reports(self._near)))
            opened.callback(self._close_descriptors)
            for descriptor in self._lines:
                reading, writing = os.pipe2(os.O_CLOEXEC)
                os.set_blocking(reading, False)
                self.pipes[reading] = descriptor
                self._write_ends.append(writing)
            packets.send(self._near, setup)
            self._opened = opened.pop_all()

    @property
    def far_ends(self) -> tuple[int, ...]:
        """What the child gets: its socket, the pipes of numbers and reports, stdout and stderr."""
        return (self._far.fileno(), self._starts.far_end, self.reports.far_end, *self._write_ends)

    def handed_over(self) -> None:
        """The guard has the far ends; ours of the pipes would hide that the child has closed its own."""
        self._starts.handed_over()
        while self._write_ends:
            os.close(self._write_ends.pop())

    def send(self, jobs: Sequence[tuple[int, Job]]) -> int:
        """Hands over numbered jobs, in order; returns how many. Those behind may never begin, and are sent anew."""
        sent = 0
        with contextlib.suppress(OSError):  # full, or no descriptor free for a large job: tried again later
            for count, packet in packets.pack_jobs(jobs[:MOST_NUMBERS]):
                packets.send(self._near, packet)
                sent += count
        return sent if self._starts.permit([number for number, _ in jobs[:sent]]) else 0

    def take_back(self) -> set[int]:
        """Takes the right to begin from every job that the child has not begun; returns their numbers."""
        return self._starts.take_back()

    def clear(self) -> None:
        """Makes room in the socket. Only while the child may begin nothing, for then it reads no job either."""
        with contextlib.suppress(BlockingIOError):
            while self._far.recv(1, socket.MSG_DONTWAIT):
                continue

    def output(self, pipe: int) -> list[str] | None:
        """The next lines that came through a pipe without sys.stdout; None when it has ended."""
        lines = self._lines[self.pipes[pipe]]
        try:
            data = os.read(pipe, _OUTPUT_BYTES)
        except BlockingIOError:
            return []
        return lines.feed(data) if data else None

    def rest_of_output(self) -> Iterator[tuple[int, list[str]]]:
        """All that is left in the pipes of a dead child, and lines that it did not end: descriptor, lines."""
        for pipe, descriptor in self.pipes.items():
            lines = self._lines[descriptor]
            for _ in range(_PIPE_READS):  # what it had started may still print
                with contextlib.suppress(BlockingIOError):
                    if data := os.read(pipe, _OUTPUT_BYTES):
                        yield descriptor, lines.feed(data)
                        continue
                break
            yield descriptor, lines.rest()

    def close_pipe(self, pipe: int) -> None:
        del self.pipes[pipe]
        os.close(pipe)

    def await_death(self) -> None:
        """Returns when the process is dead for certain; it must have been killed."""
        if self.handle >= 0:
            poller = select.poll()
            poller.register(self.handle, select.POLLIN)
            poller.poll()

    def close(self) -> None:
        """Closes every descriptor. The process must be dead."""
        self._opened.close()

    def _close_descriptors(self) -> None:
        self.handed_over()
        for pipe in list(self.pipes):
            self.close_pipe(pipe)
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1


def _child_command() -> list[str]:
    # multiprocessing starts its children with the same private function: -O, -W, -X and the like.
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return [sys.executable, *flags, "-P", "-c", _BOOT, _PACKAGE_FOLDER]


def allow_descriptors(children: int) -> None:
    """Raises this process' limit of open files, as far as it may, to what so many children need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OTHER_DESCRIPTORS + _DESCRIPTORS_A_CHILD * children
    if soft != resource.RLIM_INFINITY and soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _death(status: int) -> str:
    if status == guard.NOT_STARTED:
        return "could not be started: the machine has no room for another process"
    if os.WIFSIGNALED(status):
        return f"was killed by {_signal_name(os.WTERMSIG(status))}"
    return f"exited with code {os.WEXITSTATUS(status)}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
