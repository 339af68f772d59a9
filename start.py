"""Program: the whole queue on this machine, for as long as its shell is open.

    python start.py --workers 4               servers, workers, and the shell in the foreground
    python start.py --workers 4 --no-shell    the same without the shell, until SIGTERM or Ctrl-C
    python start.py --stop                    stops a run, and what a killed one left behind

Redis and Kafka are started here, with their data under .yadtq/, unless REDIS_HOST or KAFKA_BROKER names one that runs
already. The order is Redis, Kafka, workers, shell, and back. Nothing that was started outlives this program: when it
cannot stop things itself (SIGKILL), the kernel sends them SIGTERM.

Exit codes: the shell's; 2 wrong use; 3 something could not be started; 128 + n ended by signal n.
What this program itself says goes to standard error.
"""

import argparse
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from local import packages, process
from local.embedded_server import EmbeddedServer, Place
from local.errors import StartFailed
from local.foreground import run_foreground
from local.interruption import Interrupted, Interruption
from local.kafka_jars import kafka_jars
from local.kafka_server import KafkaServer
from local.progress import Progress
from local.redis_server import RedisServer

try:
    import yadtq
except ModuleNotFoundError as absent:
    sys.stderr.write(f"yadtq: the package {absent.name} is missing: {packages.REMEDY}\n")
    sys.exit(3)

CHECKOUT = Path(__file__).resolve().parent
EXIT_USAGE, EXIT_START_FAILED = 2, 3
KAFKA_PORT = 9092
MOST_WORKERS = 64
ANSWER_SECONDS = 10.0  # for servers that are not ours
WORKER_SECONDS = 60.0  # for the first worker
STOP_SECONDS = 10.0  # more than workers have to drain; the shell
SERVER_STOP_SECONDS = 40.0
POLL_SECONDS, TICK_SECONDS = 0.1, 1.0


@dataclass(frozen=True, slots=True)
class Home:
    """The folder with all that a queue on this machine consists of: data, logs, pid files, Kafka's jars."""

    folder: Path

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def pid_file(self, name: str) -> Path:
        return self.folder / "run" / f"{name}.pid"

    def pid_files(self, pattern: str) -> list[Path]:
        return sorted((self.folder / "run").glob(f"{pattern}.pid"))

    def place(self, name: str, port: int) -> Place:
        return Place(self.folder / "data" / name, self.log(name), port, self.pid_file(name))

    def bound_logs(self) -> None:
        for log in (self.folder / "logs").glob("*.log"):
            process.bound_log(log)


class LocalQueue:
    """Servers, workers and shell of one run. `start`, then `shell` or `idle`; `stop_all` ends what there is of it."""

    def __init__(self, home: Home, progress: Progress, interruption: Interruption, kafka_port: int) -> None:
        """Raises SettingError on a setting that cannot be used."""
        self._home = home
        self._progress = progress
        self._interruption = interruption
        self._servers: list[EmbeddedServer] = []
        self._workers: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._owns_kafka = not is_set("kafka_broker")
        self._owns_redis = not is_set("redis_host")
        self._kafka_port = kafka_port
        own_kafka = f"localhost:{kafka_port}" if self._owns_kafka else None
        self.settings = yadtq.Settings.load(None, kafka_broker=own_kafka)

    def start(self, workers: int) -> None:
        """Starts servers and workers, and returns when a worker is ready. Raises StartFailed, Interrupted."""
        began = time.monotonic()
        require_packages("requirements-local.txt" if self._owns_kafka or self._owns_redis else "requirements.txt")
        self._start_servers()
        self._await_servers()
        if workers:
            self._start_workers(workers)
        addresses = f"Kafka at {self.settings.kafka_broker}, Redis at {self._redis}"
        self._progress.say(
            f"ready after {time.monotonic() - began:.0f} s: {addresses}, workers: {workers}, "
            f"logs in {self._home.folder / 'logs'}"
        )

    def shell(self) -> int:
        """The shell in the foreground, to its end; its exit code. Raises Interrupted."""
        pid_file = self._home.pid_file("client")
        return run_foreground(
            [sys.executable, str(CHECKOUT / "client.py")], self._environment, pid_file, self._home.bound_logs
        )

    def idle(self) -> int:
        """Stays until SIGTERM; 0. Raises Interrupted on another signal, StartFailed when one of its servers ends."""
        try:
            while True:
                for server in self._servers:
                    if not server.is_running():
                        raise StartFailed(f"{server.name} ended: read its log and start again", server.place.log)
                self._home.bound_logs()
                time.sleep(TICK_SECONDS)
        except Interrupted as interrupted:
            if interrupted.signum != signal.SIGTERM:
                raise
            return 0

    @property
    def _redis(self) -> str:
        return f"{self.settings.redis_host}:{self.settings.redis_port}"

    @property
    def _environment(self) -> dict[str, str]:
        """What the programs must know about this run's servers, whatever their own environment says."""
        return {
            "KAFKA_BROKER": self.settings.kafka_broker,
            "REDIS_HOST": self.settings.redis_host,
            "REDIS_PORT": str(self.settings.redis_port),
        }

    def _start_servers(self) -> None:
        names = [name for name, owned in (("Redis", self._owns_redis), ("Kafka", self._owns_kafka)) if owned]
        if not names:
            return
        starting = f"starting {' and '.join(names)}"
        with self._progress.step(starting) as step:
            if self._owns_redis:
                self._start_server(RedisServer(self._home.place("redis", self.settings.redis_port)))
            if self._owns_kafka:
                fetching = "fetching Apache Kafka (45 MB, only the first time)"
                jars = kafka_jars(self._home.folder / "jars", lambda: step.now(fetching))
                step.now(starting)
                self._start_server(KafkaServer(self._home.place("kafka", self._kafka_port), jars))
            for server in self._servers:
                server.wait_ready()

    def _start_server(self, server: EmbeddedServer) -> None:
        with self._interruption.held():
            server.start()
        self._servers.append(server)

    def _await_servers(self) -> None:
        """Asks as every program does. A server that is not ours may be coming up, or may refuse the password."""
        with yadtq.TaskClient(self.settings) as client:
            deadline = time.monotonic() + ANSWER_SECONDS
            while wrong := " · ".join(filter(None, [(health := client.health()).kafka, health.redis])):
                if time.monotonic() > deadline:
                    raise StartFailed(wrong)
                time.sleep(POLL_SECONDS)

    def _start_workers(self, number: int) -> None:
        with self._progress.step(f"starting {number} worker{'s' if number > 1 else ''}"):
            for name in (f"worker{i}" for i in range(1, number + 1)):
                program = process.Program(
                    [sys.executable, "worker.py"],
                    self._home.log(name),
                    self._home.pid_file(name),
                    self._environment | {"WORKER_ID": name},
                    CHECKOUT,
                )
                with self._interruption.held():
                    self._workers.append((name, process.spawn(program)))
            self._await_worker()

    def _await_worker(self) -> None:
        deadline = time.monotonic() + WORKER_SECONDS
        with yadtq.TaskClient(self.settings) as client:
            while not self._one_is_online(client):
                for name, worker in self._workers:
                    if worker.poll() is not None:
                        raise StartFailed(
                            f"{name} ended while it started: {self._last_line(name)}", self._home.log(name)
                        )
                if time.monotonic() > deadline:
                    raise StartFailed(
                        f"no worker reported within {WORKER_SECONDS:.0f} s: read a worker's log",
                        self._home.log("worker1"),
                    )
                time.sleep(POLL_SECONDS)

    def _one_is_online(self, client: yadtq.TaskClient) -> bool:
        ours = {worker.pid for _, worker in self._workers}
        try:
            return any(worker.process in ours and worker.state == "online" for worker in client.workers())
        except yadtq.ServerUnreachable:
            return False  # it answered a moment ago: ask again

    def _last_line(self, name: str) -> str:
        lines = self._home.log(name).read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def is_set(name: str) -> bool:
    """Whether the environment names a setting, be it with the default's value."""
    variables = next(setting.variables for setting in yadtq.SETTINGS if setting.name == name)
    return any(os.environ.get(variable) for variable in variables)


def require_packages(requirements: str) -> None:
    absent = packages.missing(CHECKOUT / requirements)
    if absent:
        raise StartFailed(f"missing package{'s' if len(absent) > 1 else ''}: {', '.join(absent)}: {packages.REMEDY}")


def stop_all(home: Home, progress: Progress, drain_seconds: float) -> int:
    """Stops what the pid files name: shell, workers, Kafka, Redis. Returns how many processes there were."""
    stages = (
        ("client", "closing the shell", STOP_SECONDS),
        (
            "worker*",
            f"stopping the workers (running tasks have {drain_seconds:g} s to end)",
            drain_seconds + STOP_SECONDS,
        ),
        ("kafka", "stopping Kafka", SERVER_STOP_SECONDS),
        ("redis", "stopping Redis", SERVER_STOP_SECONDS),
    )
    return sum(stop_stage(home, progress, *stage) for stage in stages)


def stop_stage(home: Home, progress: Progress, pattern: str, text: str, seconds: float) -> int:
    """Stops the processes of some pid files and removes these; says so only when there is something to stop."""
    pid_files = home.pid_files(pattern)
    if not any(map(process.running, pid_files)):
        return process.stop_noted(pid_files, 0)
    with progress.step(text):
        return process.stop_noted(pid_files, seconds)


@contextlib.contextmanager
def only_run(home: Home) -> Iterator[None]:
    """Makes this the only run of this folder. Raises StartFailed when another one goes on."""
    pid_file = home.pid_file("start")
    pid_file.parent.mkdir(parents=True, exist_ok=True)
    with pid_file.with_suffix(".lock").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartFailed(
                f"process {process.running(pid_file) or '?'} runs this queue already: use its shell, "
                f"`python client.py` beside it, or `make down` to stop it"
            ) from None
        process.write_pid_file(pid_file, os.getpid())
        try:
            yield
        finally:
            pid_file.unlink(missing_ok=True)


def run(arguments: argparse.Namespace, home: Home, progress: Progress, interruption: Interruption) -> int:
    """A whole run; whatever happens, all has stopped at its end. Raises StartFailed, Interrupted, SettingError."""
    with only_run(home):
        queue = LocalQueue(home, progress, interruption, arguments.kafka_port)
        drain_seconds = queue.settings.drain_seconds
        if stop_all(home, progress, drain_seconds):
            progress.say("an earlier run, which was killed, had left that behind")
        try:
            queue.start(arguments.workers)
            return queue.idle() if arguments.no_shell else queue.shell()
        finally:
            interruption.ignore()
            stop_all(home, progress, drain_seconds)


def stop_run(home: Home, progress: Progress) -> int:
    """`--stop`: ends a run in the same order as its shell would, then what a killed run left. 0."""
    drain_seconds = yadtq.Settings.load().drain_seconds
    seconds = drain_seconds + 2 * STOP_SECONDS + 2 * SERVER_STOP_SECONDS
    stopped = stop_stage(home, progress, "start", "stopping the run", seconds)
    stopped += stop_all(home, progress, drain_seconds)
    progress.say("stopped; tasks and results are kept" if stopped else "nothing was running")
    return 0


def whole(low: int, high: int) -> Callable[[str], int]:
    """A parser of whole numbers from `low` to `high`."""

    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return number


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="start.py", description="Kafka, Redis, workers and the shell on this machine, in one command."
    )
    parser.add_argument("--workers", type=whole(0, MOST_WORKERS), default=4, metavar="N", help="default 4")
    parser.add_argument("--no-shell", action="store_true", help="no shell: run until SIGTERM or Ctrl-C")
    parser.add_argument("--stop", action="store_true", help="stop a run, or what a killed one left behind")
    parser.add_argument(
        "--home", type=Path, default=CHECKOUT / ".yadtq", metavar="DIR", help="data, logs, jars (default .yadtq)"
    )
    parser.add_argument(
        "--kafka-port", type=whole(1, 65535), default=KAFKA_PORT, metavar="PORT", help="of its own Kafka (default 9092)"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    given = parse(arguments)
    home, progress, interruption = Home(given.home.resolve()), Progress(sys.stderr), Interruption()
    interruption.listen()
    try:
        return stop_run(home, progress) if given.stop else run(given, home, progress, interruption)
    except yadtq.SettingError as error:
        progress.say(str(error))
        return EXIT_USAGE
    except StartFailed as error:
        progress.say(str(error))
        return EXIT_START_FAILED
    except Interrupted as interrupted:
        return interrupted.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
