"""Files that grow together, and a mark of what is in them: killed at any instant, they end exactly where the mark says.

Lines are appended first, and the mark is recorded later, with the size that each file had. What lies behind that size
is cut off at the next start, and written again from the mark on. A file that has grown to its bound is moved aside
under a number of its own, which rises and is never used again; the oldest beyond the number to be kept are deleted.

  logger.json          {"owner": "yadtq", "mark": "…", "files": {"audit.jsonl": [3, 5120], …}}    number and size
  audit.jsonl          the file that grows, number 3
  audit-000002.jsonl   the one before
  logger.lock          locked while a process writes
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

from _yadtq.errors import SettingError

STATE, LOCK = "logger.json", "logger.lock"
MODE = 0o640  # the files have arguments and results in them
GATHERED = 1 << 20  # bytes that are written together
LOOKS = 100  # for a file that grows, and is moved aside meanwhile


@dataclass(slots=True)
class _File:
    """One file. number: it gets when it is moved aside. size: recorded. descriptor: -1 while it is closed."""

    path: Path
    number: int = 1
    size: int = 0
    descriptor: int = -1
    lines: bytearray = field(default_factory=bytearray)  # not yet written

    def numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.stem}-{number:06d}{self.path.suffix}")

    def aside(self) -> list[int]:
        """The numbers of the files that were moved aside, the oldest first."""
        shape = re.compile(rf"{re.escape(self.path.stem)}-(\d{{6,}}){re.escape(self.path.suffix)}")
        found = (shape.fullmatch(name) for name in os.listdir(self.path.parent))
        return sorted(int(match[1]) for match in found if match)


class Journal:
    """Writes the files. For one process at a time.

    owner: whose lines these are; another one's are not mixed with them. most: bytes at which a file is moved aside (it
    has one line more at most). keep: how many of these are kept. notes: what was found amiss at the start, a line each.
    mark: the recorded one, '' at the very beginning.
    Raises SettingError when the folder holds something else, BlockingIOError when another process writes to it, and any
    OSError: then close it, and open another one, which goes on at the mark.
    """

    def __init__(self, folder: Path, names: tuple[str, ...], owner: str, most: int, keep: int) -> None:
        self.mark, self.notes = "", list[str]()
        self._folder, self._owner, self._most, self._keep = folder, owner, most, keep
        self._files = [_File(folder / name) for name in names]
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._recover()
        except BlockingIOError:
            self.close()
            raise BlockingIOError(f"another logger writes to {folder}: one is enough") from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives the folder up. What was not committed is cut off by the next one."""
        for each in self._files:
            if each.descriptor >= 0:
                os.close(each.descriptor)
            each.descriptor = -1
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    def append(self, *lines: bytes) -> None:
        """Adds whole lines to each of the files; they are in them after the next `flush` or `commit`."""
        for each, more in zip(self._files, lines, strict=True):
            each.lines += more
            if len(each.lines) >= GATHERED:
                self._write(each)

    def flush(self) -> None:
        """Writes what was gathered, so that others see it."""
        for each in self._files:
            self._write(each)

    def is_full(self) -> bool:
        """Whether a file has grown to its bound: commit, and it is moved aside."""
        return any(each.size + len(each.lines) >= self._most for each in self._files)

    def commit(self, mark: str) -> None:
        """Records that the files are complete up to the mark."""
        self.flush()
        for each in self._files:
            os.fsync(each.descriptor)
        self.mark = mark
        self._record()
        full = [each for each in self._files if each.size >= self._most]
        if full:
            self._turn_over(full)

    # -- within

    def _recover(self) -> None:
        """Brings the folder to what is recorded, whatever was under way."""
        if not self._load():
            for each in self._files:
                each.number = max(each.aside(), default=0) + 1
                if each.path.exists() and each.path.stat().st_size:
                    os.replace(each.path, each.numbered(each.number))
                    each.number += 1
                    self.notes.append(f"{each.path} was there, and {STATE} was not: it is kept under another name")
            self._record()
        for each in self._files:
            if each.numbered(each.number).exists():  # it was being moved aside
                os.replace(each.numbered(each.number), each.path)
            self._open(each)
            self._cut_back(each)
            self._drop_oldest(each)

    def _load(self) -> bool:
        """Reads the record. Returns False when there is none."""
        state = read_state(self._folder)
        if state is None:
            return False
        if state.owner != self._owner:
            raise SettingError(f"{self._folder} holds the log of the queue {state.owner!r}: choose another folder")
        self.mark = state.mark
        for each in self._files:
            each.number, each.size = state.files.get(each.path.name, (1, 0))
        return True

    def _record(self) -> None:
        files = {each.path.name: [each.number, each.size] for each in self._files}
        text = json.dumps({"owner": self._owner, "mark": self.mark, "files": files})
        path = self._folder / (STATE + ".new")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE)
        try:
            _write_all(descriptor, text.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(path, self._folder / STATE)
        self._sync_folder()

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _open(self, each: _File) -> None:
        if each.descriptor >= 0:
            os.close(each.descriptor)
            each.descriptor = -1
        each.descriptor = os.open(each.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, MODE)

    def _cut_back(self, each: _File) -> None:
        found = os.fstat(each.descriptor).st_size
        if found > each.size:
            os.ftruncate(each.descriptor, each.size)
        elif found < each.size:
            self.notes.append(f"{each.path} has {each.size - found:,} bytes less than were written: lines are missing")
            each.size = found

    def _write(self, each: _File) -> None:
        if each.lines:
            self._check_place(each)
            _write_all(each.descriptor, each.lines)
            each.size += len(each.lines)
            each.lines = bytearray()

    def _check_place(self, each: _File) -> None:
        """Raises OSError when someone has moved, deleted or cut the file: what is not yet recorded is written anew."""
        found = os.fstat(each.descriptor)
        if found.st_size != each.size or not os.path.samestat(found, os.stat(each.path)):
            raise OSError(None, "another program has changed it", str(each.path))

    def _turn_over(self, full: list[_File]) -> None:
        """Moves files aside. Until their new numbers are recorded, the next start moves them back."""
        for each in full:
            os.replace(each.path, each.numbered(each.number))
        self._sync_folder()
        for each in full:
            each.number, each.size = each.number + 1, 0
        self._record()
        for each in full:
            self._open(each)
            self._drop_oldest(each)

    def _drop_oldest(self, each: _File) -> None:
        for number in each.aside():
            if number < each.number - self._keep:
                with suppress(FileNotFoundError):
                    os.unlink(each.numbered(number))


# -- reading it, also while it is written


@dataclass(frozen=True, slots=True)
class State:
    """What is recorded. files: name → number and size."""

    owner: str
    mark: str
    files: dict[str, tuple[int, int]]


def read_state(folder: Path) -> State | None:
    """What is recorded in a folder; None when nothing is. Raises SettingError."""
    try:
        told = json.loads((folder / STATE).read_bytes())
        files = {str(name): (int(number), int(size)) for name, (number, size) in told["files"].items()}
        return State(str(told["owner"]), str(told["mark"]), files)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise unreadable(folder) from None


def unreadable(folder: Path) -> SettingError:
    """The error about a record that nobody can read."""
    return SettingError(
        f"{folder / STATE} cannot be read: delete it, and the log is written again from the event log's beginning"
    )


def committed_parts(folder: Path, name: str, owner: str) -> tuple[str, list[tuple[BinaryIO, int]]]:
    """The mark of a folder, and what one of its files held then: open files, the oldest first, and the size of each.

    Nothing, when they are another owner's. The caller closes them. Raises SettingError.
    """
    mark = ""
    for _ in range(LOOKS):  # while the files are moved aside they are looked for again
        state = read_state(folder)
        if state is None or state.owner != owner or name not in state.files:
            return "", []
        mark, (number, size) = state.mark, state.files[name]
        shown = _File(folder / name)
        aside = _opened([shown.numbered(each) for each in shown.aside() if each < number])
        growing = _opened([shown.numbered(number), shown.path])  # the first: it is just being moved aside
        again = read_state(folder)
        if growing and again is not None and again.files.get(name, (0, 0))[0] == number:
            (file, found), *unwanted = growing
            _close(unwanted)
            return mark, [*aside, (file, min(size, found))]
        _close([*aside, *growing])
    return mark, _opened([shown.numbered(each) for each in shown.aside() if each < number])  # it was deleted


def _opened(paths: list[Path]) -> list[tuple[BinaryIO, int]]:
    """Those of these files that are there, and the size of each."""
    opened: list[tuple[BinaryIO, int]] = []
    for path in paths:
        with suppress(FileNotFoundError):
            file: BinaryIO = path.open("rb")
            opened.append((file, os.fstat(file.fileno()).st_size))
    return opened


def _close(opened: list[tuple[BinaryIO, int]]) -> None:
    for file, _ in opened:
        file.close()


def lines_with(parts: list[tuple[BinaryIO, int]], needles: tuple[bytes, ...], chunk: int = 8 << 20) -> Iterator[bytes]:
    """The lines that have one of these in them; looks at bytes, and takes no line apart that has none."""
    for file, size in parts:
        rest, left = b"", size
        while left > 0:
            data = file.read(min(chunk, left))
            if not data:
                break
            left -= len(data)
            text = rest + data
            end = text.rfind(b"\n") + 1
            rest = text[end:]
            yield from _matching(text[:end], needles)


def _matching(text: bytes, needles: tuple[bytes, ...]) -> Iterator[bytes]:
    starts: set[int] = set()
    for needle in needles:
        place = text.find(needle)
        while place >= 0:
            starts.add(text.rfind(b"\n", 0, place) + 1)
            place = text.find(needle, text.index(b"\n", place))
    for start in sorted(starts):
        yield text[start : text.index(b"\n", start)]


def _write_all(descriptor: int, data: bytes | bytearray) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
