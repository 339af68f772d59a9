"""Programs of this checkout that a test starts as processes of their own."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from _yadtq.settings import SETTINGS
from local import process
from local.process import Program
from tests.support.servers import ROOT
from tests.support.waiting import eventually

STOP_SECONDS = 10.0


class RunningProgram:
    """A started program. log: the file that takes its output; `output` reads it."""

    def __init__(self, arguments: list[str], log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        self.process: subprocess.Popen[bytes] = process.spawn(
            Program([sys.executable, *arguments], log, environment=environment, directory=ROOT)
        )

    @property
    def output(self) -> str:
        """All that it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def prints(self, text: str, seconds: float = 30.0) -> None:
        """Waits until its output holds `text`. AssertionError when it ends before, or in the end."""

        def printed() -> bool:
            ended = self.process.poll()
            if text in self.output:
                return True
            if ended is not None:
                raise EndedEarly(f"it ended ({ended}) before it printed {text!r}:\n{self.output}")
            return False

        eventually(printed, seconds, f"{text!r} in {self.log.name}")

    def terminate(self, seconds: float = STOP_SECONDS) -> int:
        """SIGTERM; waits until it has ended, and returns its exit code. AssertionError when it needed SIGKILL."""
        if not process.stop(self.process, seconds):
            raise AssertionError(f"{self.log.name}: still running {seconds:g} s after SIGTERM:\n{self.output}")
        return self.process.returncode

    def kill(self) -> None:
        """SIGKILL, to this process only: what it started must notice by itself."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)


class EndedEarly(Exception):
    """A program ended while a test waited for something that it should have printed."""


def as_environment(settings: Mapping[str, object]) -> dict[str, str]:
    """Settings by field name as environment variables."""
    variables = {setting.name: setting.variables[0] for setting in SETTINGS}
    return {variables[name]: str(value) for name, value in settings.items()}
