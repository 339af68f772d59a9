"""The files of the logger: killed at any step, they have neither a gap nor a repeat."""

import fcntl
import io
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from _yadtq import journal
from _yadtq.errors import SettingError
from _yadtq.journal import LOCK, STATE, Journal, committed_parts, lines_with
from tests.support.failing_disk import FailingDisk, Killed
from tests.support.servers import ROOT

NAMES = ("a.log", "b.jsonl")
COUNT = 24  # lines of each file
MOST, ALL = 35, 1000  # bytes: a handful of lines; files kept


@pytest.fixture(autouse=True)
def no_real_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for no disk; what a loss of power leaves FailingDisk knows."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def opened(folder: Path, most: int = MOST, keep: int = ALL, owner: str = "q") -> Journal:
    return Journal(folder, NAMES, owner, most, keep)


def line(number: int, name: str) -> bytes:
    return f"{number} {name[0] * (number % 5)}\n".encode()


def write(folder: Path, count: int = COUNT, most: int = MOST, keep: int = ALL) -> None:
    """Writes the lines up to `count` from where the journal is; a commit after each third."""
    with opened(folder, most, keep) as book:
        for number in range(int(book.mark or 0), count):
            book.append(*(line(number, name) for name in NAMES))
            if number % 3 == 0 or book.is_full():
                book.commit(str(number + 1))
        book.commit(str(count))


def content(folder: Path, name: str) -> bytes:
    """All of a file, with what was moved aside before it."""
    stem, suffix = name.split(".")
    aside = sorted(folder.glob(f"{stem}-*.{suffix}"))
    return b"".join(path.read_bytes() for path in [*aside, folder / name])


def assert_whole(folder: Path, count: int = COUNT) -> None:
    for name in NAMES:
        assert content(folder, name) == b"".join(line(number, name) for number in range(count)), name


def play(folder: Path, disk: FailingDisk, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Writes on this disk. Returns whether it came to the end."""
    with monkeypatch.context() as patch:
        patch.setattr(journal, "os", disk)
        try:
            write(folder)
        except Killed:
            return False
    return True


# -- killed


def test_files_grow_together_and_are_moved_aside(tmp_path: Path) -> None:
    write(tmp_path)
    assert_whole(tmp_path)
    assert (tmp_path / "a-000001.log").exists()
    assert (tmp_path / "b-000002.jsonl").exists()
    sizes = [path.stat().st_size for path in tmp_path.glob("*-*")]
    assert all(MOST <= size < MOST + 10 for size in sizes)


@pytest.mark.parametrize("kind", [{}, {"half": True}, {"power": True}])
def test_killed_at_any_step_nothing_is_missing_or_twice(
    kind: dict[str, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = FailingDisk()
    assert play(tmp_path / "all", steps, monkeypatch)
    assert steps.calls > 100
    for step in range(1, steps.calls + 1):
        folder = tmp_path / str(step)
        assert not play(folder, FailingDisk(step, **kind), monkeypatch)
        write(folder)
        assert_whole(folder)


@given(kills=st.lists(st.tuples(st.integers(1, 90), st.booleans(), st.booleans()), max_size=12))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_killed_again_and_again_also_while_it_recovers(
    kills: list[tuple[int, bool, bool]], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("killed")
    for step, half, power in kills:
        play(folder, FailingDisk(step, half, power), monkeypatch)
    write(folder)
    assert_whole(folder)


WRITER = """
import sys
from pathlib import Path
from _yadtq.journal import Journal
with Journal(Path(sys.argv[1]), ("a.log", "b.jsonl"), "q", 2000, 1000) as book:
    for number in range(int(book.mark or 0), 10**9):
        book.append(*(f"{number} {letter * (number % 5)}\\n".encode() for letter in "ab"))
        if number % 7 == 0 or book.is_full():
            book.commit(str(number + 1))
"""


def test_a_process_that_is_killed_at_any_instant_goes_on_exactly(tmp_path: Path) -> None:
    mixer = random.Random(5)
    killed = 0
    for _ in range(6):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT)
        try:
            wait_for_growth(tmp_path, mixer.randrange(1, 25), process)
        finally:
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
    assert killed == 6
    with opened(tmp_path, most=2000) as book:
        reached = int(book.mark)
    assert_whole(tmp_path, reached)


def wait_for_growth(folder: Path, times: int, process: subprocess.Popen[bytes]) -> None:
    """Until the record was written anew so many times."""
    last, seen = b"", 0
    while seen < times and process.poll() is None:
        now = (folder / STATE).read_bytes() if (folder / STATE).exists() else b""
        seen += now != last
        last = now


# -- bounded


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_only_so_many_are_kept(keep: int, tmp_path: Path) -> None:
    write(tmp_path, keep=keep)
    for name in NAMES:
        stem, suffix = name.split(".")
        aside = sorted(tmp_path.glob(f"{stem}-*.{suffix}"))
        assert len(aside) == keep
        numbers = [int(path.stem.partition("-")[2]) for path in aside]
        assert all(after == before + 1 for before, after in pairwise(numbers))
        whole = b"".join(line(number, name) for number in range(COUNT))
        assert whole.endswith(content(tmp_path, name))


def test_fewer_are_kept_when_it_is_started_so(tmp_path: Path) -> None:
    write(tmp_path)
    opened(tmp_path, keep=1).close()
    assert len(list(tmp_path.glob("a-*.log"))) == 1


# -- what is in the way


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(BlockingIOError, match=r"another logger writes to .*: one is enough"):
        opened(tmp_path)
    opened(tmp_path).close()


def test_a_journal_that_could_not_begin_gives_the_folder_up(tmp_path: Path) -> None:
    (tmp_path / STATE).write_text("{")
    with pytest.raises(SettingError, match=r"logger\.json cannot be read: delete it"):
        opened(tmp_path)
    with (tmp_path / LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_another_queues_folder_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(SettingError, match="holds the log of the queue 'q': choose another folder"):
        opened(tmp_path, owner="other")
    assert_whole(tmp_path)


def test_files_without_a_record_are_kept_aside(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / STATE).unlink()
    before = content(tmp_path, "a.log")
    with opened(tmp_path) as book:
        assert book.mark == ""
        assert [note.rpartition("/")[2] for note in book.notes] == [
            f"{name} was there, and {STATE} was not: it is kept under another name" for name in NAMES
        ]
        book.append(b"new\n", b"new\n")
        book.commit("1")
    assert content(tmp_path, "a.log") == before + b"new\n"


def spoil_by_cutting(path: Path) -> None:
    os.truncate(path, 0)


def spoil_by_deleting(path: Path) -> None:
    path.unlink()


def spoil_by_moving(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.touch()


@pytest.mark.parametrize("spoil", [spoil_by_cutting, spoil_by_deleting, spoil_by_moving])
def test_what_others_do_to_a_file_is_noticed_and_nothing_new_is_lost(
    spoil: Callable[[Path], None], tmp_path: Path
) -> None:
    with opened(tmp_path, most=10_000) as book:
        book.append(b"1\n", b"1\n")
        book.commit("1")
        spoil(tmp_path / "a.log")
        book.append(b"2\n", b"2\n")
        with pytest.raises(OSError, match=r"another program has changed it|No such file"):
            book.commit("2")
    with opened(tmp_path, most=10_000) as book:
        assert book.mark == "1"
        (note,) = book.notes
        assert note.endswith("a.log has 2 bytes less than were written: lines are missing")
        book.append(b"2\n", b"2\n")
        book.commit("2")
    assert (content(tmp_path, "a.log"), content(tmp_path, "b.jsonl")) == (b"2\n", b"1\n2\n")


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FailingDisk()
    monkeypatch.setattr(journal, "os", disk)
    write(tmp_path, 10)
    disk.full = True
    for _ in range(3):
        with pytest.raises(OSError, match="No space left"):
            write(tmp_path)
    disk.full = False
    write(tmp_path)
    assert_whole(tmp_path)


# -- read while it is written


def found(folder: Path, *needles: bytes, owner: str = "q", chunk: int = 16) -> list[bytes]:
    _, parts = committed_parts(folder, "a.log", owner)
    try:
        return list(lines_with(parts, needles, chunk))
    finally:
        for file, _ in parts:
            file.close()


def test_only_what_was_committed_is_read(tmp_path: Path) -> None:
    with opened(tmp_path, most=20) as book:
        book.append(b"one a\ntwo b\nthree a\n", b"")
        book.commit("1")
        book.append(b"four a\n", b"")
        book.commit("2")
        book.append(b"five a\n", b"")
        book.flush()
        assert found(tmp_path, b"a") == [b"one a", b"three a", b"four a"]
        assert found(tmp_path, b"b", b"four") == [b"two b", b"four a"]
        assert found(tmp_path, b"a", owner="other") == []
    assert found(tmp_path / "none", b"a") == []


def test_a_file_that_is_just_being_moved_aside_is_read(tmp_path: Path) -> None:
    write(tmp_path)
    current = tmp_path / "a.log"
    number = max(int(path.stem.partition("-")[2]) for path in tmp_path.glob("a-*.log")) + 1
    expected = found(tmp_path, b" ")
    current.rename(tmp_path / f"a-{number:06d}.log")
    assert found(tmp_path, b" ") == expected
    assert len(expected) == COUNT


def test_when_the_file_that_grows_was_deleted_the_others_are_read(tmp_path: Path) -> None:
    write(tmp_path)
    expected = [each for path in sorted(tmp_path.glob("a-*.log")) for each in path.read_bytes().splitlines()]
    (tmp_path / "a.log").unlink()
    assert found(tmp_path, b" ") == expected


def test_files_are_read_whole_while_they_are_moved_aside(tmp_path: Path) -> None:
    write(tmp_path, 10, most=20)
    writing = threading.Thread(target=write, args=(tmp_path, 300), kwargs={"most": 20})
    writing.start()
    looks = 0
    while writing.is_alive():
        numbers = [int(each.split()[0]) for each in found(tmp_path, b" ", chunk=1 << 16)]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= 10
        looks += 1
    writing.join()
    assert looks > 3


@given(st.lists(st.text("ab\u00fc", max_size=9), max_size=30), st.integers(1, 40))
def test_lines_are_found_wherever_a_part_ends(lines: list[str], chunk: int) -> None:
    text = "".join(f"{each}\n" for each in lines).encode()
    expected = [each.encode() for each in lines if "ab" in each or "\u00fc" in each]
    assert list(lines_with([(io.BytesIO(text), len(text))], (b"ab", "\u00fc".encode()), chunk)) == expected
