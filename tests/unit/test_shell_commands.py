"""The table of commands, what a line means, and the help about it."""

import inspect
from pathlib import Path

import pytest

from shell import manual
from shell.arguments import Command
from shell.commands import COMMANDS, understand
from shell.parsing import BadInput, tokens_of_line
from tests.support.memory_client import MemoryClient, signature, worker
from tests.support.shell_session import run, session_of, text


@pytest.fixture
def client() -> MemoryClient:
    return MemoryClient()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_row_fits_its_function(command: Command) -> None:
    row = command
    taken = inspect.signature(row.run).parameters
    given = {a.name for a in row.arguments} | {o.name for o in row.options} | {"line"}
    given |= {"operands"} if row.takes_operands else set()
    for name, parameter in taken.items():
        if name != "session" and parameter.kind is not parameter.VAR_KEYWORD:
            assert name in given, name
    assert any(p.kind is p.VAR_KEYWORD for p in taken.values())
    assert row.about
    assert row.example
    assert "json" in given


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_example_can_be_understood(client: MemoryClient, command: Command) -> None:
    session = session_of(client)
    example = command.example
    assert understand(session, example, tokens_of_line(example)).command is command


def test_the_page_about_the_shell_is_up_to_date() -> None:
    page = manual.PAGE.read_text(encoding="utf-8")
    assert manual.rewritten(page, COMMANDS) == page, "run: python -m shell.manual"


def test_a_page_without_its_markers_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="markers"):
        manual.rewritten("# The shell\n", COMMANDS)


@pytest.mark.parametrize("line", ["SHOW-TASKS", "show-tasks", "Show-Tasks", "QUIT", "quit", "help"])
def test_commands_are_known_in_any_case(client: MemoryClient, line: str) -> None:
    call = understand(session_of(client), line, tokens_of_line(line))
    assert line.lower() in (call.command.name.lower(), *(name.lower() for name in call.command.other_names))


@pytest.mark.parametrize(
    ("line", "message", "column"),
    [
        ("Shwo-Tasks", "unknown command or task 'Shwo-Tasks'; did you mean Show-Tasks?", 0),
        ("  ADDD 2 3", "did you mean add?", 2),
        ("zzzzzzzz", "Help lists what there is", 0),
        ("Show-Tasks lost", "state must be one of queued, in-progress, completed, failed, rejected, not 'lost'", 11),
        ("Show-Tasks --limit 0", "--limit must be a whole number from 1 to 1,000, not '0'", 19),
        ("Show-Tasks --limit", "--limit needs a value: --limit N", 18),
        ("Show-Tasks --limit --json", "--limit needs a value", 25),
        ("Show-Tasks --json=1", "--json takes no value", 11),
        ("Show-Tasks --color", "Show-Tasks has no option --color", 11),
        ("Show-Tasks failed 3", "Show-Tasks takes only 1", 18),
        ("View", "View needs <id>", 4),
        ('View ""', "id must not be empty", 5),
        ("Workers all", "Workers takes no argument", 8),
        ("Wait _ --timeout soon", "--timeout must be a number of seconds", 17),
        ("Submit nope 1", "unknown task 'nope'", 7),
        ("ADD 2 --fast", "(as text, put it in quotes)", 6),
        ("[1,2]", "a line begins with the name", 0),
        ('"\x1b[31m"', r"unknown command or task '\x1b[31m'", 0),
        ("DIV 1", "b is missing", 5),
        ("_ 1", "Help lists what there is", 0),
    ],
)
def test_what_is_wrong_is_pointed_at(client: MemoryClient, line: str, message: str, column: int) -> None:
    with pytest.raises(BadInput) as caught:
        run(session_of(client), line)
    assert message in caught.value.message
    assert caught.value.column == column
    assert not client.all()


def test_help_is_an_option_of_everything(client: MemoryClient) -> None:
    session = session_of(client)
    assert "Show-Tasks [state]" in text(session, "show-tasks --help")
    assert "div <a> <b>" in text(session, "DIV --help")


def test_a_task_that_a_new_worker_brings_is_known_at_once(client: MemoryClient) -> None:
    session = session_of(client)
    run(session, "ADD 1")
    client.known_workers.append(worker("worker2", tasks=(signature("paint", "colour: str"),)))
    run(session, "PAINT red")
    assert client.all()[-1].args == ["red"]


def test_names_that_differ_by_case_must_be_typed_exactly(client: MemoryClient) -> None:
    client.known_workers = [worker(tasks=(signature("run", "*a"), signature("Run", "*a")))]
    session = session_of(client)
    run(session, "Run 1")
    assert client.all()[0].task == "Run"
    with pytest.raises(BadInput, match="run, Run"):
        run(session, "RUN 1")


def test_without_a_worker_the_tasks_that_come_with_it_are_known(client: MemoryClient) -> None:
    client.known_workers = []
    session = session_of(client)
    for line in ("ADD 1 2", "multiply 1 2", "slow_task 20", 'encrypt "x"', "decompress abc"):
        run(session, line)
    assert [task.task for task in client.all()] == ["add", "multiply", "slow_task", "encrypt", "decompress"]


def test_help_lists_commands_and_tasks(client: MemoryClient) -> None:
    shown = text(session_of(client), "Help")
    for part in ("Show-Tasks [state]", "div <a> <b>", "The sum of the numbers."):
        assert part in shown
    client.down = {"redis"}
    assert "Show-Tasks [state]" in text(session_of(client), "Help")


@pytest.mark.parametrize(("name", "part"), [("reset", "--yes"), ("quit", "Exit"), ("GREET", "greet <name> [greeting]")])
def test_help_about_one(client: MemoryClient, name: str, part: str) -> None:
    assert part in text(session_of(client), f"Help {name}")


def test_help_about_nothing_known(client: MemoryClient) -> None:
    with pytest.raises(BadInput, match="did you mean Retry"):
        run(session_of(client), "Help retri")
