"""Commands from a pipe, line by line: only answers are written. The exit code is the worst one seen."""

from collections.abc import Callable, Iterable
from typing import TextIO

from shell.answers import INTERRUPTED, Leave
from shell.arguments import Word
from shell.commands import perform, understand
from shell.parsing import BadInput, tokens_of_line
from shell.render import Output, Screen
from shell.session import Session
from yadtq import YadtqError


class PipeAsker:
    """Questions are answered by the next line of the pipe, and are not written."""

    can_confirm = False

    def __init__(self, lines: TextIO) -> None:
        self._lines = lines

    def ask(self, question: str, words: Iterable[Word], check: Callable[[str], object]) -> str:
        line = self._lines.readline()
        if not line:
            raise EOFError
        check(line)
        return line.rstrip("\n")


def run(session: Session, lines: TextIO, output: Output, screen: Screen) -> int:
    """Runs every line until Exit or the end. Returns the worst exit code; 130 at once after Ctrl-C."""
    try:
        while line := lines.readline():
            if not execute(session, line.rstrip("\r\n"), output, screen):
                break
    except KeyboardInterrupt:
        return INTERRUPTED
    return output.code


def execute(session: Session, line: str, output: Output, screen: Screen) -> bool:
    """Runs one line; False: it was Exit. Blank lines and # comments are nothing."""
    if not line.strip() or line.lstrip().startswith("#"):
        return True
    try:
        call = understand(session, line, tokens_of_line(line))
        for answer in perform(session, call):
            output.show(answer, screen, call.json)
            if isinstance(answer, Leave):
                return False
    except (BadInput, YadtqError) as error:
        output.failed(error, screen)
    return True
