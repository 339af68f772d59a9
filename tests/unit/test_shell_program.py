"""client.py from its arguments and from a pipe: what is written where, and the exit codes."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import client as program
from shell.oneshot import TerminalAsker
from shell.parsing import BadInput
from tests.support.memory_client import MemoryClient
from tests.support.shell_session import DIVISION, ends_at_once
from yadtq import Failure, Task

ROOT = Path(program.__file__).parent


class Run:
    """Runs client.py with a client in memory."""

    def __init__(self, memory: MemoryClient, captured: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.client = memory
        self._captured = captured
        self._patch = patch
        self.out = self.err = ""
        patch.setattr(program, "TaskClient", lambda settings: memory)

    def __call__(self, *arguments: str, pipe: str = "") -> int:
        self._patch.setattr(sys, "stdin", io.StringIO(pipe))
        code = program.main(arguments)
        self.out, self.err = self._captured.readouterr()
        return code


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(MemoryClient(), capsys, monkeypatch)


# -- one command


def test_a_task_prints_its_result(run: Run) -> None:
    ends_at_once(run.client, status="success", result=5)
    assert run("ADD", "2", "3") == 0
    assert (run.out, run.err) == ("5\n", "")
    assert run.client.closed


def test_a_failed_task_is_exit_code_1(run: Run) -> None:
    ends_at_once(run.client, status="failed", error=DIVISION)
    assert run("DIV", "1", "0") == 1
    assert (run.out, run.err) == ("", "failed: ZeroDivisionError: division by zero\n")
    assert run("--json", "DIV", "1", "0") == 1
    assert json.loads(run.out)["error"]["type"] == "ZeroDivisionError"


def test_arguments_that_a_system_shell_has_split_are_whole(run: Run) -> None:
    ends_at_once(run.client, status="success", result="x")
    assert run("compress", "some text") == 0
    assert run.client.all()[0].args == ["some text"]
    assert run("SUB", "-5", "2") == 0
    assert run.client.all()[1].args == [-5, 2]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("SLEEP", "soon"), 2, "operand 1 of sleep must be a number, not the text 'soon'\n  SLEEP soon\n        ^\n"),
        (("show-task",), 2, "unknown command or task 'show-task'; did you mean Show-Tasks?\n  show-task\n  ^\n"),
        (("view", "nothing"), 1, "no task has an id that begins with nothing\n"),
        (("view", "0000"), 1, "0000"),
        (("--query", "nothing"), 1, "no task has an id that begins with nothing\n"),
        (("--submit", "add", "[1"), 2, "not JSON"),
        (("--submit", "add", "5"), 2, "the operands must be a JSON list or object, for example [1,2,3]\n  5\n  ^\n"),
        (("--submit", "nope", "[1]"), 2, "unknown task 'nope'"),
        (("--submit", "add", "[1]", "[2]"), 2, "one JSON list or object"),
        (("--redis-port", "x", "stats"), 2, "--redis-port: 'x' cannot be used"),
        (("reset",), 2, "Reset --yes"),
    ],
)
def test_mistakes_are_said_on_the_error_output(run: Run, arguments: tuple[str, ...], code: int, said: str) -> None:
    run.client.submit("add", 1)
    run.client.put(replace(run.client.all()[0], id="0000x"))
    assert run(*arguments) == code
    assert said in run.err
    assert run.out == ""


@pytest.mark.parametrize("arguments", [("ADD", "1"), ("stats",), ("--query", "x"), ("--submit", "add"), ("nope",)])
def test_unreachable_servers_are_exit_code_3(run: Run, arguments: tuple[str, ...]) -> None:
    run.client.down = {"kafka", "redis"}
    assert run(*arguments) == 3
    assert run.err == "redis does not answer at 127.0.0.1; is it running?\n"


@pytest.mark.parametrize("arguments", [("--bad",), ("--query", "x", "stats"), ("--query", "x", "--submit", "add")])
def test_flags_that_cannot_be_are_exit_code_2(run: Run, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(*arguments)


def test_ctrl_c_stops_waiting_and_says_that_the_task_goes_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(ids: set[str], timeout: float | None = None) -> list[Task]:
        raise KeyboardInterrupt

    monkeypatch.setattr(run.client, "wait_any", interrupted)
    assert run("sleep", "100") == 130
    assert run.err == f"stopped waiting; {run.client.all()[0].id} goes on (nothing was cancelled)\n"


def test_commands_answer_in_json(run: Run) -> None:
    run.client.submit("add", 1)
    assert run("show-tasks", "--json") == 0
    [task] = json.loads(run.out)
    assert task["state"] == "queued"
    assert run("--json", "workers") == 0
    assert json.loads(run.out)[0]["worker_id"] == "worker1"


# -- the forms of the first READMEs


@pytest.mark.parametrize(
    ("words", "args", "kwargs"),
    [
        (("add", "[1,2,3]"), [1, 2, 3], {}),
        (("ADD", "[[1,2]]"), [[1, 2]], {}),
        (("add",), [], {}),
        (("greet", '{"name": "Ann", "loud": true}'), [], {"name": "Ann", "loud": True}),
    ],
)
def test_submit_prints_only_the_id(run: Run, words: tuple[str, ...], args: list[Any], kwargs: dict[str, Any]) -> None:
    assert run("--submit", *words) == 0
    [task] = run.client.all()
    assert (task.args, task.kwargs) == (args, kwargs)
    assert (run.out, run.err) == (f"{task.id}\n", "")


@pytest.mark.parametrize(
    ("values", "status", "result"),
    [
        ({"status": "queued"}, "queued", "None"),
        ({"status": "processing"}, "processing", "None"),
        ({"status": "success", "result": 6}, "success", "6"),
        ({"status": "success", "result": None}, "success", "null"),
        ({"status": "success", "result": [1, "a"]}, "success", '[1, "a"]'),
        ({"status": "success", "result": "two\nlines\x1b"}, "success", r"two\nlines\x1b"),
        ({"status": "failed", "error": DIVISION}, "failed", "ZeroDivisionError: division by zero"),
        ({"status": "rejected", "error": Failure("Rejected", "not JSON")}, "rejected", "Rejected: not JSON"),
    ],
)
def test_query_prints_three_lines_in_every_state(run: Run, values: dict[str, Any], status: str, result: str) -> None:
    ends_at_once(run.client, **values)
    task_id = run.client.submit("add", 1)
    for given in (task_id, task_id[:6]):
        assert run("--query", given) == 0
        assert run.out == f"Task ID: {task_id}\nStatus: {status}\nResult: {result}\n"
    assert run("--query", task_id, "--json") == 0
    assert json.loads(run.out)["status"] == status


# -- a pipe


def test_a_pipe_is_answered_line_by_line(run: Run) -> None:
    ends_at_once(run.client, status="success", result=5)
    assert run(pipe="# a comment\n\n  ADD 2 3\r\nShow-Tasks\nExit\nADD 9 9\n") == 0
    first, *table = run.out.splitlines()
    assert first == run.client.all()[0].id
    assert "completed" in table[2]
    assert len(run.client.all()) == 1
    assert run.err == ""


def test_a_pipe_without_a_last_newline_or_exit(run: Run) -> None:
    assert run(pipe="ADD 2 3") == 0
    assert len(run.client.all()) == 1


@pytest.mark.parametrize(
    ("pipe", "code"),
    [
        ("Stats\n", 0),
        ("View x\nStats\n", 1),
        ("View x\nnonsense\nStats\n", 2),
        ("DIV 1\nADD 1\n", 2),
        ("ADD 1\nWait _\nStats\n", 1),
        ("ADD \udcff\n", 2),
    ],
)
def test_the_worst_exit_code_of_a_pipe_counts(run: Run, pipe: str, code: int) -> None:
    ends_at_once(run.client, status="failed", error=DIVISION)
    assert run(pipe=pipe) == code


def test_a_pipe_goes_on_after_a_mistake(run: Run) -> None:
    assert run(pipe="nonsense\nADD 1\n") == 2
    assert run.out == f"{run.client.all()[0].id}\n"
    assert run.err.startswith("unknown command or task 'nonsense'")


def test_enter_takes_its_answers_from_the_pipe(run: Run) -> None:
    assert run(pipe="Enter\nADD\n2\n3\n\nADD 9\n") == 0
    assert [task.args for task in run.client.all()] == [[2, 3], [9]]
    assert run.out.splitlines() == [task.id for task in run.client.all()]


def test_a_pipe_in_json(run: Run) -> None:
    assert run("--json", "--no-wait", pipe="ADD 2 3\nShow-Tasks\nReset --yes\n") == 0
    submitted, tasks, removed = (json.loads(line) for line in run.out.splitlines())
    assert submitted["status"] == "queued"
    assert [task["id"] for task in tasks] == [submitted["id"]]
    assert removed == {"removed": 1}


# -- questions of a single command


def answered(patch: pytest.MonkeyPatch, lines: str) -> TerminalAsker:
    """A person who types these lines."""
    patch.setattr(sys, "stdin", io.StringIO(lines))
    return TerminalAsker(can_confirm=True)


def test_questions_go_to_the_error_output_and_are_asked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check(text: str) -> None:
        if "6" not in text:
            raise BadInput("a six is missing\x1b", text, 0)

    assert answered(monkeypatch, "5\n6\n").ask("number: ", (), check) == "6"
    out, err = capsys.readouterr()
    assert (out, err) == ("", "number: a six is missing\\x1b\nnumber: ")


def test_no_answer_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EOFError):
        answered(monkeypatch, "").ask("number: ", (), str)


def test_without_a_person_a_wrong_answer_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(text: str) -> None:
        raise BadInput("no")

    asker = answered(monkeypatch, "5\n")
    asker.can_confirm = False
    with pytest.raises(BadInput, match="no"):
        asker.ask("number: ", (), refuse)


# -- the program as a whole


def imported(*arguments: str) -> set[str]:
    """The modules that a run of client.py has loaded."""
    code = "import sys, client\ntry:\n client.main()\nexcept SystemExit: pass\nprint('#', *sys.modules)"
    process = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return set(process.stdout.rpartition("#")[2].split())


@pytest.mark.parametrize("arguments", [("--help",), ("--redis-port", "1", "stats")])
def test_what_is_slow_to_import_is_not_needed_for_one_command(arguments: tuple[str, ...]) -> None:
    assert not {"prompt_toolkit", "tabulate", "wcwidth", "cryptography.fernet"} & imported(*arguments)


def test_help_names_every_setting_but_no_secret() -> None:
    process = subprocess.run(
        [sys.executable, "client.py", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert "--kafka-broker" in process.stdout
    assert "Show-Tasks" in process.stdout
    assert "password" not in process.stdout


UNREACHABLE = ("--kafka-broker", "127.0.0.1:1", "--redis-host", "127.0.0.1", "--redis-port", "1")


def test_nobody_reading_the_output_is_quiet() -> None:
    with subprocess.Popen(
        [sys.executable, "client.py", *UNREACHABLE],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, errors = communicate(process, "Help view\n" * 10)
        assert errors == ""
        assert process.returncode == program.OUTPUT_CLOSED


def communicate(process: "subprocess.Popen[str]", text: str) -> tuple[str, str]:
    """Writes to a program whose output is closed already, and reads its errors."""
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(text)
    process.stdin.close()
    errors = process.stderr.read()
    process.wait(30)
    return "", errors


def test_libraries_that_log_or_warn_are_not_seen(run: Run) -> None:
    code = (
        "import client, logging, warnings, threading\n"
        "client._quiet_libraries()\n"
        "logging.getLogger('kafka').error('spilled')\n"
        "warnings.warn('spilled')\n"
    )
    process = subprocess.run(
        [sys.executable, "-W", "default", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert (process.stdout, process.stderr) == ("", "")
