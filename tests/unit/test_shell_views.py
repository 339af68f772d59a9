"""Show-Tasks, View, Wait, Workers, Stats, Retry, Reset, Exit."""

from dataclasses import replace
from decimal import Decimal

import pytest

from shell.answers import TASK_FAILED, Leave, Line, Record, Table
from shell.parsing import BadInput
from shell.session import Manner
from tests.support.memory_client import MemoryClient, worker
from tests.support.shell_session import DIVISION, Answers, ends_at_once, run, session_of, text
from yadtq import AmbiguousId, Attempt, Failure, NotRetryable, Task, TaskNotFound, WaitTimeout


@pytest.fixture
def client() -> MemoryClient:
    return MemoryClient()


def test_show_tasks_has_the_newest_first(client: MemoryClient) -> None:
    session = session_of(client)
    run(session, "ADD 2 3")
    client.end(client.all()[0].id, 5)
    run(session, "DIV 1 0")
    client.end(client.all()[1].id, error=DIVISION)
    run(session, 'GREET "A b" loud=true')
    titles, _, *rows = text(session, "Show-Tasks").splitlines()
    assert titles.split() == ["id", "task", "state", "result", "worker", "age", "run", "time"]
    assert rows[0].split() == ["00000002", "greet", '"A', 'b"', "loud=true", "queued", "0s"]
    assert "div 1 0" in rows[1]
    assert "failed     ZeroDivisionError: division by zero  worker1" in rows[1]
    assert rows[2].split()[:6] == ["00000000", "add", "2", "3", "completed", "5"]
    assert "250 ms" in rows[2]


@pytest.mark.parametrize("line", ["Show-Tasks failed", "show-tasks FAILED", "Show-Tasks --status failed"])
def test_show_tasks_can_be_filtered(client: MemoryClient, line: str) -> None:
    session = session_of(client)
    run(session, "ADD 1")
    run(session, "DIV 1 0")
    client.end(client.all()[1].id, error=DIVISION)
    [table] = run(session, line)
    assert isinstance(table, Table)
    assert [row[1] for row in table.rows] == ["div 1 0"]


def test_show_tasks_comes_in_pages(client: MemoryClient) -> None:
    session = session_of(client)
    for number in range(45):
        client.submit("add", number)
    [first] = run(session, "Show-Tasks")
    [last] = run(session, "Show-Tasks --page 3")
    [more] = run(session, "Show-Tasks --limit 30")
    assert isinstance(first, Table)
    assert isinstance(last, Table)
    assert isinstance(more, Table)
    assert (len(first.rows), first.note) == (20, "page 1 of 3, 45 tasks · next: --page 2")
    assert (len(last.rows), last.note) == (5, "page 3 of 3, 45 tasks")
    assert len(more.rows) == 30
    assert text(session, "Show-Tasks --page 9") == "no tasks on this page\npage 9 of 3, 45 tasks"
    assert text(session, "Show-Tasks rejected") == "no task is rejected"


def test_the_data_of_show_tasks_is_complete(client: MemoryClient) -> None:
    session = session_of(client)
    run(session, "ADD 2 3.0")
    client.end(client.all()[0].id, Decimal("5.0"))
    [table] = run(session, "Show-Tasks --json")
    assert isinstance(table, Table)
    assert isinstance(table.data, list)
    [data] = table.data
    assert (data["status"], data["state"], data["result"]) == ("success", "completed", Decimal("5.0"))
    assert data["args"] == [2, Decimal("3.0")]


def test_view_has_every_field_and_the_attempts(client: MemoryClient) -> None:
    session = session_of(client)
    run(session, "DIV 1 0")
    task = client.all()[0]
    client.put(
        replace(
            task,
            status="failed",
            error=DIVISION,
            attempt=2,
            failures=1,
            crashes=1,
            worker_id="worker2~bbbbbbbb",
            submitted_by="host-1",
            started_at=1000.0,
            finished_at=1061.0,
            history=(Attempt(1, "worker1~aaaaaaaa", 990.0, 995.0, "crash", "its process died"),),
        )
    )
    shown = text(session, "View _")
    for part in (
        task.id,
        "state         failed",
        "args          [1,0]",
        "error         ZeroDivisionError: division by zero",
        "                File x",
        "attempts      2, 1 failed, 1 crashed",
        "worker        worker2~bbbbbbbb",
        "submitted by  host-1",
        "run time      1 min 1 s",
        "its process died",
    ):
        assert part in shown, part
    [record] = run(session, "View 0000 --json")
    assert isinstance(record, Record)
    assert isinstance(record.data, dict)
    assert [attempt["outcome"] for attempt in record.data["attempts"]] == ["crash", "failed"]


def test_view_shows_the_full_result(client: MemoryClient) -> None:
    ends_at_once(client, status="success", result="x" * 5000 + "\x1b")
    session = session_of(client)
    run(session, "ADD 1")
    assert "x" * 5000 + r"\x1b" in text(session, "View _")
    ends_at_once(client, status="success", result="")
    run(session, "ADD 1")
    assert 'result     ""' in text(session, "View _")


def test_view_shows_what_a_rejected_message_was(client: MemoryClient) -> None:
    client.put(Task("rejected-1", "rejected", "", [], {}, error=Failure("Rejected", "not JSON"), message=b"\xff{x"))
    shown = text(session_of(client), "View rejected-1")
    assert "Rejected: not JSON" in shown
    assert r"\xff{x" in shown


@pytest.mark.parametrize("command", ["View", "Wait", "Retry"])
def test_ids_may_be_short_but_not_ambiguous(client: MemoryClient, command: str) -> None:
    session = session_of(client)
    with pytest.raises(BadInput, match="there is none yet"):
        run(session, f"{command} _")
    client.put(Task("abc1", "failed", "add", [], {}, error=DIVISION))
    client.put(Task("abc2", "failed", "add", [], {}, error=DIVISION))
    assert run(session, f"{command} abc1")
    with pytest.raises(AmbiguousId, match="abc"):
        run(session, f"{command} abc")
    with pytest.raises(TaskNotFound):
        run(session, f"{command} nothing")


def test_wait_says_how_tasks_ended(client: MemoryClient) -> None:
    session = session_of(client)
    run(session, "ADD 2 3")
    run(session, "DIV 1 0")
    client.end(client.all()[0].id, 5)
    client.end(client.all()[1].id, error=DIVISION)
    lines = run(session, "Wait")
    assert [line.text for line in lines if isinstance(line, Line)] == [
        "00000000  completed  add 2 3 = 5  (250 ms, worker1)",
        "00000001  failed  div 1 0 · ZeroDivisionError: division by zero  (250 ms, worker1)",
    ]
    assert [line.code for line in lines if isinstance(line, Line)] == [0, TASK_FAILED]
    assert not session.own.running()
    assert "name one" in text(session, "Wait")


def test_wait_gives_up_in_time(client: MemoryClient) -> None:
    session = session_of(client)
    run(session, "ADD 2 3")
    with pytest.raises(WaitTimeout, match="00000000 had not ended after 0 s; nothing was cancelled"):
        run(session, "Wait _ --timeout 0")


def test_workers_and_stats(client: MemoryClient) -> None:
    client.known_workers = [worker("gone", state="offline"), worker("busy", busy=1, running=("abcdef",))]
    session = session_of(client)
    rows = text(session, "Workers").splitlines()[2:]
    assert rows[0].split()[:3] == ["busy", "online", "1/3"]
    assert rows[0].endswith("abcdef")
    assert rows[1].split()[:2] == ["gone", "offline"]
    assert "unread in kafka  7" in text(session, "Stats")
    client.down = {"kafka"}
    assert "unread in kafka  unknown: Kafka does not answer" in text(session, "Stats")
    client.known_workers = []
    assert "start one: python worker.py" in text(session, "Workers")


def test_a_pipe_waits_for_its_own_tasks_before_it_reads(client: MemoryClient, monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_of(client, Manner.PIPE)
    run(session, "ADD 2 3")

    def end_while_waited_for(ids: set[str], timeout: float | None = None) -> list[Task]:
        for task_id in ids:
            client.end(task_id, 5)
        return MemoryClient.wait_any(client, ids, timeout)

    monkeypatch.setattr(client, "wait_any", end_while_waited_for)
    assert "queued" in text(session, "Show-Tasks --no-wait")
    assert "completed" in text(session, "Show-Tasks")


def test_a_pipe_does_not_wait_for_ever(client: MemoryClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shell.session.OWN_TASKS_SECONDS", 0.0)
    session = session_of(client, Manner.PIPE)
    run(session, "ADD 2 3")
    note, table = run(session, "Show-Tasks")
    assert isinstance(note, Line)
    assert note.problem
    assert "1 of this session's tasks" in note.text
    assert isinstance(table, Table)


def test_a_pipe_does_not_wait_for_what_was_reset(client: MemoryClient) -> None:
    session = session_of(client, Manner.PIPE)
    run(session, "ADD 2 3")
    client.reset()
    assert text(session, "Show-Tasks") == "no tasks yet; submit one: ADD 2 3"


def test_retry_is_for_failed_tasks(client: MemoryClient) -> None:
    session = session_of(client)
    run(session, "ADD 1")
    with pytest.raises(NotRetryable, match="is queued"):
        run(session, "Retry _")
    client.end(client.all()[0].id, error=DIVISION)
    session.own.forget(client.all()[0].id)
    assert text(session, "Retry _") == "00000000  queued"
    assert session.own.running() == {client.all()[0].id}


@pytest.mark.parametrize(("answer", "removed"), [("yes", True), (" YES ", True), ("y", False), ("no", False)])
def test_reset_asks_first(client: MemoryClient, answer: str, removed: bool) -> None:
    asker = Answers(answer)
    session = session_of(client, asker=asker)
    run(session, "ADD 1")
    assert text(session, "Reset") == ("removed 1 task" if removed else "nothing was removed")
    assert asker.questions == ["remove all 1 tasks, 0 of them in progress? (yes/no) "]
    assert bool(client.all()) is not removed
    assert bool(session.own.running()) is not removed


def test_reset_without_a_person_needs_the_word(client: MemoryClient) -> None:
    session = session_of(client, Manner.PIPE, Answers(person=False))
    run(session, "ADD 1")
    run(session, "ADD 2")
    with pytest.raises(BadInput, match="Reset --yes"):
        run(session, "Reset")
    assert text(session, "Reset --yes") == "removed 2 tasks"
    assert text(session_of(client, asker=Answers()), "Reset") == "nothing was removed"


def test_exit_says_what_still_runs(client: MemoryClient) -> None:
    session = session_of(client)
    assert run(session, "Exit") == [Leave()]
    run(session, "ADD 1")
    [answer] = run(session, "quit")
    assert isinstance(answer, Leave)
    assert answer.text == "still running: 1 task of this session; nothing was cancelled"
