"""One command from the program's arguments, and the two forms --submit and --query."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

from shell.answers import INTERRUPTED, Answer, Line, Stream
from shell.arguments import Word
from shell.commands import perform, understand
from shell.descriptions import outcome_text, task_data, value_text
from shell.parsing import BadInput, json_value, tokens_of_arguments
from shell.render import Output, Screen
from shell.session import Session
from shell.submission import named_task
from yadtq import Call, Task, YadtqError, visible

Answers = Iterator[tuple[Answer, bool]]
"""Answers, each with whether it is wanted as JSON."""


class TerminalAsker:
    """Asks on the terminal, line by line, when there is one."""

    def __init__(self, can_confirm: bool) -> None:
        self.can_confirm = can_confirm

    def ask(self, question: str, words: Iterable[Word], check: Callable[[str], object]) -> str:
        while True:
            if self.can_confirm:
                print(question, end="", file=sys.stderr, flush=True)
            line = sys.stdin.readline()
            if not line:
                raise EOFError
            try:
                check(line)
            except BadInput as error:
                if not self.can_confirm:
                    raise
                print(visible(error.message), file=sys.stderr)
            else:
                return line.rstrip("\n")


def submitted(session: Session, words: Sequence[str]) -> Answers:
    """--submit NAME [JSON]: a list is the arguments, an object the named ones. The answer is the id alone."""
    if len(words) > 2:
        raise BadInput(f"--submit takes a task and one JSON list or object, not {len(words) - 1} words; quote it")
    name, text = (*words, "[]")[:2]
    given = json_value(text)
    if not isinstance(given, list | dict):
        raise BadInput("the operands must be a JSON list or object, for example [1,2,3]", text, 0)
    args, kwargs = (tuple(given), {}) if isinstance(given, list) else ((), given)
    task = named_task(session, name, name, 0).name
    [task_id] = session.client.submit_many([Call(task, args, kwargs)])
    yield Line(task_id, {"id": task_id, "status": "queued"}), session.json


def queried(session: Session, given: str) -> Answers:
    """--query ID: three lines, whatever the state of the task."""
    task = session.client.get_result(session.client.find(given))
    if session.json:
        yield Line("", task_data(task)), True
    else:
        yield Stream(iter([Line(line) for line in query_lines(task)])), False


def query_lines(task: Task) -> tuple[str, str, str]:
    """The id, the stored status, and the result, the error or None."""
    result = "None"
    if task.status == "success":
        result = value_text(task.result)
    elif task.error is not None:
        result = outcome_text(task)
    return f"Task ID: {task.id}", f"Status: {task.status}", f"Result: {result}"


def run(session: Session, ask: Callable[[], Answers], output: Output, screen: Screen) -> int:
    """Shows the answers that `ask` gives. Ctrl-C stops waiting, cancels nothing, and says so."""
    try:
        for answer, as_json in ask():
            output.show(answer, screen, as_json)
    except KeyboardInterrupt:
        for task_id in sorted(session.waiting_for):
            output.show(Line(f"stopped waiting; {task_id} goes on (nothing was cancelled)", problem=True), screen)
        return INTERRUPTED
    except (BadInput, YadtqError) as error:
        output.failed(error, screen)
    return output.code


def command(session: Session, arguments: Sequence[str]) -> Answers:
    """The answers of the command that the arguments are."""
    line, tokens = tokens_of_arguments(arguments)
    call = understand(session, line, tokens)
    for answer in perform(session, call):
        yield answer, call.json
