"""logger.py as a process of a test, and what it has written."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _yadtq.events import Event
from _yadtq.journal import read_state
from _yadtq.occurrences import occurrences
from tests.support.kafka_tools import whole_topic
from tests.support.programs import RunningProgram
from tests.support.servers import ROOT


class Loggers:
    """Starts logger.py for one folder; `folder` has what it writes."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder, self._environment = folder, {**environment, "LOG_FOLDER": str(folder)}
        self._started: list[RunningProgram] = []

    def start(self, *arguments: str, **environment: str) -> RunningProgram:
        """A logger that follows the event log. Its own output goes beside the folder."""
        log = self.folder.with_name(f"logger{len(self._started) + 1}.out")
        self._started.append(RunningProgram(["logger.py", *arguments], log, {**self._environment, **environment}))
        return self._started[-1]

    def stop(self) -> None:
        """Kills those that still run."""
        for logger in self._started:
            logger.kill()

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A logger that answers."""
        command = [sys.executable, "logger.py", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=60, check=False
        )

    def history(self, task_id: str) -> dict[str, Any]:
        """What `--task --json` tells."""
        done = self.ask("--task", task_id, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def offset(self) -> int:
        """Where it has got to in the event log; -1 at the beginning."""
        state = read_state(self.folder) if self.folder.exists() else None
        return int(json.loads(state.mark)["offset"]) if state and state.mark else -1

    def lines(self, name: str) -> list[str]:
        """The lines of one file and of those that were moved aside."""
        stem, _, suffix = name.partition(".")
        paths = [*sorted(self.folder.glob(f"{stem}-*.{suffix}")), self.folder / name]
        return "".join(path.read_text(encoding="utf-8") for path in paths if path.exists()).split("\n")[:-1]

    def assert_equal_to_the_topic(self, broker: str, topic: str) -> int:
        """Both files have each event of a whole log once, as it is there. Returns how many repeats that had."""
        sent = whole_topic(broker, topic)
        audit = self.lines("audit.jsonl")
        numbers, last = [], -1
        for line in audit:
            told = json.loads(line)
            offset = told.pop("offset")
            assert offset > last
            assert told == json.loads(sent[offset][1])
            numbers.append(told.get("seq", 0))
            last = offset
        expected = {int(key.rpartition(b"-")[2]) for key, _ in sent}
        assert sorted(numbers) == sorted(expected) == list(range(max(expected) + 1))
        readable = [each.line() for line in audit for each in occurrences(Event.from_line(line.encode()))]
        began = [place for place, line in enumerate(readable) if "action=generation" in line]
        written = self.lines("yadtq.log")
        assert len(written) == len(readable)
        assert all(written[n] == readable[n] for n in range(len(readable)) if n not in began)
        return len(sent) - len(audit)
