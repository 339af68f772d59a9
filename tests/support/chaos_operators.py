"""The operators' programs in a chaos run: a server, a logger, a monitor, and a manager with a worker of its own.

Each is killed as the schedule says, and started again. In the end the logger's file is compared with the event log,
and the monitor's picture with the records.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable

from local.ports import free_port
from tests.support.chaos_arena import MANAGED, Arena, Beside, Stories, Story
from tests.support.chaos_watcher import children_of
from tests.support.event_log import read_log
from tests.support.faults import DOWN_SECONDS, LOOK_SECONDS, Step
from tests.support.kafka_tools import whole_topic
from tests.support.ledger import Fault, identity, now
from tests.support.programs import RunningProgram
from tests.support.servers import ROOT
from tests.support.waiting import eventually

STOP_SECONDS = 60.0
CAUGHT_UP_SECONDS = 60.0


class Operators:
    """What runs beside the workers of an arena."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self.folder = arena.folder / "operators"
        self._ports = {"server": free_port(), "monitor": free_port()}
        self._programs: dict[str, RunningProgram] = {}
        arena.operators = self
        for name in ("server", "logger", "monitor", "manager"):
            self.start(name)

    def start(self, name: str) -> None:
        """Starts one of the programs, with its log beside those of the workers."""
        flags = {
            "server": ["--http", f"127.0.0.1:{self._ports['server']}"],
            "logger": [],
            "monitor": ["--web", "--port", str(self._ports["monitor"])],
            "manager": [
                "--min",
                "1",
                "--max",
                "1",
                "--name",
                MANAGED.rstrip("1"),
                "--tasks",
                "tests.support.task_modules.chaos",
            ],
        }
        environment = self._arena.environment(self._arena.settings) | {"LOG_FOLDER": str(self.folder)}
        log = self._arena.folder / f"{name}.log"
        self._programs[name] = RunningProgram([f"{name}.py", *flags[name]], log, environment)

    def managed(self) -> list[int]:
        """The numbers of the processes that the manager has started."""
        manager = self._programs.get("manager")
        return children_of(manager.process.pid) if manager else []

    def kill(self, name: str) -> None:
        self._programs[name].kill()

    def examine(self) -> None:
        """Compares what the logger and the monitor tell with what there is. The queue must be at rest."""
        arena = self._arena
        for name, program in self._programs.items():
            if program.process.poll() is not None:
                arena.problems.append(f"{name} ended by itself with exit code {program.process.returncode}")
        topic = f"{arena.settings.namespace}_events"
        told = read_log(whole_topic(arena.settings.kafka_broker, topic))
        wanted = [event["seq"] for event in told.events]
        try:
            eventually(lambda: len(self._audited()) >= len(wanted), CAUGHT_UP_SECONDS, "all events in audit.jsonl")
        except AssertionError as error:
            arena.problems.append(str(error))
        audited = sorted(self._audited())
        if audited != wanted:
            missing, more = len(set(wanted) - set(audited)), len(audited) - len(set(audited) & set(wanted))
            arena.problems.append(f"audit.jsonl lacks {missing} events of {len(wanted)}, and has {more} too many")
        self._compare_pictures()

    def stop(self) -> None:
        """Ends them as their users would."""
        for name, program in self._programs.items():
            code = program.terminate(STOP_SECONDS)
            if code != 0:
                self._arena.problems.append(f"{name} was told to stop and ended with exit code {code}")

    def close(self) -> None:
        """Ends them, whatever their state."""
        for program in self._programs.values():
            managed = self.managed() if program is self._programs.get("manager") else []
            program.process.kill()
            program.process.wait()
            for process in managed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

    def _audited(self) -> list[int]:
        """The numbers of the events in the logger's files."""
        found: list[int] = []
        for path in self.folder.glob("audit*.jsonl"):
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            found += [json.loads(line).get("seq", 0) for line in lines if line.endswith("\n")]
        return [seq for seq in found if seq]  # without the markers

    def _compare_pictures(self) -> None:
        """What the monitor counts is what the records say."""
        environment = {**os.environ, **self._arena.environment(self._arena.settings)}
        done = subprocess.run(
            [sys.executable, "monitor.py", "--json"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        seen = json.loads(done.stdout)["counts"] if done.returncode == 0 else done.stderr
        if seen != self._arena.client.counts():
            self._arena.problems.append(f"the monitor tells {seen}, and the records {self._arena.client.counts()}")


def beside(arena: Arena) -> Beside:
    """The programs beside the workers, which are started when a fault first wants them."""
    return arena.operators or Operators(arena)


def _killed(name: str) -> Callable[[Arena, Step], Story]:
    """Nothing that runs is hit: what the program did, others do, or it itself when it is back."""

    def story(arena: Arena, step: Step) -> Story:
        began = now()
        beside(arena).kill(name)
        arena.note(step.kind, began, mends="seen")
        yield step.seconds
        beside(arena).start(name)
        yield DOWN_SECONDS

    return story


def kill_manager(arena: Arena, step: Step) -> Story:
    """Its worker is told to stop by the kernel, and ends what it runs; another one starts at once under its name."""
    began, workers = now(), beside(arena).managed()
    beside(arena).kill("manager")
    yield step.seconds
    beside(arena).start("manager")
    while any(identity(process) is not None for process in workers):
        yield LOOK_SECONDS
    arena.faults.append(Fault(step.kind, began, now(), mends="seen"))


def kill_managed(arena: Arena, step: Step) -> Story:
    """The manager sees it, and puts its tasks back as soon as nothing of it lives."""
    for process in beside(arena).managed():
        began = now()
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        arena.note(step.kind, began, workers=frozenset({MANAGED}))
    yield DOWN_SECONDS


STORIES: Stories = {
    "kill-server": _killed("server"),
    "kill-logger": _killed("logger"),
    "kill-monitor": _killed("monitor"),
    "kill-manager": kill_manager,
    "kill-managed": kill_managed,
}
