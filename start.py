"""Program: the whole queue on this machine, for as long as its shell is open.

    python start.py --workers 4               servers, programs, and the shell in the foreground
    python start.py --workers 2 --max 8       the manager starts up to 8 workers when tasks wait
    python start.py --workers 4 --web         also the web page of the monitor
    python start.py --workers 4 --no-shell    the same without the shell, until SIGTERM or Ctrl-C
    python start.py --stop                    stops a run, and what a killed one left behind

Redis and Kafka are started here, with their data under .yadtq/, unless REDIS_HOST or KAFKA_BROKER names one that runs
already. What is started, in this order:

    redis     in which the queue decides                    server    server.py, which looks after the queue
    kafka     which keeps its tasks                         logger    logger.py, which writes its history
    manager   manager.py, which keeps the workers alive     monitor   monitor.py --web, when it is asked for
                                                            client    client.py, the shell

It stops in this order: shell, page, manager (which lets its workers end their tasks), logger, server, Kafka, Redis.
While it runs, a program that dies is started again. Nothing that was started outlives this one: when it cannot stop
things itself (SIGKILL), the kernel sends them SIGTERM.

Exit codes: the shell's; 2 wrong use; 3 something could not be started; 128 + n ended by signal n.
What this program itself says goes to standard error.
"""

import argparse
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from local import packages, ports, process
from local.embedded_server import EmbeddedServer
from local.errors import StartFailed
from local.foreground import run_foreground
from local.interruption import Interrupted, Interruption
from local.kafka_jars import kafka_jars
from local.kafka_server import KafkaServer
from local.progress import Progress
from local.redis_server import RedisServer

try:
    import yadtq
    from local.home import SERVER_STOP_SECONDS, STOP_SECONDS, Home, stop_all, stop_stage
    from local.report import Place, read
    from local.services import Service
except ModuleNotFoundError as absent:
    sys.stderr.write(f"yadtq: the package {absent.name} is missing: {packages.REMEDY}\n")
    sys.exit(3)

CHECKOUT = Path(__file__).resolve().parent
EXIT_USAGE, EXIT_START_FAILED = 2, 3
KAFKA_PORT = 9092
MOST_WORKERS = 64
HTTP_PORT, PAGE_PORT = 8081, 8080
WORKERS = "worker"  # the beginning of their names
ANSWER_SECONDS = 10.0  # for servers that are not ours
WORKER_SECONDS = 60.0  # for the first worker
POLL_SECONDS, TICK_SECONDS = 0.1, 1.0


class LocalQueue:
    """Servers, programs and shell of one run. `start`, then `shell` or `idle`; `stop_all` ends what there is of it."""

    def __init__(self, home: Home, progress: Progress, interruption: Interruption, kafka_port: int) -> None:
        """Raises SettingError on a setting that cannot be used."""
        self._home = home
        self._progress = progress
        self._interruption = interruption
        self._servers: list[EmbeddedServer] = []
        self._services: list[Service] = []
        self._owns_kafka = not is_set("kafka_broker")
        self._owns_redis = not is_set("redis_host")
        self._kafka_port = kafka_port
        own_kafka = f"localhost:{kafka_port}" if self._owns_kafka else None
        self.settings = yadtq.Settings.load(None, kafka_broker=own_kafka)

    def start(self, workers: int, most: int, web: bool) -> None:
        """Starts all but the shell, and returns when a worker is ready. Raises StartFailed, Interrupted.

        workers: at least; most: that the manager may start. web: also the web page.
        """
        began = time.monotonic()
        require_packages("requirements-local.txt" if self._owns_kafka or self._owns_redis else "requirements.txt")
        self._start_servers()
        self._await_servers()
        told = [f"Kafka at {self.settings.kafka_broker}", f"Redis at {self._redis}"]
        told.append(f"workers: {workers}" + (f" to {most}" if most > workers else ""))
        with self._progress.step(starting(workers)):
            if most:
                self._start_manager(workers, most)
            if workers:
                self._await_worker()
        told += self._start_services(web)  # now, so that they do not hold up the first worker
        self._progress.say(
            f"ready after {time.monotonic() - began:.0f} s: {', '.join(told)}, logs in {self._home.logs}"
        )

    def shell(self) -> int:
        """The shell in the foreground, to its end; its exit code. Raises Interrupted."""
        pid_file = self._home.pid_file("client")
        return run_foreground([sys.executable, str(CHECKOUT / "client.py")], self._environment, pid_file, self._watch)

    def idle(self) -> int:
        """Stays until SIGTERM; 0. Raises Interrupted on another signal, StartFailed when one of its servers ends."""
        try:
            while True:
                for server in self._servers:
                    if not server.is_running():
                        raise StartFailed(f"{server.name} ended: read its log and start again", server.place.log)
                self._watch()
                time.sleep(TICK_SECONDS)
        except Interrupted as interrupted:
            if interrupted.signum != signal.SIGTERM:
                raise
            return 0

    def _watch(self) -> None:
        """Each second: starts again what has died, and bounds the logs."""
        self._home.bound_logs()
        for service in self._services:
            with self._interruption.held():
                noticed = service.keep(time.monotonic())
            if noticed:  # not on the terminal, which is the shell's
                with self._home.log("start").open("a", encoding="utf-8") as log:
                    yadtq.Log(stream=log).warning("died", text=noticed)

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
            "LOG_FOLDER": str(self._home.logs),
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

    def _start_manager(self, workers: int, most: int) -> None:
        arguments = ["--min", str(workers), "--max", str(most), "--name", WORKERS]
        self._start_service("the manager", "manager", arguments, self._home.log("manager"))

    def _start_services(self, web: bool) -> list[str]:
        """Starts the programs that no task needs; returns where they can be reached."""
        told = []
        port = own_port(HTTP_PORT)
        self._start_service("the server", "server", ["--http", f"127.0.0.1:{port}"], self._home.output("server"))
        told.append(f"metrics at http://127.0.0.1:{port}/metrics")
        self._start_service("the logger", "logger", [], self._home.output("logger"))
        if web:
            port = own_port(PAGE_PORT)
            page = ["--web", "--port", str(port)]
            self._start_service("the web page", "monitor", page, self._home.output("monitor"))
            told.append(f"page at http://127.0.0.1:{port}")
        return told

    def _start_service(self, name: str, program: str, arguments: list[str], log: Path) -> None:
        command = [sys.executable, f"{program}.py", *arguments]
        made = process.Program(command, log, self._home.pid_file(program), self._environment, CHECKOUT)
        self._services.append(Service(name, made))
        with self._interruption.held():
            self._services[-1].start()

    def _await_worker(self) -> None:
        deadline = time.monotonic() + WORKER_SECONDS
        with yadtq.TaskClient(self.settings) as client:
            while not self._one_is_online(client):
                self._services[0].require()  # the manager
                self._require_workers()
                if time.monotonic() > deadline:
                    raise StartFailed(
                        f"no worker reported within {WORKER_SECONDS:.0f} s: read a worker's log",
                        self._home.log(f"{WORKERS}1"),
                    )
                time.sleep(POLL_SECONDS)

    def _require_workers(self) -> None:
        """Raises StartFailed when one has ended already: the manager tries again, but a person should know."""
        report = read(Place.in_logs(self._home.logs))
        for row in report.workers if report else ():
            if row.reason:
                raise StartFailed(f"{row.name} ended while it started: {row.reason}", self._home.log(row.name))

    def _one_is_online(self, client: yadtq.TaskClient) -> bool:
        ours = {process.running(pid_file) for pid_file in self._home.worker_pid_files()}
        try:
            return any(worker.process in ours and worker.state == "online" for worker in client.workers())
        except yadtq.ServerUnreachable:
            return False  # it answered a moment ago: ask again


def starting(workers: int) -> str:
    """What is said while the programs start."""
    return f"starting {workers} worker{'s' if workers > 1 else ''}" if workers else "starting the programs"


def own_port(usual: int) -> int:
    """The usual port, or, when somebody listens there, a free one."""
    return usual if ports.is_free(usual) else ports.free_port()


def is_set(name: str) -> bool:
    """Whether the environment names a setting, be it with the default's value."""
    variables = next(setting.variables for setting in yadtq.SETTINGS if setting.name == name)
    return any(os.environ.get(variable) for variable in variables)


def require_packages(requirements: str) -> None:
    absent = packages.missing(CHECKOUT / requirements)
    if absent:
        raise StartFailed(f"missing package{'s' if len(absent) > 1 else ''}: {', '.join(absent)}: {packages.REMEDY}")


@contextlib.contextmanager
def only_run(home: Home) -> Iterator[None]:
    """Makes this the only run of this folder. Raises StartFailed when another one goes on."""
    try:
        with process.alone(home.pid_file("start")):
            yield
    except process.AlreadyRuns as other:
        raise StartFailed(
            f"process {other.pid or '?'} runs this queue already: use its shell, "
            f"`python client.py` beside it, or `make down` to stop it"
        ) from None


def run(arguments: argparse.Namespace, home: Home, progress: Progress, interruption: Interruption) -> int:
    """A whole run; whatever happens, all has stopped at its end. Raises StartFailed, Interrupted, SettingError."""
    with only_run(home):
        queue = LocalQueue(home, progress, interruption, arguments.kafka_port)
        drain_seconds = queue.settings.drain_seconds
        if stop_all(home, progress, drain_seconds):
            progress.say("an earlier run, which was killed, had left that behind")
        try:
            queue.start(arguments.workers, max(arguments.workers, arguments.max), arguments.web)
            return queue.idle() if arguments.no_shell else queue.shell()
        finally:
            interruption.ignore()
            stop_all(home, progress, drain_seconds)


def stop_run(home: Home, progress: Progress) -> int:
    """`--stop`: ends a run in the same order as its shell would, then what a killed run left. 0."""
    drain_seconds = yadtq.Settings.load().drain_seconds
    seconds = drain_seconds + 6 * STOP_SECONDS + 2 * SERVER_STOP_SECONDS
    stopped = stop_stage(progress, [home.pid_file("start")], "stopping the run", seconds)
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
        prog="start.py", description="Everything of a queue, and its shell, on this machine, in one command."
    )
    parser.add_argument("--workers", type=whole(0, MOST_WORKERS), default=4, metavar="N", help="default 4")
    parser.add_argument(
        "--max", type=whole(0, MOST_WORKERS), default=0, metavar="M", help="up to M workers when tasks wait"
    )
    parser.add_argument("--web", action="store_true", help="also the web page of the monitor")
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
