"""The log file of a server: bounded, shared by several processes, and never the reason why a server ends."""

import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from _yadtq import log_file
from _yadtq.log import Log
from _yadtq.log_file import LogFile
from tests.support.servers import ROOT

WRITER = """
import sys, io, pathlib
from _yadtq.log_file import LogFile
file = LogFile(pathlib.Path(sys.argv[1]), io.StringIO(), most=5_000, kept=50)
for number in range(500):
    file.write(f"{sys.argv[2]} {number}\\n")
"""


def lines(folder: Path) -> list[str]:
    """All lines, the oldest first."""
    files = sorted(folder.glob("server.log*"), key=lambda path: -int(path.suffix[1:] if path.suffix != ".log" else 0))
    return "".join(path.read_text(encoding="utf-8") for path in files).splitlines()


def test_the_files_do_not_grow_beyond_their_bound(tmp_path: Path) -> None:
    also = io.StringIO()
    file = LogFile(tmp_path / "server.log", also, most=2_000, kept=3)
    log = Log("INFO", file)
    for number in range(300):
        log.info("take", f"id{number}", "x" * 50)
        log.flush()
    file.close()
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes.keys() == {"server.log", "server.log.1", "server.log.2", "server.log.3"}
    assert max(sizes.values()) <= 2_000 + 200
    assert {path.stat().st_mode & 0o007 for path in tmp_path.iterdir()} == {0}  # not for everybody
    kept = lines(tmp_path)
    assert kept == also.getvalue().splitlines()[-len(kept) :]
    assert "id299" in kept[-1]


def test_a_burst_is_written_in_parts(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "server.log", io.StringIO(), most=100_000, kept=50)
    file.write("".join(f"{'x' * 100} {number}\n" for number in range(10_000)))
    file.close()
    assert len(list(tmp_path.iterdir())) > 5
    assert max(path.stat().st_size for path in tmp_path.iterdir()) < 100_000 + 64_200
    assert [line.rpartition(" ")[2] for line in lines(tmp_path)] == [str(number) for number in range(10_000)]


def test_several_processes_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], cwd=ROOT) for name in "abc"]
    assert [writer.wait(30) for writer in writers] == [0, 0, 0]
    written = lines(tmp_path)
    assert sorted(written) == sorted(f"{name} {number}" for name in "abc" for number in range(500))
    for name in "abc":
        its = [int(line.split()[1]) for line in written if line.startswith(name)]
        assert its == sorted(its)


def test_a_full_file_is_moved_aside_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes find it full at the same instant."""
    path = tmp_path / "server.log"

    @contextmanager
    def behind_another_one(_: Path) -> Iterator[None]:
        path.rename(tmp_path / "server.log.1")
        path.write_text("of the other\n", encoding="utf-8")
        yield

    file = LogFile(path, io.StringIO(), most=10)
    file.write("ten bytes\n")
    monkeypatch.setattr(log_file, "_alone_in", behind_another_one)
    file.write("next\n")
    file.close()
    assert path.read_text(encoding="utf-8") == "of the other\nnext\n"
    assert {each.name for each in tmp_path.iterdir()} == {"server.log", "server.log.1"}


def test_a_file_that_was_moved_away_is_made_again(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "server.log", io.StringIO())
    file.write("first\n")
    (tmp_path / "server.log").rename(tmp_path / "moved")
    file.write("second\n")
    file.close()
    assert (tmp_path / "server.log").read_text(encoding="utf-8") == "second\n"


def test_a_file_that_cannot_be_written_is_said_once_and_tried_again(tmp_path: Path) -> None:
    folder, also = tmp_path / "logs", io.StringIO()
    file = LogFile(folder / "server.log", also)
    shutil.rmtree(folder)
    file.write("one\n")
    file.write("two\n")
    assert also.getvalue().count("No such file or directory") == 1
    assert also.getvalue().startswith("one\n")
    folder.mkdir()
    file.write("three\n")
    file.close()
    assert (folder / "server.log").read_text(encoding="utf-8") == "three\n"


def test_a_place_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        LogFile(tmp_path / "file" / "server.log", io.StringIO())
