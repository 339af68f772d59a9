"""The small parts of start.py: signals, progress, packages, ports, and how the servers are asked whether they live."""

import io
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local import kafka_server, packages, ports, redis_server
from local.errors import StartFailed
from local.interruption import SIGNALS, Interrupted, Interruption
from local.progress import Progress

Answer = Callable[[bytes], int]


@pytest.fixture
def interruption() -> Iterator[Interruption]:
    before = [signal.getsignal(number) for number in SIGNALS]
    listening = Interruption()
    listening.listen()
    yield listening
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_an_exception_once(interruption: Interruption, number: signal.Signals) -> None:
    with pytest.raises(Interrupted) as raised:
        os.kill(os.getpid(), number)
    assert raised.value.exit_code == 128 + number
    for other in SIGNALS:  # it stops already; nothing may disturb that
        os.kill(os.getpid(), other)


def test_a_held_signal_takes_effect_at_the_end(interruption: Interruption) -> None:
    done = []

    def work() -> None:
        with interruption.held():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("all")

    with pytest.raises(Interrupted, match="SIGTERM"):
        work()
    assert done == ["all"]


def test_a_held_signal_comes_before_an_error(interruption: Interruption) -> None:
    def work() -> None:
        with interruption.held():
            os.kill(os.getpid(), signal.SIGINT)
            raise StartFailed("because the signal reached the program, too")

    with pytest.raises(Interrupted):
        work()


def test_a_signal_that_is_ignored_stays_ignored(interruption: Interruption) -> None:
    interruption.ignore()
    interruption.listen()
    os.kill(os.getpid(), signal.SIGHUP)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_without_a_terminal_is_a_line_a_step() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    with progress.step("starting") as step:
        step.now("fetching")
        step.now("fetching")
    with pytest.raises(StartFailed), progress.step("stopping"):
        raise StartFailed("no")
    progress.say("over")
    assert stream.getvalue() == "yadtq: starting\nyadtq: fetching\nyadtq: stopping\nyadtq: over\n"


def test_progress_on_a_terminal_is_one_line_that_ends_well_or_badly() -> None:
    stream = Terminal()
    progress = Progress(stream)
    with progress.step("starting") as step:
        step.now("fetching")
    with pytest.raises(StartFailed), progress.step("stopping"):
        raise StartFailed("no")
    lines = [line.rpartition("\x1b[K")[2] for line in stream.getvalue().strip().split("\n")]
    assert lines == ["✓ fetching", "✗ stopping"]
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


def test_progress_survives_a_closed_terminal() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with io.FileIO(writer, "w") as raw:
        stream = io.TextIOWrapper(raw, write_through=True)
        Progress(stream).say("nobody reads this")
        stream.detach()


def test_missing_packages_are_named_with_those_of_included_files(tmp_path: Path) -> None:
    (tmp_path / "all.txt").write_text("# all\n-r some.txt\npytest==1.0\nno-such-package==2\n", encoding="utf-8")
    (tmp_path / "some.txt").write_text("not.there>=1\n\n", encoding="utf-8")
    assert packages.missing(tmp_path / "all.txt") == ["not.there", "no-such-package"]


def test_a_free_port_is_free_until_somebody_listens() -> None:
    port = ports.free_port()
    assert ports.is_free(port)
    with socket.socket() as other:
        other.bind(("", port))
        other.listen()
        assert not ports.is_free(port)


@pytest.fixture
def answering() -> Iterator[Answer]:
    """Starts a server that gives each caller one answer and hangs up: answering(bytes) → port."""
    listeners = []

    def serve(listener: socket.socket, answer: bytes) -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            with caller:
                caller.recv(100)
                caller.sendall(answer)

    def start(answer: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=serve, args=(listener, answer), daemon=True)
        thread.start()
        listeners.append((listener, thread))
        port: int = listener.getsockname()[1]
        return port

    yield start
    for listener, thread in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        (b"+PONG\r\n", True),
        (b"-NOAUTH Authentication required.\r\n", True),
        (b"-LOADING Redis is loading the dataset in memory\r\n", False),
        (b"HTTP/1.1 400 Bad Request\r\n", False),
        (b"", False),
    ],
)
def test_redis_is_ready_when_it_takes_commands(answering: Answer, answer: bytes, ready: bool) -> None:
    assert redis_server.answers("127.0.0.1", answering(answer)) is ready


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        (struct.pack(">iihi", 10, 1, 0, 0), True),
        (struct.pack(">iihi", 10, 1, 35, 0), False),
        (struct.pack(">iihi", 10, 2, 0, 0), False),
        (b"HTTP/1.1 400 Bad Request\r\n", False),
        (b"\x00", False),
    ],
)
def test_kafka_is_ready_when_it_tells_its_versions(answering: Answer, answer: bytes, ready: bool) -> None:
    assert kafka_server.answers("127.0.0.1", answering(answer)) is ready


def test_nobody_is_not_ready() -> None:
    port = ports.free_port()
    assert not redis_server.answers("127.0.0.1", port)
    assert not kafka_server.answers("127.0.0.1", port)
