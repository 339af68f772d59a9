"""A queue to measure: private servers, workers that can be held back until all is ready, and tasks by the million.

Records that only have to be there are copies of a real one, made within Redis: they are in no topic, and none runs.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from _yadtq.keys import Keys
from local.kafka_server import KafkaServer
from local.redis_server import RedisServer
from tests.support.chaos_watcher import children_of
from tests.support.programs import RunningProgram, as_environment
from tests.support.servers import kafka_at, redis_at
from tests.support.waiting import eventually
from yadtq import Call, Settings, TaskClient

TASKS = ("--tasks", "tests.support.task_modules.gated")
BATCH = 5000
FILL_STEP = 10_000
DAY_MS = 86_400_000
TICKS = os.sysconf("SC_CLK_TCK")
# KEYS[1] -> the record to copy   ARGV: prefix of the epoch, index, score in it, first number, last number
COPY = """
local fields = redis.call('HGETALL', KEYS[1])
for number = tonumber(ARGV[4]), tonumber(ARGV[5]) do
  local id = string.format('f%025d', number)
  redis.call('HSET', ARGV[1] .. 'task:' .. id, unpack(fields))
  redis.call('ZADD', ARGV[1] .. 'all', -number, id)
  redis.call('ZADD', ARGV[1] .. ARGV[2], ARGV[3], id)
end
"""


class MeasuredQueue:
    """One queue. Use it as a context manager: its workers end with it. settings: what else its programs have."""

    def __init__(
        self, servers: "tuple[KafkaServer, RedisServer]", folder: Path, name: str, partitions: int, **settings: Any
    ) -> None:
        kafka, server = servers
        self._folder = folder / name
        self._folder.mkdir()
        self._gate = self._folder
        self.settings = Settings.load(
            {},
            kafka_broker=f"127.0.0.1:{kafka.place.port}",
            redis_host="127.0.0.1",
            redis_port=server.place.port,
            namespace=name,
            partitions=partitions,
            **settings,
        )
        self.redis: Any = redis.Redis("127.0.0.1", server.place.port)  # its types allow for every kind of reply
        self.client = TaskClient(self.settings)
        self.workers: list[RunningProgram] = []
        self._epoch = f"{Keys(name).prefix}0:"
        self._copies = {"registered": 0, "success": 0}

    def __enter__(self) -> "MeasuredQueue":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            worker.process.wait(30)
        self.client.close()
        self.redis.close()

    # -- workers and tasks

    def start_workers(self, count: int) -> None:
        """Starts workers, and returns when all have joined."""
        environment = self.settings.environment()
        for number in range(1, count + 1):
            name = as_environment({"worker_id": f"w{number}"})
            log = self._folder / f"w{number}.log"
            self.workers.append(RunningProgram(["worker.py", *TASKS], log, environment | name))
        eventually(lambda: len(self.client.workers()) == count, 60, f"{count} workers online")

    def hold(self) -> None:
        """Fills every slot with a task that waits for `let_go`."""
        slots = len(self.workers) * self.settings.concurrency
        self._gate = Path(tempfile.mkdtemp(dir=self._folder))
        self.submit("until", slots, str(self._gate))
        eventually(lambda: len(list(self._gate.iterdir())) == slots, 60, "every slot held")

    def let_go(self) -> None:
        """Whoever waits goes on."""
        (self._gate / "open").touch()

    def submit(self, task: str, count: int, *arguments: Any) -> None:
        """Submits that many of the same tasks."""
        for first in range(0, count, BATCH):
            self.client.submit_many(Call(task, arguments) for _ in range(min(BATCH, count - first)))

    def rate(self, count: int) -> float:
        """Waits until all have ended. Returns how many of the last `count` ended in a second.

        The first and the last tenth of them are left out.
        """
        eventually(lambda: self._unended() == 0, 150, "the end of all tasks")
        ended = [score for _, score in self.redis.zrange(f"{self._epoch}success", -count, -1, withscores=True)]
        first, last = ended[count // 10], ended[-1 - count // 10]
        return float((count - 2 * (count // 10)) / max(last - first, 1) * 1000)

    def _unended(self) -> int:
        """Tasks that a worker will run: copies are not."""
        counts = self.client.counts()
        return counts["queued"] + counts["processing"] - self._copies["registered"]

    # -- what only has to be there

    def fill(self, index: str, upto: int) -> None:
        """Copies a task of an index until there are so many copies. registered: they wait; success: they have ended."""
        done = self._copies[index]
        sample = f"f{1:025d}" if done else self.redis.zrange(f"{self._epoch}{index}", -1, -1)[0].decode()
        score = now_ms() + (DAY_MS if index == "registered" else -DAY_MS)  # not yet to be published; not yet to expire
        copy = self.redis.register_script(COPY)
        self.redis.config_set("appendonly", "no")  # written once, in the end
        for first in range(done + 1, upto + 1, FILL_STEP):
            last = min(first + FILL_STEP - 1, upto)
            copy([f"{self._epoch}task:{sample}"], [self._epoch, index, score, first, last])
        self._copies[index] = upto
        self.redis.config_set("appendonly", "yes")
        eventually(
            lambda: not self._info("persistence")["aof_rewrite_in_progress"], 120, "the append-only file written"
        )

    # -- figures

    def memory(self) -> int:
        """Bytes that Redis holds for this queue and for itself, without events that wait for Kafka."""
        eventually(lambda: self.redis.xlen(Keys(self.settings.namespace).events) == 0, 60, "all events sent")
        return int(self._info("memory")["used_memory"])

    def _info(self, section: str) -> dict[str, Any]:
        found: dict[str, Any] = self.redis.info(section)
        return found

    def calls(self) -> int:
        """Calls of scripts that Redis has run since it was started."""
        return int(self._info("commandstats")["cmdstat_evalsha"]["calls"])

    def redis_seconds(self) -> float:
        """CPU that Redis has used."""
        used = self._info("cpu")
        return float(used["used_cpu_user"] + used["used_cpu_sys"])

    def worker_seconds(self) -> float:
        """CPU that all processes of all workers have used."""
        return sum(cpu_seconds(process) for worker in self.workers for process in family(worker.process.pid))

    def worker_bytes(self) -> list[int]:
        """Memory of each worker that no other process shares: parent, guard and children together."""
        return [sum(map(own_bytes, family(worker.process.pid))) for worker in self.workers]


@contextmanager
def private_servers(folder: Path) -> "Iterator[tuple[KafkaServer, RedisServer]]":
    """A Kafka and a Redis of this run's own."""
    servers = kafka_at(folder), redis_at(folder)
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.wait_ready()
        with redis.Redis("127.0.0.1", servers[1].place.port) as connection:
            connection.config_set("auto-aof-rewrite-percentage", 0)  # a rewrite would be part of some figure
        yield servers
    finally:
        for server in reversed(servers):
            server.stop()


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


def family(process: int) -> list[int]:
    """A process and all that descend from it."""
    found = [process]
    for each in found:  # it grows while it is read
        found += children_of(each)
    return found


def cpu_seconds(process: int) -> float:
    """CPU that a process has used so far."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def own_bytes(process: int) -> int:
    """Memory that a process shares with no other one."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def median_ms(call: Callable[[], object], times: int = 20) -> float:
    """How long a call takes, in the middle of so many, in milliseconds."""
    took: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        took.append((time.perf_counter() - began) * 1000)
    return sorted(took)[times // 2]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown: text as it is, whole numbers with commas, others with one decimal."""

    def cell(value: object) -> str:
        return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}" if isinstance(value, float) else str(value)

    lines = [head, ["---"] * len(head), *([cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
