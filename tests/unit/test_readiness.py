"""The file that says whether a worker is ready."""

import os
from pathlib import Path

from _yadtq.readiness import Readiness


def test_the_file_is_there_while_both_servers_answer(tmp_path: Path) -> None:
    path = tmp_path / "ready"
    readiness = Readiness(str(path))
    for server, works, there in (
        ("redis", True, False),
        ("kafka", True, True),
        ("redis", False, False),
        ("kafka", True, False),
        ("redis", True, True),
        ("kafka", False, False),
    ):
        readiness.tell(server, works=works)
        assert path.exists() == there
    readiness.tell("kafka", works=True)
    readiness.end()
    assert not path.exists()


def test_a_program_names_what_it_needs(tmp_path: Path) -> None:
    readiness = Readiness(str(tmp_path / "ready"), ("kafka", "files"))
    readiness.tell("kafka", works=True)
    assert not (tmp_path / "ready").exists()
    readiness.tell("files", works=True)
    assert (tmp_path / "ready").exists()


def test_it_is_touched_again_and_again_but_not_each_time(tmp_path: Path) -> None:
    path = tmp_path / "ready"
    readiness = Readiness(str(path))
    readiness.tell("redis", works=True)
    readiness.tell("kafka", works=True)
    os.utime(path, (1, 1))
    readiness.tell("redis", works=True)
    assert path.stat().st_mtime == 1  # within the same second


def test_a_folder_that_is_gone_and_no_path_are_no_errors(tmp_path: Path) -> None:
    for path in (str(tmp_path / "none" / "ready"), ""):
        readiness = Readiness(path)
        readiness.tell("redis", works=True)
        readiness.tell("kafka", works=True)
        readiness.end()
