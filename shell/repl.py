"""The prompt: reads a line, runs it, shows the answer, and shows above itself what happens meanwhile."""

import asyncio
import contextvars
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app, run_in_terminal
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import Completer
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import History, InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.styles import Style

from shell.answers import OK, Leave, Line
from shell.arguments import Word
from shell.bindings import bindings, history_before_typed_ahead
from shell.commands import COMMANDS, perform, understand
from shell.completion import WordCompleter, candidates
from shell.descriptions import short
from shell.history import SharedHistory, state_folder
from shell.live import Refresher
from shell.notices import Notices
from shell.parsing import BadInput, tokens_of_line
from shell.render import Output, Screen, wants_colour
from shell.session import Manner, Session
from shell.toolbar import hint, toolbar
from shell.width import width
from yadtq import Settings, TaskClient, YadtqError, visible

WELCOME = "YADTQ: Help lists the commands, Tab completes, Ctrl-D leaves."
ASKING = "An empty line ends the questions · Ctrl-C goes back to the commands"
STYLE = Style.from_dict(
    {
        "bottom-toolbar": "noreverse",
        "bottom-toolbar hint": "italic",
        "ok": "ansigreen",
        "down": "ansired bold",
        "prompt": "bold",
    }
)
LOG_BYTES = 1_000_000

log = logging.getLogger("yadtq.shell")


class Prompt:
    """A terminal and the person at it. The only place that reads keys."""

    def __init__(self, output: Output, refresher: Refresher, history: History, name: str, colour: bool) -> None:
        self._output = output
        self._refresher = refresher
        self._name = f"{visible(name)}> "
        self._colour = colour
        self._running: PromptSession[str] | None = None
        self._context = contextvars.copy_context()  # in which prompt_toolkit finds its application
        self._lines = self._prompt(WordCompleter(lambda text: candidates(text, refresher.live)), history)
        self.collect: Callable[[], list[Line]] = list
        self.can_confirm = True

    @property
    def screen(self) -> Screen:
        return Screen(self._lines.app.output.get_size().columns, self._colour)

    @property
    def typed_at(self) -> int:
        """The column at which a line begins on the screen."""
        return width(self._name)

    def line(self) -> str:
        """The next line. EOFError: the person leaves."""
        self.show_notices()
        return self._read(self._lines, self._name)

    def ask(self, question: str, words: Iterable[Word], check: Callable[[str], object]) -> str:
        """One answer that `check` accepts; what is wrong with another one is said, and it is asked for again."""
        known = list(words)
        prompt = self._prompt(WordCompleter(lambda text: _beginning_with(text, known)), InMemoryHistory())
        prompt.key_bindings = None
        while True:
            try:
                text = self._read(prompt, question)
            except KeyboardInterrupt:
                raise EOFError from None
            try:
                check(text)
            except BadInput as error:
                self._output.failed(BadInput(error.message), self.screen)
            else:
                return text

    def changed(self) -> None:
        """Live has changed: the toolbar is drawn anew. Called by any thread."""
        running = self._running
        if running is not None:
            with suppress(RuntimeError):  # the line was entered meanwhile: the next one is drawn anew anyway
                running.app.invalidate()

    def arrived(self) -> None:
        """A notice has come: it is shown above the prompt, or else when the command has ended. Called by any thread."""
        running = self._running
        loop = running.app.loop if running is not None else None
        if loop is not None:
            with suppress(RuntimeError):  # the line was entered meanwhile: the notice comes before the next one
                loop.call_soon_threadsafe(self._show_above, context=self._context)

    def show_notices(self) -> None:
        for line in self.collect():
            self._output.show(line, self.screen)

    def _show_above(self) -> None:
        if get_app().is_running:
            run_in_terminal(self.show_notices)

    def _read(self, prompt: PromptSession[str], message: str) -> str:
        def begin() -> None:
            self._context = contextvars.copy_context()
            self._running = prompt
            history_before_typed_ahead(prompt)
            asyncio.get_running_loop().call_soon(self._show_above)

        try:
            return prompt.prompt([("class:prompt", message)], pre_run=begin)
        finally:
            self._running = None

    def _prompt(self, completer: Completer, history: History) -> PromptSession[str]:
        return PromptSession(
            completer=completer,
            history=history,
            auto_suggest=AutoSuggestFromHistory(),
            complete_while_typing=False,
            key_bindings=bindings(),
            bottom_toolbar=self._toolbar,
            style=STYLE,
            include_default_pygments_style=False,
        )

    def _toolbar(self) -> StyleAndTextTuples:
        app = get_app()
        live = self._refresher.live
        about = hint(live, app.current_buffer.text) if self._running is self._lines else ASKING
        return toolbar(live, about, app.output.get_size().columns)


def run(client: TaskClient, settings: Settings, as_json: bool = False) -> int:
    """The shell, until the person leaves. Returns the exit code, which is always 0: mistakes were seen."""
    folder = state_folder(os.environ)
    _log_into(folder)
    history = SharedHistory(folder / "history")
    refresher = Refresher(client)
    output = Output(sys.stdout, sys.stdout)
    name = "yadtq" if settings.namespace == "yadtq" else f"yadtq {settings.namespace}"
    prompt = Prompt(output, refresher, history, name, wants_colour(os.environ))
    session = Session(client, Manner.PROMPT, prompt, COMMANDS, lambda: refresher.live)
    session.json = as_json
    notices = Notices(client, session.own, prompt.arrived)
    prompt.collect = notices.collect
    refresher.changed = prompt.changed
    output.show(Line(WELCOME), prompt.screen)
    if history.problem:
        output.show(Line(history.problem), prompt.screen)
    refresher.start()
    notices.start()
    try:
        with patch_stdout():
            _loop(session, prompt, output, refresher)
    finally:
        notices.close()
        refresher.close()
    return OK


def _loop(session: Session, prompt: Prompt, output: Output, refresher: Refresher) -> None:
    while True:
        try:
            text = prompt.line()
        except EOFError:
            text = "exit"
        except KeyboardInterrupt:  # pressed in the instant before the prompt took the keys
            continue
        lines = text.splitlines()  # a paste may bring several
        for line in lines:
            if not execute(session, line, prompt, output, prompt.typed_at if len(lines) == 1 else None):
                return
            refresher.soon()


def execute(session: Session, line: str, prompt: Prompt, output: Output, typed_at: int | None) -> bool:
    """Runs one line and shows what comes of it; False: the session ends. Nothing that goes wrong ends it."""
    session.waiting_for = frozenset()
    try:
        tokens = tokens_of_line(line)
        if not tokens or line.lstrip().startswith("#"):
            return True
        call = understand(session, line, tokens)
        for answer in perform(session, call):
            output.show(answer, prompt.screen, call.json)
            if isinstance(answer, Leave):
                return False
    except KeyboardInterrupt:
        output.show(Line(interrupted(session)), prompt.screen)
    except (BadInput, YadtqError) as error:
        output.failed(error, prompt.screen, typed_at)
    except Exception as error:
        log.exception("a command failed in an unforeseen way: %r", line[:200])
        about = f"{type(error).__name__}: {error}. This is a mistake in YADTQ; details are in client.log"
        output.failed(RuntimeError(about), prompt.screen)
    return True


def interrupted(session: Session) -> str:
    """What Ctrl-C during a command has done, and what it has not."""
    waited = sorted(session.waiting_for)
    session.waiting_for = frozenset()
    if not waited:
        return "interrupted"
    names = ", ".join(short(task_id) for task_id in waited[:5]) + ("…" if len(waited) > 5 else "")
    return f"stopped waiting; {names} {'goes' if len(waited) == 1 else 'go'} on (nothing was cancelled)"


def _beginning_with(text: str, words: list[Word]) -> list[Word]:
    return [(word, about) for word, about in words if word.lower().startswith(text.lower())]


def _log_into(folder: Path) -> None:
    """Sends what libraries log to a bounded file, since the screen belongs to the shell."""
    handler: logging.Handler
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handler = RotatingFileHandler(folder / "client.log", maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.setLevel(logging.WARNING)
    logging.getLogger().addHandler(handler)
    threading.excepthook = _log_thread


def _log_thread(failed: threading.ExceptHookArgs) -> None:
    """A thread that fails must not write across the screen either."""
    trace = (failed.exc_type, failed.exc_value or failed.exc_type(), failed.exc_traceback)
    log.error("the thread %s failed", failed.thread.name if failed.thread else "?", exc_info=trace)
