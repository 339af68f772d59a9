"""A server (server.py) that a test starts as a process of its own."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from local.ports import free_port
from tests.support.programs import RunningProgram
from tests.support.waiting import eventually

ANSWER_SECONDS = 5.0


class RunningServer:
    """folder: where it writes server.log, and what it prints. url: of its HTTP endpoints."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *arguments: str) -> None:
        address = f"127.0.0.1:{free_port()}"
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.url = folder, f"http://{address}"
        command = ["server.py", "--http", address, "--log-folder", str(folder), *arguments]
        self.program = RunningProgram(command, folder / "output", environment)

    @property
    def name(self) -> str:
        """The id that it has in Redis."""
        found = re.search(r"action=start (\S+) looks after", self.program.output)
        return found[1] if found else ""

    @property
    def log(self) -> list[str]:
        """The lines of its log file."""
        return (self.folder / "server.log").read_text(encoding="utf-8").splitlines()

    def lines(self, action: str, task_id: str = "") -> list[str]:
        """Those of one action, and of one task when that is given."""
        wanted = f" action={action}{f' id={task_id}' if task_id else ''} "
        return [line for line in self.log if wanted in line]

    def get(self, path: str) -> tuple[int, str]:
        """Status and body. AssertionError when nobody listens (yet)."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=ANSWER_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode()
        except OSError as error:
            raise AssertionError(f"{self.url}{path}: {error}") from error

    def wait_until(self, state: str, seconds: float = 20.0) -> None:
        """Waits until it is ready and leading, or on standby."""

        def is_so() -> bool:
            status, body = self.get("/healthz/ready")
            assert (status, json.loads(body).get("state")) == (200, state), body
            return True

        eventually(is_so, seconds, f"{self.folder.name} is {state}")

    def figures(self) -> dict[str, float]:
        """What /metrics shows: name and labels → value."""
        status, text = self.get("/metrics")
        assert status == 200
        return {
            f"{sample.name}{json.dumps(sample.labels, sort_keys=True) if sample.labels else ''}": sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def count(self, name: str, **labels: str) -> float:
        """One figure; 0.0 when it is not shown."""
        return self.figures().get(f"{name}{json.dumps(labels, sort_keys=True) if labels else ''}", 0.0)
