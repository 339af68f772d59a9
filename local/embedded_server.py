"""What the embedded servers have in common: where they live, and how they are started, awaited and stopped."""

import abc
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from local import ports, process
from local.errors import StartFailed

POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server lives: its folder, its log file, its port on 127.0.0.1.

    pid_file: None when nobody else must find the process. tethered: it dies with the process that starts it.
    """

    home: Path
    log: Path
    port: int
    pid_file: Path | None = None
    tethered: bool = True


class EmbeddedServer(abc.ABC):
    """A server of this machine, for one run. Use `start`, `wait_ready` and, in the end, `stop`."""

    name: str
    setting: str  # names a server to use instead
    start_seconds: float
    stop_seconds: float
    environment: Mapping[str, str] = MappingProxyType({})  # on top of this process' own

    def __init__(self, place: Place) -> None:
        self.place = place
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and returns at once. Raises StartFailed when its port is taken or something is missing."""
        if not ports.is_free(self.place.port):
            raise StartFailed(
                f"port {self.place.port}, which {self.name} needs, is in use: `make down` if an earlier run left it, "
                f"else stop what listens there, or set {self.setting} to use the {self.name} that runs already"
            )
        self.place.home.mkdir(parents=True, exist_ok=True)
        command = self.prepare()
        place = self.place
        self._process = process.spawn(
            process.Program(
                command,
                place.log,
                pid_file=place.pid_file,
                environment=self.environment,
                tethered=place.tethered,
            )
        )

    def wait_ready(self) -> None:
        """Waits until it answers. Raises StartFailed when it ends before, or takes too long."""
        deadline = time.monotonic() + self.start_seconds
        while not self.answers():
            if not self.is_running():
                raise StartFailed(f"{self.name} ended while it started: read its log", self.place.log)
            if time.monotonic() > deadline:
                waited = f"{self.start_seconds:.0f} s after its start"
                raise StartFailed(f"{self.name} does not answer {waited}: read its log", self.place.log)
            time.sleep(POLL_SECONDS)

    def is_running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Ends it; it brings its data to disk first. Does nothing when it does not run."""
        if self._process is not None:
            process.stop(self._process, self.stop_seconds)
            self._process = None
        if self.place.pid_file is not None:
            self.place.pid_file.unlink(missing_ok=True)

    @abc.abstractmethod
    def prepare(self) -> Sequence[str]:
        """Makes its folder ready and returns the command. Raises StartFailed when something is missing."""

    @abc.abstractmethod
    def answers(self) -> bool:
        """Whether it answers a request now."""
