"""The table of commands. Parsing, completion, hints, help, the program's arguments and docs/shell.md come from it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from shell import changes, manual, submission, views
from shell.answers import Answer, Line
from shell.arguments import ID, SECONDS, STATE, TASK, Argument, Command, Kind, Option, bind, text, whole, whole_word
from shell.parsing import BadInput, Form, Token
from shell.session import OWN_TASKS_SECONDS, Manner, Session

ANY_NAME = Kind(text, lambda live: [*((command.name, command.about) for command in COMMANDS), *TASK.words(live)])
JSON = Option("json", "answer in JSON, one line an answer")
NO_WAIT = Option("no_wait", "do not wait for tasks of this session first (a pipe waits a minute)")
NOT_FOR_RESULT = Option("no_wait", "as the program's arguments: print the id and do not wait for the result")
WHICH = Argument("id", ID, "an id, the beginning of one, or _ for the last task")

COMMANDS: tuple[Command, ...] = (
    Command(
        "Submit",
        submission.submit,
        "submit a task; its name alone does the same: ADD 2 3",
        'Submit compress "some text"',
        (Argument("task", TASK, "the name of a task, in any case"),),
        (NOT_FOR_RESULT, JSON),
        takes_operands=True,
    ),
    Command(
        "Enter",
        submission.enter,
        "submit a task step by step: the operation, then its operands, then an empty line",
        "Enter",
        options=(NOT_FOR_RESULT, JSON),
    ),
    Command(
        "Show-Tasks",
        views.show_tasks,
        "the tasks, newest first, with their states and results",
        "Show-Tasks failed --limit 5",
        (Argument("state", STATE, "only tasks in this state", ""),),
        (
            Option("status", "the same as the state", STATE, "STATE"),
            Option("limit", f"tasks on a page ({views.LIMIT})", Kind(whole(1, 1_000)), "N"),
            Option("page", "which page (1)", Kind(whole(1, 1_000_000)), "N"),
            NO_WAIT,
            JSON,
        ),
        reads=True,
    ),
    Command(
        "View",
        views.view,
        "everything about a task: all fields, the full result, its attempts",
        "View 3f2a91c0",
        (WHICH,),
        (NO_WAIT, JSON),
        reads=True,
    ),
    Command(
        "Wait",
        views.wait,
        "wait until tasks have ended; without an id, until all of this session's have",
        "Wait _",
        (Argument("ids", ID, "ids, beginnings of ids, or _", many=True),),
        (Option("timeout", "seconds after which to give up waiting", SECONDS, "SECONDS"), JSON),
    ),
    Command(
        "Workers", views.workers, "the workers and what they are doing", "Workers", (), (NO_WAIT, JSON), reads=True
    ),
    Command(
        "Stats",
        views.stats,
        "the queue in numbers, with the messages that Kafka holds unread",
        "Stats",
        options=(NO_WAIT, JSON),
        reads=True,
    ),
    Command(
        "Retry",
        changes.retry,
        "queue a failed task again, as a new attempt that keeps its history",
        "Retry _",
        (WHICH,),
        (NO_WAIT, JSON),
        reads=True,
    ),
    Command(
        "Reset",
        changes.reset,
        "remove every task; asks first",
        "Reset --yes",
        options=(Option("yes", "do not ask"), JSON),
    ),
    Command(
        "Help",
        manual.show_help,
        "the commands and tasks, or everything about one",
        "Help Show-Tasks",
        (Argument("name", ANY_NAME, "a command or a task", ""),),
        (JSON,),
    ),
    Command("Exit", changes.leave, "leave; what was submitted goes on", "Exit", options=(JSON,), other_names=("Quit",)),
)
BY_NAME = {name.lower(): command for command in COMMANDS for name in (command.name, *command.other_names)}
SUBMIT = BY_NAME["submit"]


@dataclass(frozen=True, slots=True)
class Call:
    """A command and what it is called with."""

    command: Command
    values: dict[str, Any]
    json: bool


def understand(session: Session, line: str, tokens: Sequence[Token]) -> Call:
    """What a line of at least one token means. BadInput; ServerUnreachable when only the workers could tell."""
    first = tokens[0]
    command = BY_NAME.get(first.text.lower()) if first.form is Form.BARE else None
    rest = tokens[1:]
    if command is None:
        if first.form is Form.JSON:
            raise BadInput("a line begins with the name of a command or a task; Help lists them", line, first.start)
        submission.named_task(session, first.text, line, first.start, [command.name for command in COMMANDS])
        command, rest = SUBMIT, tokens
    if any(token.form is Form.BARE and token.text == "--help" for token in rest):
        name = whole_word(rest[0]) if command is SUBMIT and rest[0].text != "--help" else command.name
        return Call(BY_NAME["help"], {"name": name, "line": line}, False)
    values, operands = bind(command, rest, line)
    if command.takes_operands:
        values |= {"operands": operands}
    return Call(command, values | {"line": line}, session.json or bool(values.get("json")))


def perform(session: Session, call: Call) -> Iterator[Answer]:
    """The answers of a command. In a pipe, one that reads first waits for the tasks submitted before it."""
    waits = session.manner is Manner.PIPE and call.command.reads
    if waits and not session.no_wait and not call.values.get("no_wait"):
        left = session.wait_for_own()
        if left:
            yield Line(f"{left} of this session's tasks still run after {OWN_TASKS_SECONDS:.0f} s", problem=True)
    yield call.command.run(session, **call.values)
