"""The folder of a queue on this machine, and how all that runs from it is stopped, in the right order."""

from dataclasses import dataclass
from pathlib import Path

from local import process
from local.crew import HUNG_SECONDS
from local.embedded_server import Place
from local.progress import Progress

STOP_SECONDS = 10.0  # for a program that only has to leave; also beyond what a drain takes
SERVER_STOP_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class Home:
    """The folder with all that a queue on this machine consists of: data, logs, pid files, Kafka's jars."""

    folder: Path

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def output(self, name: str) -> Path:
        """For what a program prints that has log files of its own."""
        return self.logs / f"{name}.out"

    def pid_file(self, name: str) -> Path:
        return self.folder / "run" / f"{name}.pid"

    def worker_pid_files(self) -> list[Path]:
        """Those that the manager of this folder writes."""
        return sorted((self.logs / "manager").glob("worker*.pid"))

    def place(self, name: str, port: int) -> Place:
        return Place(self.folder / "data" / name, self.log(name), port, self.pid_file(name))

    def bound_logs(self) -> None:
        """Bounds the logs of the servers; each program sees to its own, and the manager to its workers'."""
        for name in ("kafka", "redis"):
            process.bound_log(self.log(name))


def stop_all(home: Home, progress: Progress, drain_seconds: float) -> int:
    """Stops what the pid files name: shell, page, manager and workers, logger, server, Kafka, Redis. Returns how many
    processes there were.
    """
    draining = f"stopping the workers (running tasks have {drain_seconds:g} s to end)"
    patience = drain_seconds + HUNG_SECONDS + STOP_SECONDS
    return sum(
        (
            stop_stage(progress, [home.pid_file("client")], "closing the shell", STOP_SECONDS),
            stop_stage(progress, [home.pid_file("monitor")], "closing the web page", STOP_SECONDS),
            stop_stage(progress, [home.pid_file("manager")], draining, patience),
            stop_stage(progress, home.worker_pid_files(), "stopping workers that have lost their manager", patience),
            stop_stage(progress, [home.pid_file("logger")], "stopping the logger", STOP_SECONDS),
            stop_stage(progress, [home.pid_file("server")], "stopping the server", STOP_SECONDS),
            stop_stage(progress, [home.pid_file("kafka")], "stopping Kafka", SERVER_STOP_SECONDS),
            stop_stage(progress, [home.pid_file("redis")], "stopping Redis", SERVER_STOP_SECONDS),
        )
    )


def stop_stage(progress: Progress, pid_files: list[Path], text: str, seconds: float) -> int:
    """Stops the processes of some pid files and removes these; says so only when there is something to stop."""
    if not any(map(process.running, pid_files)):
        return process.stop_noted(pid_files, 0)
    with progress.step(text):
        return process.stop_noted(pid_files, seconds)
