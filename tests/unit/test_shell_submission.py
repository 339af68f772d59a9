"""Tasks are submitted by their name, or step by step."""

from decimal import Decimal

import pytest

from shell.answers import TASK_FAILED, Line, Stream
from shell.commands import perform, understand
from shell.parsing import BadInput, tokens_of_line
from shell.session import Manner
from tests.support.memory_client import MemoryClient, signature, worker
from tests.support.shell_session import DIVISION, Answers, ends_at_once, run, session_of, text
from yadtq import ServerUnreachable


@pytest.fixture
def client() -> MemoryClient:
    return MemoryClient()


def test_a_task_is_submitted_by_its_name_in_any_case(client: MemoryClient) -> None:
    session = session_of(client)
    [answer] = run(session, "ADD 2 3.50 [1,2]")
    [task] = client.all()
    assert (task.task, task.args) == ("add", [2, Decimal("3.50"), [1, 2]])
    assert answer == Line("00000000  queued", {"id": task.id, "status": "queued"}, "queued")
    run(session, 'submit GREET Ann loud=true greeting="good day"')
    assert client.all()[1].kwargs == {"loud": True, "greeting": "good day"}
    assert session.own.running() == {task.id for task in client.all()}


def test_a_task_with_the_name_of_a_command_is_reached_by_submit(client: MemoryClient) -> None:
    client.known_workers = [worker(tasks=(signature("view", "a: int"),))]
    run(session_of(client), "Submit view 5")
    assert client.all()[0].task == "view"


def test_an_operand_named_like_a_parameter_of_the_client_is_still_an_operand(client: MemoryClient) -> None:
    client.known_workers = [worker(tasks=(signature("look", "task_id: str"),))]
    run(session_of(client), "look task_id=abc")
    assert client.all()[0].kwargs == {"task_id": "abc"}


def test_as_the_only_command_it_waits_and_prints_the_result(client: MemoryClient) -> None:
    ends_at_once(client, status="success", result={"n": Decimal("2.50")})
    assert text(session_of(client, Manner.ONE_SHOT), "ADD 2 3") == '{"n": 2.50}'
    ends_at_once(client, status="failed", error=DIVISION)
    [answer] = run(session_of(client, Manner.ONE_SHOT), "DIV 1 0")
    assert isinstance(answer, Line)
    assert (answer.text, answer.code, answer.problem) == (
        "failed: ZeroDivisionError: division by zero",
        TASK_FAILED,
        True,
    )


def test_as_the_only_command_it_need_not_wait(client: MemoryClient) -> None:
    assert text(session_of(client, Manner.ONE_SHOT), "ADD 2 3 --no-wait") == client.all()[0].id


def test_a_server_lost_while_waiting_does_not_lose_the_task(client: MemoryClient) -> None:
    session = session_of(client, Manner.ONE_SHOT)
    call = understand(session, "ADD 2 3", tokens_of_line("ADD 2 3"))
    [stream] = perform(session, call)
    assert isinstance(stream, Stream)
    client.down = {"redis"}
    with pytest.raises(ServerUnreachable, match=f"goes on; look later: python client.py view {client.all()[0].id}"):
        list(stream.answers)


def test_a_pipe_prints_whole_ids(client: MemoryClient) -> None:
    assert text(session_of(client, Manner.PIPE), "ADD 2 3") == client.all()[0].id


def test_enter_asks_step_by_step(client: MemoryClient) -> None:
    asker = Answers("DIV", "6", "3", "")
    run(session_of(client, asker=asker), "Enter")
    assert asker.questions == ["operation: ", "a: ", "b: ", "(Enter submits) "]
    assert client.all()[0].args == [6, 3]


def test_enter_asks_again_after_a_mistake(client: MemoryClient) -> None:
    asker = Answers("DVI", "div", "x", "6", "", "3", "4", "")
    run(session_of(client, asker=asker), "Enter")
    assert [message[:24] for message in asker.refused] == [
        "unknown task 'DVI'; did ",
        "operand 1 of div must be",
        "b is missing: div <a> <b",
        "it takes at most 2 opera",
    ]
    assert client.all()[0].args == [6, 3]


@pytest.mark.parametrize("answers", [("",), ("  ",), (), ("add",), ("add", "1")])
def test_enter_can_be_left(client: MemoryClient, answers: tuple[str, ...]) -> None:
    assert text(session_of(client, asker=Answers(*answers)), "Enter") == "nothing was submitted"
    assert not client.all()


@pytest.mark.parametrize("answers", [("add", "1", "2", ""), ("add", "1", "2")])
def test_enter_reads_a_pipe(client: MemoryClient, answers: tuple[str, ...]) -> None:
    run(session_of(client, Manner.PIPE, Answers(*answers, person=False)), "Enter")
    assert client.all()[0].args == [1, 2]


@pytest.mark.parametrize(
    "answers", [("nope", "1", "", "Stats"), ("div", "x", "1", "", "Stats"), ("div", "1", "", "Stats")]
)
def test_after_a_mistake_in_a_pipe_operands_are_not_taken_for_commands(
    client: MemoryClient, answers: tuple[str, ...]
) -> None:
    asker = Answers(*answers, person=False)
    with pytest.raises(BadInput):
        run(session_of(client, Manner.PIPE, asker), "Enter")
    assert asker.lines == ["Stats"]
    assert not client.all()
