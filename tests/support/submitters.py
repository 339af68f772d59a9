"""Clients that submit at full speed, each a process of its own, and what they have reported."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.programs import RunningProgram
from tests.support.waiting import eventually


@dataclass(frozen=True, slots=True)
class Submitted:
    """One call of a client: when it began and returned (monotonic seconds), the ids that it asked for, those that were
    accepted, and the error's name or ''."""

    began: float
    returned: float
    asked: tuple[str, ...]
    ids: tuple[str, ...]
    error: str


@dataclass(frozen=True, slots=True)
class Load:
    """What each client submits: a task with its arguments, `batch` at a time, `pause` seconds between two calls."""

    task: str
    arguments: list[object]
    batch: int = 20
    pause: float = 0.0


class Submitters:
    """`count` clients that submit again and again, until `stop`."""

    def __init__(self, count: int, load: Load, folder: Path, environment: Mapping[str, str]) -> None:
        command = [
            "-m",
            "tests.support.submitter",
            load.task,
            json.dumps(load.arguments),
            str(load.batch),
            str(load.pause),
        ]
        self._programs = [
            RunningProgram(command, folder / f"client{number}.log", environment) for number in range(count)
        ]

    def calls(self) -> int:
        """How many calls have returned so far."""
        return sum(program.output.count("\n") for program in self._programs)

    def wait_for_calls(self, count: int, seconds: float = 30.0) -> None:
        """Waits until so many more calls have returned."""
        wanted = self.calls() + count
        eventually(lambda: self.calls() >= wanted, seconds, f"{count} more calls of the clients")

    def stop(self) -> list[Submitted]:
        """Ends them, each after its current call, and returns what all calls have reported."""
        for program in self._programs:
            if program.process.poll() is None:
                program.process.terminate()
        for program in self._programs:
            code = program.process.wait(20)
            assert code == 0, f"{program.log.name} ended with {code}: {program.output[-2000:]}"
        return [
            Submitted(began, returned, tuple(asked), tuple(ids), error)
            for program in self._programs
            for began, returned, asked, ids, error in map(json.loads, program.output.splitlines())
        ]
