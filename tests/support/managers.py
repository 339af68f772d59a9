"""A manager as a process of its own, and what it tells about itself."""

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local import process
from tests.support.marked import MARK, processes_marked
from tests.support.programs import RunningProgram
from tests.support.servers import ROOT
from tests.support.waiting import eventually

LEAVE_SECONDS = 40.0


@dataclass(slots=True)
class ManagedMachine:
    """A folder for managers, one after the other. Every process that comes from them bears the mark."""

    folder: Path
    environment: Mapping[str, str]
    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    started: list[RunningProgram] = field(default_factory=list)

    def start(self, *arguments: str, **settings: object) -> RunningProgram:
        """Starts a manager. settings: by their variable."""
        given = {name: str(value) for name, value in settings.items()}
        program = RunningProgram(["manager.py", "--name", "w", *arguments], self.log, self._environment | given)
        self.started.append(program)
        return program

    @property
    def log(self) -> Path:
        return self.folder / "manager.log"

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """manager.py with these arguments, to its end."""
        return subprocess.run(
            [sys.executable, "manager.py", *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        """What `status --json` would say, read as that reads it."""
        state: dict[str, Any] = json.loads((self.folder / "logs/manager/state.json").read_text(encoding="utf-8"))
        return state

    def rows(self, state: str = "") -> list[dict[str, Any]]:
        """The workers, or those in one state."""
        try:
            return [row for row in self.status()["workers"] if state in ("", row["state"])]
        except FileNotFoundError:
            return []

    def wait_for(self, online: int, seconds: float = 30.0) -> None:
        """Waits until exactly so many workers are online, and no others are there."""
        eventually(lambda: len(self.rows("online")) == online == len(self.rows()), seconds, f"{online} online")

    def process_of(self, name: str) -> int:
        """The process of a worker."""
        return next(int(row["process"]) for row in self.rows() if row["name"] == name)

    def left(self) -> list[str]:
        return processes_marked(self.mark)

    def clear(self) -> None:
        """Ends what still runs."""
        for program in self.started:
            if program.process.poll() is None:
                program.process.send_signal(signal.SIGTERM)
                program.process.send_signal(signal.SIGTERM)
            process.stop(program.process, LEAVE_SECONDS)
        eventually(lambda: not self.left(), LEAVE_SECONDS, "the end of all workers")

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.environment, "LOG_FOLDER": str(self.folder / "logs"), MARK: self.mark}
