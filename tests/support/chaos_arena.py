"""Where a chaos run takes place: private servers, workers and clients as processes, those who watch, and the ledger."""

import secrets
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from _yadtq.settings import Settings
from tests.support import ledger
from tests.support.chaos_clock import Clocks
from tests.support.chaos_recorder import LEDGER_VARIABLE
from tests.support.chaos_servers import chaos_kafka, chaos_redis
from tests.support.chaos_watcher import DeathWatch, Reader, reading_of
from tests.support.event_log import read_log
from tests.support.faults import Step
from tests.support.kafka_tools import partitions_of, whole_topic
from tests.support.ledger import Fault, History, Lines, Reset, Run, now
from tests.support.programs import RunningProgram, as_environment
from tests.support.proxy import RedisProxy
from tests.support.waiting import eventually
from yadtq import Call, ServerUnreachable, SubmissionRefused, SubmissionUnknown, Task, TaskClient, YadtqError

LEASE_SECONDS = 6.0
STOP_SECONDS = 40.0
SETTLE_SECONDS = 120.0
READY_SECONDS = 10.0  # an older file counts for nothing
PAGE = 1000
SERVER_LOGS = ("kafka.log", "redis.log", "replica.log")
REDIS = "redis"  # the name of its clock
MANAGED = "managed1"  # the manager's worker


class Beside(Protocol):
    """Programs that run beside the workers: chaos_operators.py."""

    def start(self, name: str) -> None: ...
    def kill(self, name: str) -> None: ...
    def managed(self) -> list[int]: ...
    def examine(self) -> None: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...


class Arena:
    """One queue and all that belongs to it. `start` it, and `close` it in the end.

    faults: what was done so far. settings: of a client that no fault stands in the way of; `given` are some that differ
    from what they are else. left_out: faults that this machine does not allow.
    """

    def __init__(self, folder: Path, seed: int = 0, **given: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.seed = folder, seed
        self.ledger = folder / "ledger"
        self.faults: list[Fault] = []
        self.resets: list[Reset] = []
        self.left_out: set[str] = set()
        self.clocks = Clocks(folder / "clocks")
        self.kafka, self.redis = chaos_kafka(folder), chaos_redis(folder, REDIS, self.clocks.environment(REDIS))
        usual = {"namespace": "chaos", "worker_timeout": LEASE_SECONDS, "concurrency": 3, "retry_delay": 0.2}
        servers = {
            "kafka_broker": f"127.0.0.1:{self.kafka.place.port}",
            "redis_host": "127.0.0.1",
            "redis_port": self.redis.place.port,
        }
        self.settings = Settings.load({}, **{**usual, **servers, **given})
        self.workers: dict[int, RunningProgram] = {}
        self.clients: dict[str, RunningProgram] = {}
        self.servers_back_at = 0.0  # monotonic seconds: Kafka and Redis answered again
        self._said: dict[int, int] = {}  # worker → characters in its log before it was started last
        self.problems: list[str] = []  # what no program may do, whatever is done to it
        self._proxies: dict[int, RedisProxy] = {}
        self.operators: Beside | None = None
        self._watch = DeathWatch(
            lambda: [*(worker.process.pid for worker in list(self.workers.values())), *self._managed()]
        )
        self.client = TaskClient(self.settings)
        self._reader = Reader(TaskClient(self.settings))

    # -- begin and end

    def start(self, workers: int) -> None:
        """Starts the servers and so many workers; returns when all have joined."""
        self.kafka.start()
        self.redis.start()
        self.redis.wait_ready()
        self.kafka.wait_ready()
        ledger.runs_folder(self.ledger).mkdir(parents=True)
        self._watch.start()
        self.client.counts()
        self._reader.start()
        for number in range(1, workers + 1):
            self.start_worker(number)
        eventually(lambda: len(self.live_workers()) == workers, 60, "the join of all workers")

    def close(self) -> None:
        """Ends everything that was started, whatever its state."""
        self._reader.stop()
        self._watch.stop()
        if self.operators:
            self.operators.close()
        for program in [*self.workers.values(), *self.clients.values()]:
            program.process.send_signal(signal.SIGCONT)
            program.process.kill()
            program.process.wait()
        self.client.close()
        for proxy in self._proxies.values():
            proxy.close()
        self.kafka.proxy.close()
        self.kafka.kill()
        self.redis.kill()

    # -- workers

    def start_worker(self, number: int) -> None:
        """Starts worker w<number>, behind its own proxy of Redis; even ones are also behind the proxy of Kafka."""
        broker = f"127.0.0.1:{self.kafka.proxy.port}" if number % 2 == 0 else self.settings.kafka_broker
        ready, log = str(self._ready_file(number)), self.folder / f"{name_of(number)}.log"
        self._said[number] = len(log.read_text(encoding="utf-8", errors="replace")) if log.exists() else 0
        given = replace(self.settings, kafka_broker=broker, redis_port=self.proxy(number).port, ready_file=ready)
        self.workers[number] = RunningProgram(
            ["worker.py", "--tasks", "tests.support.task_modules.chaos"],
            log,
            self.environment(given)
            | as_environment({"worker_id": name_of(number)})
            | self.clocks.environment(name_of(number)),
        )

    def process(self, number: int) -> int:
        """The number of a worker's process."""
        return self.workers[number].process.pid

    def is_ready(self, number: int) -> bool:
        """Whether a worker says that it is ready, as its supervisor would look."""
        try:
            return time.time() - self._ready_file(number).stat().st_mtime < READY_SECONDS
        except FileNotFoundError:
            return False

    def _ready_file(self, number: int) -> Path:
        return self.folder / f"{name_of(number)}.ready"

    def is_running(self, number: int) -> bool:
        worker = self.workers.get(number)
        return worker is not None and worker.process.poll() is None

    def ended(self, number: int) -> None:
        """Notes how a worker that was told to stop has ended."""
        worker = self.workers.pop(number)
        code = worker.process.returncode
        if code == -signal.SIGTERM and "action=" not in worker.output[self._said[number] :]:
            return  # before it had begun
        if code != 0:
            self.problems.append(f"{name_of(number)} was told to stop and ended with exit code {code}")

    def stop_workers(self) -> None:
        """Ends all workers, and notes which have not lived until now."""
        for number, worker in self.workers.items():
            if worker.process.poll() is not None:
                self.problems.append(f"{name_of(number)} ended by itself with exit code {worker.process.returncode}")
            worker.process.terminate()
        for number in list(self.workers):
            self.workers[number].process.wait(STOP_SECONDS)
            self.ended(number)

    def proxy(self, number: int) -> RedisProxy:
        """What stands between a worker and Redis."""
        if number not in self._proxies:
            self._proxies[number] = RedisProxy(("127.0.0.1", self.redis.place.port))
        return self._proxies[number]

    def live_workers(self) -> list[str]:
        """The names of the workers that hold a lease."""
        return sorted({worker.id.partition("~")[0] for worker in self.client.workers() if worker.state != "offline"})

    # -- clients

    def start_client(self, name: str, rate: float, mix: str = "mixed", dies: str = "") -> RunningProgram:
        """Starts a client that submits about `rate` tasks a second. dies: before · during its third publication."""
        arguments = [str(self.ledger), name, f"{self.seed}-{name}", str(rate), mix, *([dies] if dies else [])]
        program = RunningProgram(
            ["-m", "tests.support.chaos_client", *arguments],
            self.folder / f"{name}.log",
            self.environment(self.settings),
        )
        self.clients[name] = program
        return program

    def stop_clients(self) -> None:
        """Ends all clients, each after its present call."""
        for program in self.clients.values():
            program.process.terminate()
        for name, program in self.clients.items():
            code = program.process.wait(STOP_SECONDS)
            if code not in (0, -signal.SIGKILL):
                self.problems.append(f"client {name} ended with exit code {code}: {program.output[-500:]}")
        self.clients.clear()

    def submit(self, calls: Sequence[Call]) -> list[str]:
        """Submits tasks from here, with the ledger of it. Returns their ids. Raises what `submit_many` raises."""
        named = [replace(call, task_id=call.task_id or f"arena-{secrets.token_hex(8)}") for call in calls]
        ids = [call.task_id for call in named]
        self._note_submissions(ledger.ATTEMPTED, ids)
        try:
            accepted = self.client.submit_many(named)
        except SubmissionRefused as error:
            self._note_submissions(ledger.ACKNOWLEDGED, error.accepted)
            self._note_submissions(ledger.REFUSED, [error.task_id])
            raise
        except SubmissionUnknown as error:
            self._note_submissions(ledger.ACKNOWLEDGED, error.accepted)
            raise
        except ServerUnreachable:
            self._note_submissions(ledger.REFUSED, ids)
            raise
        self._note_submissions(ledger.ACKNOWLEDGED, accepted)
        return accepted

    def submit_when_possible(self, call: Call) -> str:
        """Submits one task, again and again under new ids, until it is accepted. Returns its id."""

        def accepted() -> str:
            try:
                return self.submit([call])[0]
            except YadtqError as error:
                raise AssertionError(str(error)) from error

        return eventually(accepted, STOP_SECONDS, "a submission that is accepted")

    def _note_submissions(self, kind: str, ids: Sequence[str]) -> None:
        lines = Lines(ledger.clients_folder(self.ledger) / "arena.jsonl")
        for task_id in ids:
            lines.write(kind, task_id, now())
        lines.close()

    def environment(self, given: Settings) -> dict[str, str]:
        """What a program of this arena is started with."""
        variables = given.environment()
        del variables["WORKER_ID"]
        return {**variables, LEDGER_VARIABLE: str(self.ledger)}

    # -- what is known

    def runs(self) -> list[Run]:
        """What the handlers have written so far."""
        return ledger.runs(self.ledger)

    def dead(self) -> frozenset[str]:
        """The processes that were seen dead."""
        return frozenset(self._watch.deaths.copy())

    def settle_down(self) -> None:
        """Waits until nothing waits, nothing runs and every event is in Kafka. Clients must have ended."""

        def at_rest() -> bool:
            try:
                stats = self.client.stats()
            except YadtqError as error:
                raise AssertionError(str(error)) from error
            left = {"queued": stats.counts["queued"], "processing": stats.counts["processing"], "outbox": stats.outbox}
            assert not any(left.values()), f"left: {left}"
            return True

        try:
            eventually(at_rest, SETTLE_SECONDS, "the end of all tasks")
        except AssertionError as error:
            self.problems.append(str(error))

    def history(self) -> History:
        """Reads back everything, and watches no longer. The queue must be at rest."""
        log = read_log(whole_topic(self.settings.kafka_broker, f"{self.settings.namespace}_events"))
        with self.redis.connection() as connection:
            generation, seq = connection.hmget(f"{{{self.settings.namespace}}}:meta", "generation", "seq")
        self._reader.stop()
        self._watch.stop()
        return History(
            submissions=ledger.submissions(self.ledger),
            runs=self.runs(),
            deaths=self._watch.deaths,
            faults=self.faults,
            resets=self.resets,
            readings=self._reader.readings,
            final={task.id: reading_of(task) for task in self._all_tasks()},
            log=log,
            last_event=(int(generation or 0), int(seq or 0)),
            messages=self._messages() if any(fault.forgets_since is not None for fault in self.faults) else None,
        )

    def _messages(self) -> frozenset[str]:
        """The ids of all messages that the topic of the tasks holds."""
        broker, topic = self.settings.kafka_broker, tasks_topic(self)
        return frozenset(key.decode() for key, _ in whole_topic(broker, topic, partitions_of(broker, topic)))

    def examine_logs(self) -> None:
        """Notes what no program of ours may print."""
        for path in sorted(self.folder.glob("*.log")):
            if path.name in SERVER_LOGS:
                continue
            text = path.read_text(encoding="utf-8", errors="replace")
            if "Traceback (most recent call last)" in text:
                tail = text[text.rindex("Traceback (most recent call last)") :]
                self.problems.append(f"{path.name} holds a traceback: {tail[:1500]}")

    def _all_tasks(self) -> list[Task]:
        found: list[Task] = []
        while page := self.client.list(limit=PAGE, offset=len(found)):
            found += page
        return found

    # -- what was done

    def note(self, kind: str, began: float, **more: Any) -> None:
        """Notes a fault that ends now."""
        self.faults.append(Fault(kind, began, now(), **more))

    def everybody(self) -> frozenset[str]:
        """The names of all workers that were ever started: what hits Redis hits whoever runs meanwhile."""
        return frozenset(name_of(number) for number in self._proxies) | ({MANAGED} if self.operators else set())

    def _managed(self) -> list[int]:
        return self.operators.managed() if self.operators else []

    @property
    def safe_seconds(self) -> float:
        """A worker whose heartbeats fail for longer may have lost its children to the guard.

        It is the lease, less the guard's margin, the pause between two heartbeats, and a second.
        """
        lease = self.settings.worker_timeout
        return lease - lease / 4 - lease / 6 - 1

    def note_outage(self, kind: str, began: float, workers: frozenset[str]) -> None:
        """Notes a fault that ends now and kept these workers from their Redis; it hits them when it lasted too long."""
        hit = workers if now() - began > self.safe_seconds else frozenset[str]()
        self.note(kind, began, workers=hit, mends="outage")


def name_of(number: int) -> str:
    return f"w{number}"


def tasks_topic(arena: Arena) -> str:
    return f"{arena.settings.namespace}_tasks"


Story = Iterator[float]  # a fault, told in steps; what it yields are seconds in which others go on
Stories = dict[str, Callable[[Arena, Step], Story]]
