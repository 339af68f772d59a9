"""The other task queues of the comparison: what they are, and one measurement of one of them.

Each lives in an environment of its own, made from its requirements file, and has a Redis of its own that starts empty
and without a setting: one that writes snapshots now and then, and appends nothing to a file. How many jobs have ended
is read from the queue's own records, by one short command of Redis.
"""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import redis

from benchmarks.completions import Completions, watch
from local import process
from local.embedded_server import Place
from local.ports import free_port
from local.process import Program
from local.redis_server import RedisServer, executable
from tests.support.measured_queue import family
from tests.support.servers import ROOT

HOME = ROOT / ".yadtq" / "peers"
REQUIREMENTS = ROOT / "benchmarks" / "peers"
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Peer:
    """Another task queue.

    name: as it is shown. environment: of its packages, of which `package` is its own. module: its driver.
    worker: command of its worker, with ten slots. ended: database, and the command that counts results;
    counts_left: it counts the jobs that have not ended instead. share_of_jobs: of those that the others are given.
    durable: its Redis appends each write to a file and syncs it each second, as that of YADTQ.
    """

    name: str
    environment: str
    package: str
    module: str
    worker: tuple[str, ...]
    ended: tuple[int, tuple[str, ...]]
    counts_left: bool = False
    share_of_jobs: float = 1.0
    durable: bool = False

    @property
    def programs(self) -> Path:
        return HOME / self.environment / "bin"

    @property
    def requirements(self) -> str:
        return (REQUIREMENTS / f"{self.environment}.txt").read_text(encoding="utf-8")

    @property
    def version(self) -> str:
        """Of its package."""
        lines = self.requirements.splitlines()
        return next(line for line in lines if line.startswith(f"{self.package}==")).partition("==")[2]

    def install(self) -> bool:
        """Makes its environment, unless it is there with these versions. Returns whether it had to."""
        stamp = HOME / self.environment / "requirements.txt"
        if stamp.exists() and stamp.read_text(encoding="utf-8") == self.requirements:
            return False
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(HOME / self.environment)], check=True)
        pip = [str(self.programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(REQUIREMENTS / f"{self.environment}.txt")], check=True)
        stamp.write_text(self.requirements, encoding="utf-8")
        return True


CELERY = ("celery", "--app=benchmarks.peers.celery_queue", "worker", "--concurrency=10", "--loglevel=WARNING",
          "--without-gossip", "--without-mingle", "--without-heartbeat")  # fmt: skip
TASKIQ = ("taskiq", "worker", "--workers=2", "--max-async-tasks=5", "--log-level=WARNING")
RESULTS = (1, ("DBSIZE",))  # nothing but results is in that database

DRIVER = "benchmarks.peers."

PEERS = (
    Peer("Celery, processes", "celery", "celery", f"{DRIVER}celery_queue", (*CELERY, "--pool=prefork"), RESULTS),
    Peer("Celery, threads", "celery", "celery", f"{DRIVER}celery_queue", (*CELERY, "--pool=threads"), RESULTS),
    Peer(
        "RQ", "rq", "rq", f"{DRIVER}rq_queue", ("python", "-m", f"{DRIVER}rq_queue", "worker", "10"),
        (0, ("ZCARD", "rq:finished:default")), share_of_jobs=0.1,
    ),
    Peer(
        "Dramatiq", "dramatiq", "dramatiq", f"{DRIVER}dramatiq_queue",
        ("dramatiq", f"{DRIVER}dramatiq_queue", "--processes=2", "--threads=5"), RESULTS,
    ),
    Peer(
        "Huey", "huey", "huey", f"{DRIVER}huey_queue",
        ("huey_consumer", f"{DRIVER}huey_queue.huey", "--worker-type=process", "--workers=10", "--quiet",
         "--no-periodic"),
        (0, ("HLEN", "huey.results.comparison")),
    ),
    Peer(
        "arq", "arq", "arq", f"{DRIVER}arq_queue",
        ("arq", f"{DRIVER}arq_queue.WorkerSettings", f"--custom-log-dict={DRIVER}arq_queue.LOGGING"),
        (0, ("ZCARD", "arq:queue")), counts_left=True,
    ),
    Peer("Taskiq", "taskiq", "taskiq", f"{DRIVER}taskiq_queue", (*TASKIQ, f"{DRIVER}taskiq_queue:broker"), RESULTS),
    Peer(
        "Taskiq, Kafka", "taskiq-kafka", "taskiq-aio-kafka", f"{DRIVER}taskiq_kafka_queue",
        (*TASKIQ, f"{DRIVER}taskiq_kafka_queue:broker"), RESULTS,
    ),
)  # fmt: skip
# The faster ones once more, with a Redis that may crash as YADTQ's may.
DURABLE = tuple(
    replace(peer, name=f"{peer.name}, as durable a Redis", durable=True)
    for peer in PEERS
    if peer.name in ("Huey", "Taskiq")
)


class PlainRedis(RedisServer):
    """A Redis without a setting, but for where it is."""

    def prepare(self) -> list[str]:
        where = {"bind": "127.0.0.1", "port": str(self.place.port), "dir": str(self.place.home.resolve())}
        return [executable(), *(part for name, value in where.items() for part in (f"--{name}", value))]


class OpenedPeer:
    """A peer with its Redis. Made by `opened`."""

    def __init__(self, peer: Peer, folder: Path, server: RedisServer, kafka: str) -> None:
        self._peer, self._folder = peer, folder
        self._redis: Any = redis.Redis("127.0.0.1", server.place.port, db=peer.ended[0])
        self._worker: subprocess.Popen[bytes] | None = None
        self._environment = {
            "PEER_REDIS_PORT": str(server.place.port),
            "PEER_KAFKA": kafka,
            "PEER_QUEUE": folder.name,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{peer.programs}{os.pathsep}{os.environ['PATH']}",
        }

    def drive(self, *arguments: str) -> str:
        """Runs its driver to the end. Returns what it prints. Raises CalledProcessError."""
        command = [str(self._peer.programs / "python"), "-m", self._peer.module, *arguments]
        with (self._folder / "driver.log").open("ab") as log:
            return subprocess.run(
                command, env={**os.environ, **self._environment}, cwd=ROOT, check=True, stdout=subprocess.PIPE,
                stderr=log, text=True,
            ).stdout  # fmt: skip

    def start_worker(self) -> None:
        """Starts its worker, and returns at once."""
        program, *arguments = self._peer.worker
        self._worker = process.spawn(
            Program(
                [str(self._peer.programs / program), *arguments],
                self._folder / "worker.log",
                environment=self._environment,
                directory=ROOT,
            )
        )

    def work_off(self, jobs: int) -> Completions:
        """Submits so many jobs, then starts the worker and watches it."""
        self.drive("submit", str(jobs))
        began = time.perf_counter()
        self.start_worker()
        return watch(lambda: self._ended(jobs), jobs, began)

    def _ended(self, jobs: int) -> int:
        counted = int(self._redis.execute_command(*self._peer.ended[1]))
        return jobs - counted if self._peer.counts_left else counted

    def close(self) -> None:
        """Ends its worker with all processes that it has started."""
        self._redis.close()
        if self._worker is not None:
            for each in family(self._worker.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
            self._worker.wait()


@contextlib.contextmanager
def opened(peer: Peer, folder: Path, kafka: str) -> Iterator[OpenedPeer]:
    """A peer with an empty Redis. kafka: host:port of the Kafka that one of them uses."""
    place = folder / f"{peer.environment}{next(_numbers)}"
    kind = RedisServer if peer.durable else PlainRedis
    server = kind(Place(place / "redis", place / "redis.log", free_port()))
    server.start()
    try:
        server.wait_ready()
        running = OpenedPeer(peer, place, server, kafka)
        try:
            yield running
        finally:
            running.close()
    finally:
        server.stop()


def round_trips(peer: OpenedPeer, count: int) -> list[float]:
    """Milliseconds of so many round trips, one after the other."""
    took: list[float] = json.loads(peer.drive("round-trips", str(count)))
    return took
