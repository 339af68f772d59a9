"""The guard: a small process that starts a pool's children, and kills them when their worker cannot answer for them.

It runs by itself (`python -I -S guard.py …`), imports nothing of the project and runs no code of users, so nothing
that a handler does can hold it up. The pool (process.py) asks it over a socket; the guard

- starts each child in a session of its own, to die by the kernel's hand when the guard dies;
- kills every child, with all that it started, when its parent has died or when CLOCK_BOOTTIME passes the instant until
  which the parent last confirmed that children may live. Then it exits: it never starts another child;
- reports a death only after it has reaped the child and killed what the child had started.
"""

import array
import ctypes
import math
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence

# What the parent asks: start child N (with the descriptors that it gets), live until, kill child N, end all.
SPAWN, CONFIRM, KILL, FIRE = b"S", b"C", b"K", b"F"
# What the guard tells: child N runs (with a descriptor of its process), child N is dead, all children die now.
BORN, DEAD, FIRED = b"B", b"D", b"F"
NUMBER = struct.Struct("<cQ")
INSTANT = struct.Struct("<cd")
DEATH = struct.Struct("<cQi")
MESSAGE_BYTES = 200
_FIVE_DESCRIPTORS = socket.CMSG_SPACE(5 * array.array("i").itemsize)
NOT_STARTED = -1

DEADLINE, PARENT_GONE, ASKED = "its deadline passed", "its parent is gone", "its parent asked"

_SET_PDEATHSIG, _SET_SUBREAPER = 1, 36
_TIMER_FLAGS, _ABSOLUTE = os.O_CLOEXEC | os.O_NONBLOCK, 1
_MARK = "YADTQ_CHILD"
# A process that cannot be killed now (waiting for a disk) holds up a report no longer than this.
_SWEEP_SECONDS = 1.0

_libc = ctypes.CDLL(None, use_errno=True)


def send(link: socket.socket, message: bytes, descriptors: Sequence[int] = ()) -> None:
    """Sends a message with descriptors, without waiting. (socket.send_fds ignores its flags.)"""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    link.sendmsg([message], ancillary, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


def receive(link: socket.socket) -> tuple[bytes, list[int]]:
    """The next message and its descriptors, without waiting; b'' at the end. (socket.recv_fds ignores its flags.)"""
    flags = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
    message, ancillary, _, _ = link.recvmsg(MESSAGE_BYTES, _FIVE_DESCRIPTORS, flags)
    descriptors = array.array("i")
    for _, _, data in ancillary:
        descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return message, list(descriptors)


class Guard:
    """Owns the children. One thread; everything is non-blocking but the wait for something to do."""

    def __init__(self, link: socket.socket, parent: int, command: list[str]) -> None:
        self._link = link
        self._command = command
        self._children: dict[int, int] = {}  # process → number
        self._deadline = math.inf
        self._timer = _checked(_libc.timerfd_create(time.CLOCK_BOOTTIME, _TIMER_FLAGS))
        self._woken, wake = os.pipe2(_TIMER_FLAGS)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self._parent = os.pidfd_open(parent)
        self._poller = select.poll()
        for descriptor in (link.fileno(), self._timer, self._woken, self._parent):
            self._poller.register(descriptor, select.POLLIN)

    def run(self) -> str:
        """Serves until all children must die, kills them, and returns why."""
        while True:
            ready = {descriptor for descriptor, _ in self._poller.poll()}
            if self._woken in ready:
                os.read(self._woken, 65536)
            # What the parent has confirmed counts before the deadline does.
            reason = self._obey()
            self._bury()
            reason = reason or self._must_end(ready)
            if reason:
                self._fire(reason)
                return reason

    def _must_end(self, ready: set[int]) -> str:
        if self._parent in ready:
            return PARENT_GONE
        return DEADLINE if self._late() else ""

    def _late(self) -> bool:
        return time.clock_gettime(time.CLOCK_BOOTTIME) >= self._deadline

    def _obey(self) -> str:
        """Does what the parent has asked; returns why all must end, or ''."""
        while True:
            try:
                message, descriptors = receive(self._link)
            except BlockingIOError:
                return ""
            except OSError:
                return PARENT_GONE
            kind = message[:1]
            if kind == CONFIRM:
                self._confirm(INSTANT.unpack(message)[1])
            elif kind == SPAWN:
                if self._late():
                    return DEADLINE
                self._spawn(NUMBER.unpack(message)[1], descriptors)
            elif kind == KILL:
                self._kill(NUMBER.unpack(message)[1])
            else:
                return ASKED if kind == FIRE else PARENT_GONE

    def _confirm(self, deadline: float) -> None:
        self._deadline = deadline
        # A timer of this clock also goes off at the right moment when the machine slept meanwhile. Zero disarms it.
        fraction, whole = math.modf(min(max(deadline, 1.0), 2.0**40))
        setting = (ctypes.c_long * 4)(0, 0, int(whole), int(fraction * 1e9))
        _checked(_libc.timerfd_settime(self._timer, _ABSOLUTE, ctypes.byref(setting), None))

    def _spawn(self, number: int, descriptors: list[int]) -> None:
        guard = os.getpid()
        try:
            process = os.fork()
        except OSError:
            self._tell(DEATH.pack(DEAD, number, NOT_STARTED))
        else:
            if process == 0:
                _become_child(self._command, guard, number, descriptors)
            self._children[process] = number
            handle = os.pidfd_open(process)
            self._tell(NUMBER.pack(BORN, number), [handle])
            os.close(handle)
        for descriptor in descriptors:
            os.close(descriptor)

    def _kill(self, number: int) -> None:
        for process, known in self._children.items():
            if known == number:
                _kill_group(process)

    def _bury(self) -> None:
        """Reaps what is dead, and reports children after all that they started is dead too."""
        while (process := _next_dead()) is not None:
            if process not in self._children:
                os.waitpid(process, 0)
                continue
            number = self._children[process]
            self._sweep(process, f"{os.getpid()}-{number}")
            _, status = os.waitpid(process, 0)
            del self._children[process]
            self._tell(DEATH.pack(DEAD, number, status))

    def _sweep(self, process: int, mark: str) -> None:
        """Kills what a dead child has left behind: its group, and orphans (they became ours) that bear its mark."""
        _kill_group(process)
        end = time.monotonic() + _SWEEP_SECONDS
        while strays := [stray for stray in self._strays() if _belongs(stray, process, mark)]:
            _kill_all(strays)
            if time.monotonic() > end:
                return
            time.sleep(0.001)

    def _strays(self) -> list[int]:
        """Processes that became ours because the one that had started them died. Dead ones are reaped here."""
        strays = [process for process in _own_processes() if process not in self._children]
        return [stray for stray in strays if os.waitpid(stray, os.WNOHANG)[0] == 0]

    def _fire(self, reason: str) -> None:
        """Kills every child and all that they started; returns when all are dead."""
        self._tell(FIRED + reason.encode())
        end = time.monotonic() + _SWEEP_SECONDS
        while self._children or (self._strays() and time.monotonic() < end):
            for process in self._children:
                _kill_group(process)
            _kill_all(self._strays())
            self._bury()
            time.sleep(0.001)

    def _tell(self, message: bytes, descriptors: list[int] | None = None) -> None:
        """Tells the parent. One that reads nothing any more, or is gone, learns it from our end."""
        try:
            send(self._link, message, descriptors or [])
        except OSError:
            self._deadline = 0.0


def _become_child(command: list[str], guard: int, number: int, descriptors: list[int]) -> None:
    """Turns this fresh process into a child of the pool. Does not return."""
    try:
        os.setsid()
        _checked(_libc.prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
        if os.getppid() != guard:
            os._exit(1)  # the guard died before the kernel knew that we die with it
        for each in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(each, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        *links, stdout, stderr = descriptors
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        for link in links:
            os.set_inheritable(link, True)
        environment = {**os.environ, _MARK: f"{guard}-{number}"}
        os.execve(command[0], [*command, *map(str, links)], environment)  # noqa: S606 - no shell is wanted
    except BaseException as error:
        os.write(2, f"the process could not be started: {error}\n".encode())
    finally:
        os._exit(127)


def _next_dead() -> int | None:
    """A child or stray that is dead and not reaped yet."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return found.si_pid if found else None


def kill_leftovers(guard: int) -> None:
    """For the parent of a guard that was killed: kills whatever bears the marks of its children."""
    mark = f"{_MARK}={guard}-".encode()
    for name in os.listdir("/proc"):
        if name.isdigit() and any(entry.startswith(mark) for entry in _environment(int(name))):
            _kill_all([int(name)])


def _environment(process: int) -> list[bytes]:
    try:
        with open(f"/proc/{process}/environ", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []  # gone meanwhile, or another user's


def _own_processes() -> list[int]:
    me = os.getpid()
    try:
        with open(f"/proc/{me}/task/{me}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []  # a kernel without this list: groups are killed all the same


def _belongs(stray: int, process: int, mark: str) -> bool:
    """Whether child `process` started this: by its session, or by the mark in its environment."""
    return os.getsid(stray) == process or f"{_MARK}={mark}".encode() in _environment(stray)


def _kill_group(process: int) -> None:
    """Kills an unreaped child of ours (so its number is nobody else's) and its process group, once it has one."""
    for kill in (os.killpg, os.kill):
        try:
            kill(process, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def _kill_all(processes: list[int]) -> None:
    for process in processes:
        try:
            os.kill(process, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def main() -> None:
    """guard.py LINK PARENT COMMAND…: serves the parent over descriptor LINK; COMMAND starts a child."""
    link, parent, command = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), sys.argv[3:]
    link.set_inheritable(False)
    # Wakes a stopped guard when its parent dies, so that it sees the end of its link and does its work.
    _checked(_libc.prctl(_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0))
    _checked(_libc.prctl(_SET_SUBREAPER, 1, 0, 0, 0))
    # A signal to all processes of a service is for the worker, which drains; the guard ends when the worker has.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    guard = Guard(link, parent, command)
    if os.getppid() == parent:
        guard.run()


if __name__ == "__main__":
    main()
