"""The prompt, driven by keys and without a terminal: manners, keys, history, notices, servers that are away."""

import functools
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from shell import repl
from shell.live import Live
from shell.toolbar import hint, toolbar
from tests.support.memory_client import MemoryClient, worker
from tests.support.waiting import eventually
from yadtq import Settings, Task

UP, TAB, CTRL_C, CTRL_D, ENTER = "\x1b[A", "\t", "\x03", "\x04", "\r"
SETTINGS = Settings.load({})


class Keyboard:
    """Types into the shell, reads what it writes."""

    def __init__(self, client: MemoryClient, pipe: PipeInput, captured: pytest.CaptureFixture[str]) -> None:
        self.client = client
        self._pipe = pipe
        self._captured = captured
        self.written = ""

    def type(self, text: str) -> None:
        self._pipe.send_text(text)

    def see(self, text: str) -> None:
        """Waits until the shell has written a text."""

        def seen() -> bool:
            self.written += self._captured.readouterr().out
            return text in self.written

        eventually(seen, 20, f"{text!r} after {self.written!r}")

    def run(self, *keys: str, meanwhile: Callable[[], object] = lambda: None) -> str:
        """Runs the shell with keys typed ahead, until it ends; what it has written."""
        self.type("".join(keys))
        failures: list[BaseException] = []

        def watch() -> None:
            try:
                meanwhile()
            except BaseException as error:  # raised again below, in the test's own thread
                failures.append(error)
                self.type(CTRL_D)

        thread = threading.Thread(target=watch)
        thread.start()
        assert repl.run(self.client, SETTINGS) == 0
        thread.join(20)
        if failures:
            raise failures[0]
        self.written += self._captured.readouterr().out
        return self.written


@pytest.fixture
def keyboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Keyboard]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("NO_COLOR", "1")
    handlers = logging.getLogger().handlers[:]
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    with ExitStack() as stack:
        pipe = stack.enter_context(create_pipe_input())
        stack.enter_context(create_app_session(input=pipe, output=DummyOutput()))
        yield Keyboard(MemoryClient(), pipe, capsys)
    for handler in set(logging.getLogger().handlers) - set(handlers):
        logging.getLogger().removeHandler(handler)
        handler.close()


def test_a_task_is_answered_at_once(keyboard: Keyboard) -> None:
    written = keyboard.run("ADD 2 3\r", "Exit\r")
    assert written.splitlines() == [
        repl.WELCOME,
        "00000000  queued",
        "still running: 1 task of this session; nothing was cancelled",
    ]


def test_a_notice_comes_while_the_prompt_waits(keyboard: Keyboard) -> None:
    def meanwhile() -> None:
        keyboard.see("queued")
        keyboard.client.end(keyboard.client.all()[0].id, 5)
        keyboard.see("00000000  completed  add 2 3 = 5")
        keyboard.type(CTRL_D)

    keyboard.run("ADD 2 3\r", meanwhile=meanwhile)


def test_a_notice_keeps_what_is_being_typed(keyboard: Keyboard) -> None:
    def meanwhile() -> None:
        keyboard.see("queued")
        keyboard.type("View ")
        keyboard.client.end(keyboard.client.all()[0].id, 5)
        keyboard.see("completed")
        keyboard.type("_\r")
        keyboard.see("attempts")
        keyboard.type(CTRL_D)

    keyboard.run("ADD 2 3\r", meanwhile=meanwhile)


def test_ctrl_c_clears_the_line_and_stays(keyboard: Keyboard) -> None:
    keyboard.run("ADD 2 3", CTRL_C, CTRL_C, "ADD 4 5\r", CTRL_D)
    assert [task.args for task in keyboard.client.all()] == [[4, 5]]


def test_ctrl_d_leaves_only_an_empty_line(keyboard: Keyboard) -> None:
    keyboard.run("ADD 1 2", CTRL_D, ENTER, CTRL_D)
    assert len(keyboard.client.all()) == 1


def test_ctrl_c_stops_waiting_and_cancels_nothing(keyboard: Keyboard, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = threading.Event()
    watch = MemoryClient.wait_any

    def wait_any(ids: set[str], timeout: float | None = None) -> list[Task]:
        if threading.current_thread() is threading.main_thread():
            waiting.set()
        return watch(keyboard.client, ids, timeout)

    def meanwhile() -> None:
        assert waiting.wait(20)
        os.kill(os.getpid(), signal.SIGINT)
        keyboard.see("stopped waiting; 00000000 goes on (nothing was cancelled)")
        keyboard.type("Stats\r" + CTRL_D)

    monkeypatch.setattr(keyboard.client, "wait_any", wait_any)
    written = keyboard.run("sleep 100\r", "Wait _\r", meanwhile=meanwhile)
    assert "queued           1" in written


def test_mistakes_are_pointed_at_right_below_the_line(keyboard: Keyboard) -> None:
    written = keyboard.run("SLEEP soon\r", CTRL_D)
    assert written.splitlines()[1:] == [
        " " * len("yadtq> SLEEP ") + "^",
        "operand 1 of sleep must be a number, not the text 'soon'",
    ]


def test_the_shell_opens_without_servers_and_recovers_by_itself(keyboard: Keyboard) -> None:
    keyboard.client.down = {"kafka", "redis"}

    def meanwhile() -> None:
        keyboard.see("redis does not answer at 127.0.0.1; is it running?\n")
        keyboard.client.down = set()
        keyboard.type("Show-Tasks\r" + CTRL_D)

    written = keyboard.run("Show-Tasks\r", meanwhile=meanwhile)
    assert "no tasks yet; submit one: ADD 2 3" in written


def test_a_mistake_in_the_program_does_not_end_the_session(
    keyboard: Keyboard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("somewhere\x1b")

    monkeypatch.setattr(keyboard.client, "stats", broken)
    written = keyboard.run("Stats\r", "ADD 1\r", CTRL_D)
    assert r"ZeroDivisionError: somewhere\x1b. This is a mistake in YADTQ" in written
    assert "00000000  queued" in written
    assert "Traceback" in (tmp_path / "yadtq" / "client.log").read_text()


def test_libraries_log_into_a_file(keyboard: Keyboard, tmp_path: Path) -> None:
    def meanwhile() -> None:
        keyboard.see(repl.WELCOME)
        logging.getLogger("some.library").error("spilled")
        thread = threading.Thread(target=lambda: 1 // 0, name="theirs")
        thread.start()
        thread.join()
        keyboard.type(CTRL_D)

    written = keyboard.run(meanwhile=meanwhile)
    assert "spilled" not in written
    assert "ZeroDivisionError" not in written
    logged = (tmp_path / "yadtq" / "client.log").read_text()
    assert "ERROR some.library: spilled" in logged
    assert "the thread theirs failed" in logged
    assert "ZeroDivisionError" in logged


def test_history_is_there_for_the_next_session_and_for_keys_typed_ahead(keyboard: Keyboard) -> None:
    keyboard.run("ADD 2 3\r", UP, ENTER, CTRL_D)
    keyboard.run(UP, UP, ENTER, CTRL_D)
    assert [task.args for task in keyboard.client.all()] == [[2, 3]] * 3


def test_a_history_that_cannot_be_written_is_said_once(keyboard: Keyboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    written = keyboard.run("ADD 2 3\r", UP, ENTER, CTRL_D)
    assert written.count("the history is kept in memory only") == 1
    assert len(keyboard.client.all()) == 2


def test_tab_completes(keyboard: Keyboard, monkeypatch: pytest.MonkeyPatch) -> None:
    typed: list[str] = []

    def spied(live: Live, text: str) -> str:
        typed.append(text)
        return hint(live, text)

    def meanwhile() -> None:
        for begun, whole in (("sho", "Show-Tasks"), (" fa", "Show-Tasks failed")):
            keyboard.type(begun + TAB)
            eventually(functools.partial(typed.__contains__, whole), 20, whole)
        keyboard.type(CTRL_C + CTRL_D)

    monkeypatch.setattr(repl, "hint", spied)
    keyboard.run(meanwhile=meanwhile)


def test_a_paste_of_several_lines_runs_them_all(keyboard: Keyboard) -> None:
    keyboard.run("\x1b[200~ADD 1\nADD 2\nADD 3\x1b[201~", ENTER, CTRL_D)
    assert [task.args for task in keyboard.client.all()] == [[1], [2], [3]]


def test_enter_asks_and_asks_again_after_a_mistake(keyboard: Keyboard) -> None:
    written = keyboard.run("Enter\r", "div\r", "6\r", "x\r", "3\r", ENTER, CTRL_D)
    assert keyboard.client.all()[0].args == [6, 3]
    assert "operand 2 of div must be a number, not the text 'x'" in written


@pytest.mark.parametrize("keys", ["1" + CTRL_C, CTRL_D])
def test_enter_can_be_left(keyboard: Keyboard, keys: str) -> None:
    written = keyboard.run("Enter\r", "add\r", keys, "Stats\r", CTRL_D)
    assert not keyboard.client.all()
    assert "nothing was submitted" in written
    assert "queued           0" in written


@pytest.mark.parametrize(("answer", "left"), [("yes\r", 0), ("no\r", 1), (CTRL_C, 1)])
def test_reset_asks(keyboard: Keyboard, answer: str, left: int) -> None:
    keyboard.run("ADD 1\r", "Reset\r", answer, CTRL_D)
    assert len(keyboard.client.all()) == left


def test_the_bottom_line_follows_the_queue_by_itself(keyboard: Keyboard, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    original = toolbar

    def spied(*given: object) -> object:
        fragments = original(*given)  # type: ignore[arg-type]
        shown.append("".join(text for _, text, *_ in fragments))
        return fragments

    def meanwhile() -> None:
        eventually(lambda: any("workers 1 · kafka ok · redis ok" in text for text in shown))
        keyboard.client.known_workers.append(worker("worker2"))
        eventually(lambda: any("workers 2" in text for text in shown))
        keyboard.client.down = {"kafka", "redis"}
        eventually(lambda: any("kafka unreachable · redis unreachable" in text for text in shown))
        keyboard.type("gre")
        eventually(lambda: any("greet <name> [greeting]" in text for text in shown))
        keyboard.type(CTRL_C + CTRL_D)

    monkeypatch.setattr(repl, "toolbar", spied)
    keyboard.run(meanwhile=meanwhile)
