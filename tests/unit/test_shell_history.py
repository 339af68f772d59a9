"""The history of typed lines is shared by sessions, bounded, and never in the way."""

import asyncio
import threading
from pathlib import Path

import pytest

from shell import history
from shell.history import SharedHistory, state_folder


def loaded(path: Path) -> list[str]:
    """The lines, newest first, as the prompt loads them."""

    async def read() -> list[str]:
        return [line async for line in SharedHistory(path).load()]

    return asyncio.run(read())


def test_lines_come_back_newest_first(tmp_path: Path) -> None:
    path = tmp_path / "state" / "history"
    first = SharedHistory(path)
    first.append_string("ADD 2 3")
    first.append_string("compress 'ü'\nStats")
    first.append_string("  ")
    assert loaded(path) == ["Stats", "compress 'ü'", "ADD 2 3"]
    assert path.stat().st_mode & 0o077 == 0


def test_sessions_write_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "history"

    def write(name: str) -> None:
        session = SharedHistory(path)
        for number in range(100):
            session.append_string(f"{name} {number}")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(loaded(path)) == sorted(f"{name} {number}" for name in "abcd" for number in range(100))


def test_the_file_is_bounded_and_keeps_the_latest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "LARGEST", 1000)
    monkeypatch.setattr(history, "KEPT", 500)
    session = SharedHistory(tmp_path / "history")
    for number in range(500):
        session.append_string(f"line {number}")
    assert (tmp_path / "history").stat().st_size <= 1000
    lines = loaded(tmp_path / "history")
    assert lines == [f"line {number}" for number in range(499, 499 - len(lines), -1)]
    assert len(lines) > 20


def test_what_is_not_text_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_bytes(b"good\n\xff\xfe\n")
    SharedHistory(path).append_string("lone \udcff surrogate")
    assert loaded(path)[-1] == "good"
    assert loaded(path)[0] == "lone ? surrogate"


def test_without_a_place_it_is_in_memory_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    session = SharedHistory(tmp_path / "file" / "history")
    assert "in memory only" in session.problem
    session.append_string("ADD 2 3")
    assert session.get_strings() == ["ADD 2 3"]


def test_the_place_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_folder({"XDG_STATE_HOME": "/state"}) == Path("/state/yadtq")
    assert state_folder({}) == tmp_path / ".local" / "state" / "yadtq"
    assert state_folder({"XDG_STATE_HOME": "relative"}) == tmp_path / ".local" / "state" / "yadtq"
