"""A queue to measure: private servers, workers that can be held back until all is ready, and tasks by the million.

Records that only have to be there are copies of a real one, made within Redis: they are in no topic, and none runs.
"""

import fcntl
import itertools
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import redis

from _yadtq.keys import Keys
from _yadtq.scripts import LUA, script
from local.kafka_server import KafkaServer
from local.redis_server import RedisServer
from tests.support.chaos_watcher import children_of
from tests.support.programs import EndedEarly, RunningProgram, as_environment
from tests.support.servers import kafka_at, redis_at
from tests.support.task_modules import gated
from tests.support.task_modules.gated import GATE
from tests.support.waiting import eventually
from yadtq import Call, Settings, TaskClient

TASKS = ("--tasks", gated.__name__)
BATCH = 5000
FILL_STEP = 10_000
DAY_MS = 86_400_000
SLOW_MS = 5
# What a program may send; scripts use none of these.
FROM_PROGRAMS = frozenset(
    {
        "auth",
        "client",
        "eval",
        "evalsha",
        "hello",
        "ping",
        "script",
        "select",
        "subscribe",
        "unsubscribe",
        "xread",
        "zscan",
    }
)
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
# ARGV: prefix of the epoch, instant in milliseconds
FORGET = """
for _, id in ipairs(redis.call('ZRANGEBYSCORE', ARGV[1] .. 'success', ARGV[2], '+inf')) do
  redis.call('UNLINK', ARGV[1] .. 'task:' .. id)
  redis.call('ZREM', ARGV[1] .. 'success', id)
  redis.call('ZREM', ARGV[1] .. 'all', id)
end
"""


class MeasuredQueue:
    """One queue. Use it as a context manager: its programs end with it. settings: what else its programs have."""

    def __init__(
        self, servers: "tuple[KafkaServer, RedisServer]", folder: Path, name: str, partitions: int = 12, **settings: Any
    ) -> None:
        kafka, server = servers
        self.folder = folder / name
        self.folder.mkdir()
        self._gate: IO[str] | None = None
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
        self._started = itertools.count(1)
        self._others: list[RunningProgram] = []
        self._epoch = f"{Keys(name).prefix}0:"
        self._copies = {"registered": 0, "success": 0}

    def __enter__(self) -> "MeasuredQueue":
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()
        self.stop_workers()
        stopped(self._others)
        self.client.close()
        self.redis.close()

    # -- workers and tasks

    @property
    def keys(self) -> Keys:
        return Keys(self.settings.namespace)

    def start_workers(self, count: int) -> None:
        """Starts so many more workers, and returns when all have joined."""
        for _ in range(count):
            self.add_worker()
        wanted, patience = len(self.workers), 60 + 2 * count
        eventually(lambda: self._alive() and self.online() >= wanted, patience, f"{wanted} workers online")

    def add_worker(self) -> RunningProgram:
        """Starts one more worker, and does not wait for it."""
        name = f"w{next(self._started)}"
        self.workers.append(self._program(name, ["worker.py", *TASKS], worker_id=name))
        return self.workers[-1]

    def _alive(self) -> bool:
        """True. EndedEarly when a worker has ended by itself."""
        for worker in self.workers:
            if worker.process.poll() is not None:
                raise EndedEarly(f"{worker.log.name}: a worker ended ({worker.process.returncode}): {worker.output}")
        return True

    def online(self) -> int:
        """How many of its workers take tasks."""
        names = {worker.log.stem for worker in self.workers}
        return len(names & {worker.worker_id for worker in self.client.workers() if worker.state == "online"})

    def stop_workers(self) -> None:
        """Ends all workers, each as it does at SIGTERM."""
        stopped(self.workers)
        self.workers = []

    def dismiss(self) -> RunningProgram:
        """The oldest worker, which no longer counts as one, for the caller to stop; it is waited for in the end."""
        self._others.append(self.workers.pop(0))
        return self._others[-1]

    def start_server(self) -> None:
        """Starts a coordinator, which has the part of the relay from then on."""
        command = ["server.py", "--http", "off"]
        self._others.append(self._program("server", command, log_folder=self.folder / "logs"))

    def start_program(self, name: str, *arguments: str) -> RunningProgram:
        """Starts another program of this checkout for this queue; it ends with the queue, when it has not before."""
        self._others.append(self._program(name, list(arguments)))
        return self._others[-1]

    def _program(self, name: str, command: list[str], **settings: object) -> RunningProgram:
        environment = self.settings.environment() | as_environment(settings)
        return RunningProgram(command, self.folder / f"{name}.log", environment)

    def hold(self) -> None:
        """Fills every slot with a task that waits for `let_go`."""
        slots = len(self.workers) * self.settings.concurrency
        place = Path(tempfile.mkdtemp(dir=self.folder))
        self._gate = (place / GATE).open("w", encoding="utf-8")
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        self.submit("until", slots, str(place))
        eventually(lambda: len(list(place.iterdir())) > slots, 60, "every slot held")

    def let_go(self) -> None:
        """Whoever waits goes on."""
        if self._gate is not None:
            self._gate.close()
            self._gate = None

    def submit(self, task: str, count: int, *arguments: Any) -> None:
        """Submits that many of the same tasks."""
        for first in range(0, count, BATCH):
            self.client.submit_many(Call(task, arguments) for _ in range(min(BATCH, count - first)))

    def rate(self, count: int) -> float:
        """Waits until all have ended. Returns how many of the last `count` ended in a second.

        The first and the last tenth of them are left out.
        """
        self.wait_until_done()
        ended = [score for _, score in self.redis.zrange(f"{self._epoch}success", -count, -1, withscores=True)]
        first, last = ended[count // 10], ended[-1 - count // 10]
        return float((count - 2 * (count // 10)) / max(last - first, 1) * 1000)

    def wait_until_done(self, seconds: float = 150.0) -> None:
        """Waits until no task is left that a worker will run."""
        eventually(lambda: self._unended() == 0, seconds, "the end of all tasks")

    def round_trips(self, count: int) -> list[float]:
        """Milliseconds from submitting a task that takes no time to its result, one after the other."""
        return [milliseconds(lambda: self.client.wait_for_result(self.client.submit("nothing"))) for _ in range(count)]

    def ended_at(self, places: Sequence[int]) -> list[float]:
        """When the tasks ended that have these places in the order of their ends, in seconds since 1970."""
        rows = [self.redis.zrange(f"{self._epoch}success", place, place, withscores=True) for place in places]
        return [row[0][1] / 1000 for row in rows]

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
        eventually(self._is_written, 300, "the append-only file written")

    def forget_ended(self) -> None:
        """Takes away what has ended lately, so that only copies are kept."""
        self.redis.eval(FORGET, 0, self._epoch, now_ms() - DAY_MS // 2)

    def _is_written(self) -> bool:
        about = self._info("persistence")
        return not about["aof_rewrite_in_progress"] and not about["aof_rewrite_scheduled"]

    # -- figures

    def wait_until_told(self, seconds: float = 60.0) -> None:
        """Waits until Kafka has all events."""
        eventually(lambda: self.redis.xlen(self.keys.events) == 0, seconds, "all events sent")

    def memory(self) -> int:
        """Bytes that Redis holds for this queue and for itself, without events that wait for Kafka."""
        self.wait_until_told()
        return int(self._info("memory")["used_memory"])

    def _info(self, section: str) -> dict[str, Any]:
        found: dict[str, Any] = self.redis.info(section)
        return found

    def calls(self) -> int:
        """Calls of scripts that Redis has run since it was started."""
        return int(self._info("commandstats")["cmdstat_evalsha"]["calls"])

    def record_keys(self, index: str, most: int) -> list[str]:
        """Keys of the newest records of an index."""
        return [f"{self._epoch}task:{each.decode()}" for each in self.redis.zrange(f"{self._epoch}{index}", -most, -1)]

    def is_tidy(self) -> bool:
        """Whether nothing is left of what was there before a reset."""
        return not self.redis.exists(f"{self.keys.prefix}old")

    def begin_timing(self) -> None:
        """Redis times its commands from here on."""
        self.redis.config_set("latency-tracking-info-percentiles", "50 99 99.9")
        self.redis.config_set("slowlog-log-slower-than", SLOW_MS * 1000)
        self.redis.config_set("slowlog-max-len", 100_000)
        self.redis.slowlog_reset()
        self.redis.config_resetstat()

    def script_ms(self, percentile: str) -> float:
        """How long calls of scripts have held Redis since `begin_timing`. percentile: p50 · p99 · p99.9."""
        return float(self._info("latencystats")["latency_percentiles_usec_evalsha"][percentile]) / 1000

    def slow_scripts(self) -> Counter[str]:
        """How many calls of each script have held Redis for longer than SLOW_MS since `begin_timing`."""
        names = {script(path.stem)[1]: path.stem for path in LUA.glob("*.lua")}
        commands = [entry["command"].decode(errors="replace").split() for entry in self.redis.slowlog_get(100_000)]
        return Counter(names.get(words[1], "others") for words in commands if words[0].upper() == "EVALSHA")

    def commands(self) -> int:
        """Commands that programs have sent to Redis since it was started, without those that scripts make."""
        calls = {name.removeprefix("cmdstat_"): row["calls"] for name, row in self._info("commandstats").items()}
        return sum(count for name, count in calls.items() if name.partition("|")[0] in FROM_PROGRAMS)

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
    """CPU that a process has used so far. Linux makes the number of a process' clock from that of the process."""
    return time.clock_gettime(~process << 3 | 2)


def own_bytes(process: int) -> int:
    """Memory that a process shares with no other one."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def slow_calls(scripts: Counter[str]) -> str:
    """What `slow_scripts` has found, as a sentence."""
    return f"Calls longer than {SLOW_MS} ms: {', '.join(f'{n} {name}' for name, n in scripts.most_common()) or 'none'}."


def milliseconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def median_ms(call: Callable[[], object], times: int = 20) -> float:
    """How long a call takes, in the middle of so many, in milliseconds."""
    return sorted(milliseconds(call) for _ in range(times))[times // 2]


def stopped(programs: Sequence[RunningProgram]) -> None:
    """Ends programs all at once, each as it does at SIGTERM."""
    for program in programs:
        if program.process.poll() is None:
            program.process.terminate()
    for program in programs:
        program.process.wait(60)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown: text as it is, whole numbers with commas, others with one decimal."""

    def cell(value: object) -> str:
        return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}" if isinstance(value, float) else str(value)

    lines = [head, ["---"] * len(head), *([cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
