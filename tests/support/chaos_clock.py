"""Clocks of programs that can be set while they run. Needs a C compiler (`cc`), as `jumping_clock.c` is one."""

import os
import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("jumping_clock.c")
OFFSET = struct.Struct("=q")  # nanoseconds


class Clocks:
    """One clock a program, by name. available: there is a compiler; without it no clock ever jumps."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._library = folder / "jumping_clock.so"
        compiler = shutil.which("cc")
        self.available = compiler is not None
        if compiler is not None:
            folder.mkdir(parents=True, exist_ok=True)
            command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(self._library), str(SOURCE)]
            subprocess.run(command, check=True, timeout=60)

    def environment(self, name: str) -> dict[str, str]:
        """What a program is started with, so that its clock can be set; its children have the same clock."""
        if not self.available:
            return {}
        self.set(name, 0)
        return {"LD_PRELOAD": str(self._library), "CHAOS_CLOCK": str(self._file(name))}

    def set(self, name: str, seconds: float) -> None:
        """Sets a clock so far off the machine's. 0: right again."""
        handle = os.open(self._file(name), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(handle, OFFSET.pack(round(seconds * 1e9)), 0)
        finally:
            os.close(handle)

    def rules(self, process: int) -> bool:
        """Whether a running process really has such a clock."""
        return str(self._library) in Path(f"/proc/{process}/maps").read_text(encoding="utf-8", errors="replace")

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.clock"
