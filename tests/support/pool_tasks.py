"""Handlers that the tests of the process pool run in its children."""

import asyncio
import contextlib
import ctypes
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from _yadtq.context import current_task


def add(a: Any, b: Any = 0, *, c: Any = 0) -> Any:
    return a + b + c


def echo(value: Any) -> Any:
    return value


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def mark(path: str, number: int, *, padding: str = "") -> int:
    """Leaves proof that it ran: a line in a file."""
    with open(path, "a", encoding="ascii") as file:
        file.write(f"{number}\n")
    return number


def hold_gil(path: str, seconds: int) -> str:
    """A call into C that keeps the interpreter's lock."""
    mark(path, os.getpid())
    ctypes.PyDLL(None).sleep(seconds)
    return "held"


def processes() -> list[int]:
    """This child, and the guard."""
    return [os.getpid(), os.getppid()]


def announce_and_nap(path: str, seconds: float) -> None:
    mark(path, os.getpid())
    time.sleep(seconds)


def leave_grandchildren(path: str, seconds: float) -> None:
    """Starts one process in its own group and one in a session of its own, notes both, and waits."""
    for detached in (False, True):
        with subprocess.Popen(["sleep", "300"], start_new_session=detached) as process:
            mark(path, process.pid)
            if detached:
                mark(path, os.getpid())
                time.sleep(seconds)
            else:
                process.returncode = 0  # not waited for


def leave(code: int) -> None:
    os._exit(code)


def leave_if(really: bool) -> None:
    if really:
        os._exit(1)


def segfault() -> None:
    ctypes.string_at(0)


def system_exit() -> None:
    sys.exit("enough")


def interrupt() -> None:
    raise KeyboardInterrupt


def divide(a: Any, b: Any) -> Any:
    return a / b


class UnreadableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def fail(text: str) -> None:
    raise ValueError(text)


def fail_unreadably() -> None:
    raise UnreadableError


def recurse(depth: int = 0) -> None:
    recurse(depth + 1)


def exhaust() -> None:
    raise MemoryError


def nan() -> float:
    return float("nan")


def unencodable() -> object:
    return object()


def surrogate() -> str:
    return "half \ud83d"


def big(size: int) -> str:
    return "x" * size


def exact_product(a: Decimal, b: Decimal) -> Decimal:
    return a * b


def exact_nan() -> Decimal:
    return Decimal("NaN")


async def later(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


def fork_and_return() -> int:
    """The copy comes back from here too, and must neither report nor read jobs."""
    process = os.fork()
    if process:
        os.waitpid(process, 0)
    return process and 1


def who_am_i() -> list[Any]:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(current_task()))
    thread.start()
    thread.join()
    here = current_task()
    return [here.id, here.attempt, found[0] == here]


def say(text: str) -> None:
    print(text)
    print(text.upper(), file=sys.stderr)
    print("no end of line", end="")


def say_bytes() -> None:
    os.write(1, b"through the pipe \xff\n")
    sys.stdout.buffer.write(b"half a character \xe2\x82\n")


def flood(lines: int) -> None:
    for number in range(lines):
        print(number)


def flood_pipe(lines: int) -> None:
    os.write(1, b"".join(b"%d\n" % number for number in range(lines)))


def flood_and_leave(lines: int) -> None:
    flood(lines)
    os._exit(1)


def long_line() -> None:
    print("ä" * 5000)


def close_stdout() -> None:
    sys.stdout.close()


def ruin_links() -> None:
    os.closerange(3, 1000)


def _links(is_kind: Callable[[int], bool]) -> list[int]:
    """The descriptors of this kind that the process has beyond the usual three."""
    names = [name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")]
    return [int(name) for name in names if int(name) > 2 and is_kind(os.fstat(int(name)).st_mode)]


def garble_pipe(garbage: str) -> None:
    """Tells the pool what it cannot understand."""
    for link in _links(stat.S_ISFIFO):
        with contextlib.suppress(OSError):  # the one from which it reads
            os.write(link, garbage.encode())
    time.sleep(60)


def garble_socket() -> str:
    """The same beside the pipe, where its large result should be."""
    for link in _links(stat.S_ISSOCK):
        os.write(link, b"Zgarbage")
    return "x" * 10_000


def open_after_closing(path: str) -> None:
    """Closes all descriptors that are usual, and has another file in their place."""
    os.closerange(3, 64)
    while os.open(path, os.O_RDWR | os.O_CREAT) < 63:
        continue


def modules() -> list[str]:
    return sorted(sys.modules)


def dispositions() -> list[int]:
    """Signals that are ignored or blocked here, but for those that Python itself ignores."""
    import signal  # noqa: PLC0415

    ignored = {each for each in signal.valid_signals() if signal.getsignal(each) == signal.SIG_IGN}
    ignored -= {signal.SIGPIPE, signal.SIGXFSZ}
    return sorted({int(each) for each in ignored} | {int(each) for each in signal.pthread_sigmask(0, [])})
