"""The shell in a real terminal, with real servers and a real worker: what a person types and sees."""

import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from _yadtq.settings import Settings
from tests.conftest import StartWorker
from tests.support.terminal import Terminal
from tests.support.waiting import eventually
from yadtq import TaskClient

CLIENT = Path(__file__).resolve().parents[2] / "client.py"
TAB, CTRL_C, CTRL_D, UP = "\t", "\x03", "\x04", "\x1b[A"
SMALL, WIDE = (80, 24), (160, 24)


class ShellTerminal(Terminal):
    """client.py in a terminal that can be resized and looked at closely."""

    def kill(self) -> None:
        """Ends it, whatever it is doing; nothing, when it has ended."""
        self._child.close(force=True)

    def press(self, keys: str) -> None:
        self._child.send(keys)

    def resize(self, columns: int, lines: int) -> None:
        self._screen.resize(lines, columns)  # the lines must stay as many: pyte loses its cursor
        self._child.setwinsize(lines, columns)

    def colour_of(self, word: str) -> str:
        """The colour in which a word stands on the screen, the last time that it does."""
        for number in reversed(range(self._screen.lines)):
            column = self._screen.display[number].rfind(word)
            if column >= 0:
                return self._screen.buffer[number][column].fg
        raise AssertionError(f"{word} is not on the screen:\n{self.text}")

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")


Open = Callable[..., ShellTerminal]


@pytest.fixture
def client(settings: Settings) -> Iterator[TaskClient]:
    with TaskClient(settings) as opened:
        yield opened


@pytest.fixture
def online(worker_process: StartWorker, client: TaskClient) -> Callable[..., None]:
    """Starts a worker and waits until it is online."""

    def start(**given: object) -> None:
        worker_process(**given)
        eventually(lambda: [worker for worker in client.workers() if worker.state == "online"], 30, "a worker online")

    return start


@pytest.fixture
def shell(environment: dict[str, str], tmp_path: Path) -> Iterator[Open]:
    """Opens client.py in a terminal: shell(size, variable=value) → ShellTerminal, with its prompt on the screen."""
    usual = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    with ExitStack() as stack:

        def start(size: tuple[int, int] = SMALL, *arguments: str, **given: str) -> ShellTerminal:
            pairs = [f"{name}={value}" for name, value in (usual | environment | given).items()]
            columns, lines = size
            terminal = ShellTerminal(
                "env", "-i", *pairs, sys.executable, str(CLIENT), *arguments, columns=columns, lines=lines
            )
            stack.callback(terminal.kill)
            if not arguments:
                terminal.see(r"^yadtq t\w+>", 30)
            return terminal

        yield start


@pytest.mark.parametrize("size", [SMALL, WIDE])
def test_a_session(shell: Open, online: Callable[..., None], size: tuple[int, int]) -> None:
    online()
    terminal = shell(size)
    terminal.see(r"^ queued 0 · in progress 0 · workers 1 · kafka ok · redis ok$", 30)
    terminal.type("ADD 2 3")
    terminal.see(r"^\w{8}  queued$")
    terminal.see(r"^\w{8}  completed  add 2 3 = 5  \(.*worker1\)$")
    terminal.type("DIV 1 0")
    terminal.see(r"^\w{8}  failed  div 1 0 · ZeroDivisionError: division by zero")
    terminal.type("Show-Tasks")
    terminal.see(r"^\w{8}  div 1 0  failed     ZeroDivisionError.*worker1 +\ds")
    terminal.see(r"^\w{8}  add 2 3  completed  5 +worker1 +\ds")
    terminal.type("View _")
    terminal.see(r"^run time +")
    terminal.see(r"^ +1  failed   worker1 +\d\d:\d\d:\d\d")
    terminal.press("sle" + TAB)
    terminal.see(r"> sleep$")
    terminal.see(r"^ sleep <seconds> · ")
    terminal.press(CTRL_C + CTRL_D)
    assert terminal.close() == 0
    assert all(len(line) <= size[0] for line in terminal.lines)


def test_a_task_is_seen_in_its_three_states(shell: Open, online: Callable[..., None]) -> None:
    online(concurrency=1)
    terminal = shell()
    terminal.type("sleep 6")
    terminal.type("sleep 0.1")
    terminal.see(r"in progress 1 · workers 1")
    terminal.type("Show-Tasks")
    terminal.see(r"sleep 0.1 +queued(.*\n)+.*sleep 6 +in-progress")
    terminal.type("Wait")
    terminal.see(r"completed  sleep 0.1 = slept 0.1 s", 30)
    assert len(re.findall(r"completed  sleep 6", terminal.text)) == 1
    terminal.type("Exit")
    assert terminal.close() == 0


def test_mistakes_are_pointed_at(shell: Open) -> None:
    terminal = shell()
    terminal.see("redis ok")
    terminal.type("ADD 2 x")
    match = terminal.see(
        r"^(yadtq \w+> ADD 2 x)\n( +\^)\noperand 2 of add must be a number or a list, not the text 'x'$"
    )
    assert len(match[1]) == len(match[2])
    terminal.type('compress "open')
    terminal.see(r"^ +\^\nthe quote that opens here is never closed$")
    terminal.type("Shwo-Tasks")
    terminal.see(r"did you mean Show-Tasks\?$")


def test_ctrl_c_stops_waiting_and_the_task_goes_on(
    shell: Open, online: Callable[..., None], client: TaskClient
) -> None:
    online()
    terminal = shell()
    terminal.type("sleep 4")
    terminal.see("queued$")
    terminal.type("Wait _")
    eventually(lambda: client.counts()["processing"] == 1)
    terminal.see("Wait _")
    terminal.press(CTRL_C)
    terminal.see(r"stopped waiting; \w{8} goes on \(nothing was cancelled\)")
    terminal.see(r"^\w{8}  completed  sleep 4", 30)


def test_what_comes_from_outside_cannot_steer_the_terminal(
    shell: Open, online: Callable[..., None], client: TaskClient
) -> None:
    online()
    packed = client.wait_for_result(client.submit("compress", "\x1b[2J\x1b[31mred\u202e 日本語"), 30).result
    terminal = shell(WIDE)
    terminal.type(f"decompress {packed}")
    terminal.see(r"= \\x1b\[2J\\x1b\[31mred\\u202e 日 ?本 ?語")
    terminal.type("Show-Tasks")
    terminal.see(r"completed  \\x1b\[2J\\x1b\[31mred\\u202e 日 ?本 ?語")


@pytest.mark.parametrize(("variables", "colour"), [({}, "green"), ({"NO_COLOR": "1"}, "default")])
def test_colours_can_be_turned_off(
    shell: Open, client: TaskClient, online: Callable[..., None], variables: dict[str, str], colour: str
) -> None:
    online()
    client.wait_for_result(client.submit("add", 1), 30)
    terminal = shell(**variables)
    terminal.type("Show-Tasks")
    terminal.see("completed")
    assert terminal.colour_of("completed") == colour


def test_a_terminal_may_change_its_size(shell: Open, client: TaskClient) -> None:
    for number in range(30):
        client.submit("compress", f"{number} " + "long " * 60)
    terminal = shell(WIDE)
    terminal.see("kafka ok")
    terminal.type("Show-Tasks")
    terminal.see(r"page 1 of 2, 30 tasks · next: --page 2")
    terminal.resize(*SMALL)
    terminal.press("Sta")
    terminal.see("> Sta")
    terminal.type("ts")
    terminal.see(r"^queued +30$")
    terminal.see(r"^ queued 30 · ")
    terminal.type("Show-Tasks --page 2 --limit 15")
    terminal.see(r"page 2 of 2, 30 tasks")
    table = [line for line in terminal.lines if "compress" in line]
    assert len(table) == 15
    assert {len(line) for line in terminal.lines if line.startswith("--------")} == {80}
    terminal.see("· kafka ok")
    assert terminal.text.count("· kafka ok") == 1


def test_reset_asks(shell: Open, client: TaskClient) -> None:
    client.submit("add", 1)
    terminal = shell()
    terminal.type("Reset")
    terminal.see(r"remove all 1 tasks, 0 of them in progress\? \(yes/no\)")
    terminal.type("no")
    terminal.see("nothing was removed")
    terminal.press(UP)
    terminal.see("> Reset$")
    terminal.type("")
    terminal.see(r"(?s)remove all.*remove all")
    terminal.type("yes")
    terminal.see("removed 1 task$")


def test_one_command_asks_on_the_terminal_too(shell: Open, client: TaskClient) -> None:
    client.submit("add", 1)
    terminal = shell(SMALL, "reset")
    terminal.see(r"^remove all 1 tasks")
    terminal.type("yes")
    terminal.see(r"^removed 1 task$")
    assert terminal.close() == 0


class Forwarder:
    """A server that is away until it is started: then it passes everything on to a real one."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused, the port is kept
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = [self._listener]

    def start(self) -> None:
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        for each in self._open:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it is closed, or was never connected
            finally:
                each.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # stopped
            far = socket.create_connection(self._target)
            self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with closing(source), closing(sink):
            try:
                while data := source.recv(65536):
                    sink.sendall(data)
            except OSError:
                return  # the other direction has closed them


def test_the_shell_opens_without_servers_and_recovers_by_itself(
    shell: Open, redis_address: tuple[str, int], kafka_broker: str
) -> None:
    host, _, port = kafka_broker.partition(":")
    redis, kafka = Forwarder(redis_address), Forwarder((host, int(port)))
    with ExitStack() as stack:
        stack.callback(redis.stop)
        stack.callback(kafka.stop)
        terminal = shell(WIDE, REDIS_PORT=str(redis.port), KAFKA_BROKER=f"127.0.0.1:{kafka.port}")
        terminal.see("kafka unreachable · redis unreachable")
        terminal.type("ADD 2 3")
        terminal.see(r"^(Kafka|Redis) does not answer at .*$", 10)
        redis.start()
        terminal.see("kafka unreachable · redis ok")
        kafka.start()
        terminal.see("kafka ok · redis ok")
        terminal.type("ADD 2 3")
        terminal.see(r"^\w{8}  queued$")
        redis.stop()
        terminal.see("kafka ok · redis unreachable")
        terminal.press(CTRL_D)
        assert terminal.close() == 0
