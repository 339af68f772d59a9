"""The file calls of this machine, which stop working when the test says so: killed, out of power, or a full disk."""

import errno
import os
from pathlib import Path
from typing import Any

CHANGING = ("open", "write", "fsync", "ftruncate", "replace", "unlink")


class Killed(BaseException):
    """The process ends here."""


class FailingDisk:
    """Stands in for `os` in a module. calls: how many calls that change something were made.

    dies_at: before which of them the process ends. half: a write that it ends at has written half. power: what was
    never synced is lost as well. full: writes find no room.
    """

    def __init__(self, dies_at: int = 0, half: bool = False, power: bool = False) -> None:
        self.calls, self.full = 0, False
        self._dies_at, self._half, self._power = dies_at, half, power
        self._paths: dict[int, str] = {}
        self._synced: dict[str, int] = {}  # path → bytes that a loss of power leaves

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:
        self._count()
        descriptor = os.open(path, flags, mode)
        self._paths[descriptor] = str(path)
        if not Path(path).is_dir():
            size = 0 if flags & os.O_TRUNC else os.fstat(descriptor).st_size
            self._synced[str(path)] = min(size, self._synced.get(str(path), size))
        return descriptor

    def write(self, descriptor: int, data: Any) -> int:
        if self.full:
            os.write(descriptor, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.calls + 1 == self._dies_at and self._half:
            os.write(descriptor, data[: len(data) // 2])
        self._count()
        return os.write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        self._count()
        os.fsync(descriptor)
        self._synced[self._paths[descriptor]] = os.fstat(descriptor).st_size

    def ftruncate(self, descriptor: int, size: int) -> None:
        self._count()
        os.ftruncate(descriptor, size)

    def replace(self, source: Any, target: Any) -> None:
        self._count()
        os.replace(source, target)
        self._synced[str(target)] = self._synced.pop(str(source), os.stat(target).st_size)

    def unlink(self, path: Any) -> None:
        self._count()
        os.unlink(path)

    def _count(self) -> None:
        self.calls += 1
        if self.calls == self._dies_at:
            if self._power:
                self._lose()
            raise Killed

    def _lose(self) -> None:
        for path, size in self._synced.items():
            if os.path.isfile(path) and os.stat(path).st_size > size:
                os.truncate(path, size)
