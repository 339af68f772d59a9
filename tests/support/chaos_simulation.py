"""The schedules of the simulation that a chaos run plays beside its rounds, with what time these leave over."""

import subprocess
import sys
from pathlib import Path

from tests.support.chaos_rounds import Result

LOWEST_PRIORITY = ("nice", "-n", "19")


class Simulation:
    """Many schedules, in a process of the lowest priority: the rounds' figures must not wait for them."""

    def __init__(self, folder: Path, schedules: int, seed: int) -> None:
        folder.mkdir(parents=True)
        self._said = folder / "simulation.log"
        command = [
            *LOWEST_PRIORITY,
            sys.executable,
            "-m",
            "tests.simulation",
            "--schedules",
            str(schedules),
            "--seed",
            str(seed),
        ]
        with self._said.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)

    def result(self) -> Result:
        """Waits for its end."""
        code = self._process.wait()
        *lines, last = self._said.read_text(encoding="utf-8").splitlines() or [""]
        problems = [*lines, f"the simulation ended with {code}, see {self._said}"] if code else []
        return Result("simulation", [last], problems)

    def close(self) -> None:
        """Ends it, wherever it is."""
        self._process.terminate()
        self._process.wait()
