"""What monitor.py prints without a terminal, and how it is called."""

import ast
import json
from pathlib import Path

import pytest

import monitor
from dashboard.report import data_of, text_of
from tests.support.memory_operator import MemoryOperator
from tests.support.queue_pictures import NOW, counts, lost_worker, snapshot, worker
from yadtq import Settings

FORM = """=== WORKERS ===
worker:worker1 state online last_seen 1755103784 tasks_executed 3
worker:worker2 state draining last_seen 1755103783 tasks_executed 2
=== TASKS === {'queued': 0, 'processing': 1, 'success': 4, 'failed': 0}"""


def test_the_form_is_that_of_old() -> None:
    two = (
        worker("worker2", last_seen=NOW - 0.5, tasks_executed=2, state="draining"),
        worker("worker1", last_seen=NOW + 0.9, tasks_executed=3),
    )
    assert text_of(snapshot(counts(processing=1, success=4), workers=two)) == FORM


def test_rejected_messages_are_counted_when_there_are_some() -> None:
    shown = text_of(snapshot(counts(rejected=2), workers=()))
    assert shown == (
        "=== WORKERS ===\n=== TASKS === {'queued': 0, 'processing': 0, 'success': 0, 'failed': 0, 'rejected': 2}"
    )
    assert ast.literal_eval(shown.partition("TASKS === ")[2])["rejected"] == 2


def test_of_each_name_one_worker_is_shown() -> None:
    known = (
        worker("w10", id="w10~a", state="offline", started_at=NOW - 9, tasks_executed=1),
        worker("w10", id="w10~b", started_at=NOW - 20, tasks_executed=2),
        worker("w10", id="w10~c", started_at=NOW - 10, tasks_executed=3),
        worker("w2", id="w2~a", state="offline", started_at=NOW - 9, tasks_executed=4),
        worker("w2", id="w2~b", state="offline", started_at=NOW - 99, tasks_executed=5),
    )
    lines = text_of(snapshot(workers=known)).split("\n")[1:-1]
    assert [line.split()[0] + line.split()[-1] for line in lines] == ["worker:w24", "worker:w103"]


def test_a_name_cannot_steer_the_terminal() -> None:
    assert "worker:\\x1b[2J\\n state" in text_of(snapshot(workers=(worker("\x1b[2J\n"),)))


def test_json_has_the_whole_picture() -> None:
    now = snapshot(failures=(lost_worker(),), lag=None)
    data = data_of(now)
    fields = {
        "at",
        "workers",
        "servers",
        "failures",
        "spans",
        "waiting_seconds",
        "quarantine",
        "relay",
        "lag",
        "health",
    }
    assert fields <= data.keys()
    stats = {"slots", "busy", "ready", "delayed", "unread", "outbox", "epoch", "generation", "counts"}
    assert stats <= data.keys()
    assert set(now.__dataclass_fields__) - {"stats"} == fields
    assert set(now.stats.__dataclass_fields__) - {"workers"} == stats
    assert data["failures"][0]["tasks"][0] == {"id": "task0001", "begun": True, "status": "success"}
    assert len(json.dumps(data)) > 100


# -- the program


class Opened(MemoryOperator):
    """An operator that monitor.py opens. The class is told what is wrong with the servers."""

    down: frozenset[str] = frozenset()

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.memory.down = set(self.down)

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *_: object) -> None:
        self.memory.close()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> type[Opened]:
    monkeypatch.setattr(monitor, "Operator", Opened)
    monkeypatch.setattr(Opened, "down", frozenset())
    return Opened


@pytest.mark.usefixtures("opened")
def test_without_a_terminal_one_picture_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--once"], []):
        assert monitor.main(arguments) == 0
        out, err = capsys.readouterr()
        assert out.startswith("=== WORKERS ===\nworker:worker1 state online")
        assert (out.count("\n"), err) == (3, "")


@pytest.mark.usefixtures("opened")
def test_json_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert monitor.main(["--json"]) == 0
    out, _ = capsys.readouterr()
    assert out.count("\n") == 1
    assert json.loads(out)["workers"][0]["worker_id"] == "worker1"


def test_without_redis_nothing_can_be_said(opened: type[Opened], capsys: pytest.CaptureFixture[str]) -> None:
    opened.down = frozenset({"redis"})
    assert monitor.main(["--once"]) == 3
    out, err = capsys.readouterr()
    assert (out, err) == ("", "Redis at 127.0.0.1:1 does not answer: is it running?\n")


def test_without_kafka_all_is_said_but_what_only_kafka_knows(
    opened: type[Opened], capsys: pytest.CaptureFixture[str]
) -> None:
    opened.down = frozenset({"kafka"})
    assert monitor.main(["--once"]) == 3
    out, err = capsys.readouterr()
    assert out.startswith("=== WORKERS ===")
    assert err == "Kafka does not answer\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--port", "70000"], "--port: 70000 cannot be used: expected a number from"),
        (["--once", "--web"], "not allowed with argument"),
        (["--monitor-token", "hidden"], "a secret is no argument: set MONITOR_TOKEN or MONITOR_TOKEN_FILE"),
    ],
)
def test_wrong_use_is_said(arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        monitor.main(arguments)
    assert left.value.code == 2
    err = capsys.readouterr().err
    assert reason in err
    assert "hidden" not in err


def test_a_setting_that_cannot_be_used_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert monitor.main(["--redis-port", "x"]) == 2
    assert capsys.readouterr().err.startswith("--redis-port: 'x' cannot be used")


# -- the way to the web page


def test_the_web_page_gets_its_address_and_the_token_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    monkeypatch.setenv("MONITOR_TOKEN", "from-the-environment")
    calls: list[tuple[object, ...]] = []

    def serve(_: Settings, *given: object) -> int:
        calls.append(given)
        return 7

    monkeypatch.setattr("dashboard.web.program.serve", serve)
    assert monitor.main(["--web"]) == 7
    address = ["--host", "::1", "--port", "0", "--name", "a.example", "--name", "b.example"]
    assert monitor.main(["--web", *address, "--token-file", str(tmp_path / "token")]) == 7
    assert calls == [
        ("127.0.0.1", 8080, "from-the-environment", []),
        ("::1", 0, "from-a-file", ["a.example", "b.example"]),
    ]


def test_a_token_file_that_cannot_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert monitor.main(["--web", "--token-file", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.startswith("MONITOR_TOKEN_FILE: cannot read")
