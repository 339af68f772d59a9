"""A session of the shell for tests: lines in, answers out, no terminal and no servers."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from shell.answers import Answer, Stream
from shell.arguments import Word
from shell.commands import COMMANDS, perform, understand
from shell.live import Live
from shell.parsing import BadInput, tokens_of_line
from shell.render import Screen, text_lines
from shell.session import Manner, Session
from tests.support.memory_client import MemoryClient
from yadtq import Failure

DIVISION = Failure("ZeroDivisionError", "division by zero", "Traceback\n  File x")


class Answers:
    """Answers questions with given lines. person: mistakes are asked about again."""

    def __init__(self, *lines: str, person: bool = True) -> None:
        self.can_confirm = person
        self.lines = list(lines)
        self.questions: list[str] = []
        self.refused: list[str] = []

    def ask(self, question: str, words: Iterable[Word], check: Callable[[str], object]) -> str:
        while True:
            self.questions.append(question)
            if not self.lines:
                raise EOFError
            line = self.lines.pop(0)
            try:
                check(line)
            except BadInput as error:
                if not self.can_confirm:
                    raise
                self.refused.append(error.message)
            else:
                return line


def session_of(client: MemoryClient, manner: Manner = Manner.PROMPT, asker: Answers | None = None) -> Session:
    return Session(client, manner, asker or Answers(), COMMANDS, Live)


def run(session: Session, line: str) -> list[Answer]:
    """The answers to a line, those of streams included."""
    return list(_flat(perform(session, understand(session, line, tokens_of_line(line)))))


def _flat(answers: Iterator[Answer]) -> Iterator[Answer]:
    for answer in answers:
        yield from answer.answers if isinstance(answer, Stream) else [answer]


def text(session: Session, line: str) -> str:
    """What a person reads."""
    return "\n".join(shown for answer in run(session, line) for shown in text_lines(answer, Screen()))


def ends_at_once(client: MemoryClient, **values: Any) -> None:
    client.at_once = lambda task: replace(task, attempt=1, worker_id="worker1~abcdefgh", **values)
