"""A process that belongs to this run: started in a session of its own, with a log and a pid file, and stopped again.

A pid file also holds the process' start time and the machine's boot: a process number that was given to another
process since is never signalled.
"""

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TETHER = Path(__file__).with_name("tether.py")
LOG_BYTES = 10_000_000


class AlreadyRuns(Exception):
    """Another process holds the place. pid: its number, where that is known."""

    def __init__(self, pid: int | None) -> None:
        super().__init__(f"process {pid or '?'} runs already")
        self.pid = pid


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. environment: on top of this process' own. tethered: it dies with the process that starts it."""

    command: Sequence[str]
    log: Path
    pid_file: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    tethered: bool = True


def spawn(program: Program) -> subprocess.Popen[bytes]:
    """Starts it; output goes to its log (appended, the old one kept as `.1` when it is large).

    No signal of the terminal reaches it. Tethered, it must be started by a thread that lives as long as it should.
    """
    for folder in {program.log.parent, *([program.pid_file.parent] if program.pid_file else [])}:
        folder.mkdir(parents=True, exist_ok=True)
    bound_log(program.log)
    with program.log.open("ab") as log:
        process = subprocess.Popen(
            [*(tether() if program.tethered else []), *program.command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=program.directory,
            env={**os.environ, **program.environment},
            start_new_session=True,
        )
    if program.pid_file:
        write_pid_file(program.pid_file, process.pid)
    return process


def tether() -> list[str]:
    """Put before a command: it then gets SIGTERM when this process (the thread that starts it) ends."""
    return [sys.executable, "-S", "-E", str(TETHER), str(os.getpid())]


def bound_log(log: Path) -> None:
    """Moves the text of a log that has grown large to `<log>.1`. Safe while a process appends to it."""
    if not log.exists() or log.stat().st_size < LOG_BYTES:
        return
    log.with_name(log.name + ".1").write_bytes(log.read_bytes())
    os.truncate(log, 0)


def stop(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Ends it by SIGTERM and, when it has not ended after `seconds`, its whole group by SIGKILL. True: by SIGTERM."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        return False
    return True


def write_pid_file(path: Path, pid: int) -> None:
    """Notes which process this is, exactly."""
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps({"pid": pid, "started": start_time(pid), "boot": _boot()}), encoding="ascii")
    new.replace(path)


@contextlib.contextmanager
def alone(pid_file: Path) -> Iterator[None]:
    """Makes this process the only one that has this pid file, while this lasts. Raises AlreadyRuns, OSError."""
    pid_file.parent.mkdir(parents=True, exist_ok=True)
    with pid_file.with_suffix(".lock").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRuns(running(pid_file)) from None
        write_pid_file(pid_file, os.getpid())
        try:
            yield
        finally:
            pid_file.unlink(missing_ok=True)


def running(path: Path) -> int | None:
    """The number of the process that a pid file names, when exactly that one still lives."""
    try:
        noted = json.loads(path.read_text(encoding="ascii"))
        pid = int(noted["pid"])
        same = noted["boot"] == _boot() and noted["started"] is not None and noted["started"] == start_time(pid)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid if same else None


def stop_noted(pid_files: Sequence[Path], seconds: float) -> int:
    """Ends the processes of these pid files, all at the same time, as `stop` does; returns how many there were.

    They need not be children of this process. The files are removed.
    """
    deadline = time.monotonic() + seconds
    with contextlib.ExitStack() as opened:
        found = [(pid, handle) for path in pid_files for pid, handle in _open(path, opened)]
        for _, handle in found:
            _send(handle, signal.SIGTERM)
        for pid, handle in found:
            if not _ended(handle, max(0.0, deadline - time.monotonic())):
                _kill(pid, handle)
    for path in pid_files:
        path.unlink(missing_ok=True)
    return len(found)


def start_time(pid: int) -> int | None:
    """When a process was started, in clock ticks since boot; None: there is none (or it has ended, unreaped)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    values = text.rpartition(")")[2].split()
    return None if values[0] in "ZX" else int(values[19])


def _open(path: Path, opened: contextlib.ExitStack) -> list[tuple[int, int]]:
    """The process of a pid file with a handle to it; empty when there is none."""
    pid = running(path)
    if pid is None:
        return []
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return []
    opened.callback(os.close, handle)
    # Looked at again with the handle open: from here on the number cannot be another process'.
    return [(pid, handle)] if running(path) == pid else []


def _send(handle: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
        signal.pidfd_send_signal(handle, number)


def _ended(handle: int, seconds: float | None = None) -> bool:
    """Waits until a process has ended, `seconds` at most."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(None if seconds is None else seconds * 1000))


def _kill(pid: int, handle: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
    _send(handle, signal.SIGKILL)
    _ended(handle)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
