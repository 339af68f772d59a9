"""The program logger.py, as far as it comes without servers: flags, exit codes, a folder that cannot be used."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import logger
from _yadtq.history import Row
from tests.support.waiting import eventually
from yadtq import Cursor, Event, Logbook, ServerUnreachable, Settings

Printed = pytest.CaptureFixture[str]


def folder_of(path: Path, owner: str = "yadtq") -> Logbook:
    return Logbook(path, owner, 1000, 1)


@pytest.mark.parametrize(
    "flags", [["--json"], ["--bytes", "0"], ["--bytes", "x"], ["--keep", "-1"], ["--task", ""], ["--unknown"]]
)
def test_a_wrong_flag_is_wrong_use(flags: list[str], capsys: Printed) -> None:
    with pytest.raises(SystemExit) as ended:
        logger.main(flags)
    assert ended.value.code == 2
    assert "usage: " in capsys.readouterr().err


def test_a_setting_that_cannot_be_used_is_one_line(capsys: Printed) -> None:
    assert logger.main(["--kafka-broker", "here"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def of_another_queue(path: Path) -> None:
    folder_of(path, "ours\x1b[2J").close()


def spoiled(path: Path) -> None:
    folder_of(path).close()
    (path / "logger.json").write_text("[]")


def with_a_strange_mark(path: Path) -> None:
    with folder_of(path) as book:
        book.commit('{"offset": 3}')


@pytest.mark.parametrize("task", [[], ["--task", "x"]])
@pytest.mark.parametrize("make", [of_another_queue, spoiled, with_a_strange_mark])
def test_a_folder_of_something_else_is_left_alone(
    make: Callable[[Path], None], task: list[str], tmp_path: Path, capsys: Printed
) -> None:
    if make is of_another_queue and task:
        return  # then Kafka is asked
    make(tmp_path)
    assert logger.main(["--log-folder", str(tmp_path), *task]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.rstrip("\n").isprintable()
    assert "choose another folder" in said or "cannot be read: delete it" in said


def test_a_folder_in_use_is_left_alone(tmp_path: Path, capsys: Printed) -> None:
    with folder_of(tmp_path):
        assert logger.main(["--log-folder", str(tmp_path)]) == 3
    assert capsys.readouterr().err.count("one is enough") == 1


def test_a_folder_that_cannot_be_written_is_told_once_and_tried_again(
    tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logger, "RETRY_SECONDS", 0.01)
    in_the_way = tmp_path / "logs"
    in_the_way.touch()
    settings = Settings.load({}, log_folder=str(in_the_way), kafka_broker="127.0.0.1:1")
    program = logger.Logger(settings, 1000, 1)
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(program.run()))
    thread.start()
    said = ""

    def has_said(words: str) -> bool:
        nonlocal said
        said += capsys.readouterr().err
        return words in said

    eventually(lambda: has_said("cannot be written: File exists; nothing is lost meanwhile (trying again)"))
    in_the_way.unlink()
    eventually(lambda: has_said("it works again"))
    program.stop()
    thread.join(20)
    assert codes == [0]
    assert said.count("cannot be written") == 1
    assert (in_the_way / "logger.json").exists()


class NoKafka:
    """An EventReader that reaches nobody."""

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> "NoKafka":
        return self

    def __exit__(self, *_: object) -> None: ...

    def beginning(self) -> Cursor:
        return Cursor()

    def read_all(self, *_: object) -> list[Event]:
        raise ServerUnreachable("kafka", "Kafka does not answer")


def taken(*ids: str) -> Event:
    tasks = [{"action": "take", "id": task_id, "attempt": 1, "worker": "w\x1b[2J"} for task_id in ids]
    told = {"generation": 1, "token": "1-1", "seq": 1, "epoch": 0, "at": "1.000", "script": "take", "actor": "w"}
    event = Cursor().accept(Row(0, b"1-1", json.dumps(told | {"tasks": tasks}).encode(), 0.0))
    assert event is not None
    return event


@pytest.mark.parametrize(("asked", "code"), [("a", 1), ("a1", 0), ("b", 0), ("c", 3)])
def test_what_stands_in_the_files_steers_no_terminal(
    asked: str, code: int, tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logger, "EventReader", NoKafka)
    with folder_of(tmp_path) as book:
        book.note(taken("a1", "a1\x1b[2J", "a\u202e", "b\n\x9b"))
        book.save()
    assert logger.main(["--log-folder", str(tmp_path), "--task", asked]) == code
    printed = capsys.readouterr()
    assert all(line.isprintable() for line in (printed.out + printed.err).split("\n"))
    assert ("task " in printed.out) == (code == 0)
    assert f"Kafka does not answer; only what {tmp_path} has is known" in printed.err
