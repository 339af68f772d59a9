"""The programs of the simulation: the real client and worker, put on the stage."""

import contextlib
import copy
import dataclasses
import itertools
import queue
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import _yadtq.connections
import _yadtq.consumer
import _yadtq.event_log
import _yadtq.inbox
import _yadtq.incarnation
import _yadtq.pool
import _yadtq.recovery
import _yadtq.relay
import _yadtq.scripts
import _yadtq.store
import _yadtq.sweeper
import yadtq
from _yadtq.messages import Call
from _yadtq.relay import Relay
from tests.simulation.kafka_link import (
    EventReader,
    KafkaReader,
    SimulatedArrivals,
    SimulatedBroker,
    SimulatedConsumer,
)
from tests.simulation.kafka_log import LATE_SECONDS, Flight
from tests.simulation.observer import ACKNOWLEDGED, REFUSED, UNKNOWN, UNWRITTEN
from tests.simulation.pool import SimulatedPool
from tests.simulation.redis_link import SimulatedStore
from tests.simulation.stage import Actor, Event, Process
from yadtq import SubmissionRefused, SubmissionUnknown, TaskClient, TaskWorker, YadtqError

if TYPE_CHECKING:
    from tests.simulation.world import World

TASK = "work"
PATIENCE_SECONDS = 1.0  # of a relay without an event


def work() -> None:
    """The one task. It never runs: the simulated children only say so."""


# -- what is put in the place of threads, queues, time and chance


class StageQueue:
    """The inbox' queue, on the stage's clock."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._items: list[object] = []

    def put(self, item: object) -> None:
        self._items.append(item)

    def get(self, timeout: float) -> object:
        if not self._items:
            self._world.stage.wait(timeout, lambda: bool(self._items))
        return self.get_nowait()

    def get_nowait(self) -> object:
        if not self._items:
            raise queue.Empty
        return self._items.pop(0)


class StageRelay(Relay):
    """The real relay, as a thread of the stage."""

    def __init__(self, world: "World", *given: Any) -> None:
        super().__init__(*given)
        self._world, self._process = world, world.stage.actor.process
        self._wanted = Event(world.stage)  # type: ignore[assignment]  # the same surface
        self._actor: Actor | None = None

    def start(self) -> None:
        self._actor = self._world.stage.spawn(self._process, f"{self._process.name}'s relay", self.run)

    def is_alive(self) -> bool:
        return self._actor is not None and not self._actor.finished

    def stop(self, seconds: float) -> None:
        super().stop(seconds)
        if self.is_alive():
            self._world.stage.wait(seconds, lambda: not self.is_alive())


class StageListener:
    """Wake-ups are not simulated: a look each second must do."""

    def __init__(self, *given: Any) -> None:
        """Hears nothing."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def join(self, timeout: float) -> None: ...


class StageLog:
    """The log of a program: lines of the trace."""

    def __init__(self, world: "World", process: Process) -> None:
        self._world, self._process = world, process

    def info(self, action: str, task_id: str = "", text: str = "") -> None:
        self._world.trace(f"{self._process.name} says: {action} {task_id} {text[:160]}")

    debug = warning = error = info

    def flush(self) -> None: ...


class Chance:
    """Random names that a seed repeats."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def token_hex(self, size: int) -> str:
        return f"{self._world.rng.getrandbits(size * 8):0{size * 2}x}"

    def random(self) -> float:
        return self._world.rng.random()


Change = tuple[Any, str, Any]  # a module, a name in it, and what stands there while a schedule plays


@contextlib.contextmanager
def installed(world: "World") -> Iterator[None]:
    """While the block runs, programs get the stage's threads, clock, servers and chance."""
    chance = Chance(world)

    def stage_queue() -> StageQueue:
        return StageQueue(world)

    changes: list[Change] = [
        (_yadtq.pool, "Pool", lambda handlers, size, post: SimulatedPool(world, size, post)),
        (yadtq, "Listener", StageListener),
        (yadtq, "SystemClock", lambda: world.stage),
        (_yadtq.connections, "SystemClock", lambda: world.stage),
        (yadtq, "Log", lambda level: StageLog(world, world.stage.actor.process)),
        (yadtq, "consumer", lambda *given: SimulatedConsumer(world, *given)),
        (yadtq, "stopped_by_signals", contextlib.nullcontext),
        (yadtq, "secrets", chance),
        (yadtq, "socket", SimpleNamespace(gethostname=lambda: "host")),
        (yadtq, "os", SimpleNamespace(getpid=lambda: 1)),
        (_yadtq.relay, "Relay", lambda *given: StageRelay(world, *given)),
        (_yadtq.relay, "SystemClock", lambda: world.stage),
        (_yadtq.relay, "ENTRY_SECONDS", PATIENCE_SECONDS),
        (_yadtq.recovery, "time", world.stage),
        (_yadtq.recovery, "secrets", chance),
        (_yadtq.store, "secrets", chance),
        (_yadtq.scripts, "time", world.stage),
        (_yadtq.scripts, "redis", SimpleNamespace(Redis=lambda **_: None)),  # it takes a millisecond, and is replaced
        (_yadtq.incarnation, "secrets", chance),
        (_yadtq.incarnation, "random", chance),
        (_yadtq.inbox, "queue", SimpleNamespace(SimpleQueue=stage_queue, Empty=queue.Empty)),
        (_yadtq.sweeper, "DELIVERY_MS", round(2000 * LATE_SECONDS)),
        (_yadtq.consumer, "time", world.stage),
        (_yadtq.consumer, "Arrivals", SimulatedArrivals),
        (_yadtq.consumer, "connected", lambda kind, settings, **given: _reader(world, settings)),
        (_yadtq.event_log, "connected", lambda kind, settings, **given: EventReader(world, world.stage.actor.process)),
    ]
    with _changed(changes):
        yield


@contextlib.contextmanager
def _changed(changes: list[Change]) -> Iterator[None]:
    before = [(module, name, getattr(module, name)) for module, name, _ in changes]
    for module, name, value in changes:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def _reader(world: "World", settings: Any) -> KafkaReader:
    world.stage.point()
    return KafkaReader(world, world.stage.actor.process, settings.worker_id)


# -- workers


class WorkerProcess(Process):
    """One process of a worker."""

    worker: TaskWorker | None = None
    asked_to_stop = False


def start_worker(world: "World", name: str) -> Process:
    """Starts a worker under this name."""
    process = WorkerProcess(name)
    world.processes.append(process)
    world.trace(f"{name} starts")
    settings = dataclasses.replace(world.plan.settings, worker_id=name)

    def body() -> None:
        store: Any = SimulatedStore(settings, world, process)
        broker: Any = SimulatedBroker(settings, world, process)
        process.worker = TaskWorker(settings, {TASK: work}, broker=broker, result_store=store)
        process.worker.run()
        process.ended = True
        world.trace(f"{name} has ended")
        world.later(world.rng.choice((0.0, 3.0)), world.ensure_workers)

    world.stage.spawn(process, name, body)
    return process


def stop_worker(process: Process) -> None:
    """SIGTERM."""
    if isinstance(process, WorkerProcess) and process.worker is not None:
        process.worker.stop()


# -- clients


def begin(world: "World") -> None:
    """The processes that a schedule begins with."""
    world.ensure_workers()
    rng, plan = world.rng, world.plan
    jobs: list[list[Callable[[TaskClient, str], None]]] = [[] for _ in range(plan.clients)]
    left = plan.submissions
    names = itertools.count()
    while left:
        count = min(left, rng.choice((1, 1, 2, 3)))
        ids = sorted({f"t{next(names) % plan.ids}" for _ in range(count)})
        rng.choice(jobs).append(partial(_submit, world, ids))
        left -= count
    for _ in range(plan.resets):
        rng.choice(jobs).append(partial(_reset, world))
    for _ in range(plan.retries):
        rng.choice(jobs).append(partial(_retry, world))
    for number, steps in enumerate(jobs):
        rng.shuffle(steps)
        _start_client(world, f"client{number}", steps)
    for number in range(plan.foreign):
        world.later(rng.uniform(0, rng.choice((0.6, 3))), partial(_send_foreign, world, number))


def _start_client(world: "World", name: str, steps: list[Callable[[TaskClient, str], None]]) -> None:
    process = Process(name)
    world.processes.append(process)
    settings = dataclasses.replace(world.plan.settings)

    def body() -> None:
        store: Any = SimulatedStore(settings, world, process)
        broker: Any = SimulatedBroker(settings, world, process)
        client = TaskClient(settings, broker=broker, result_store=store)
        for step in steps:
            world.stage.wait(world.rng.choice((0.0, 0.0, 0.5, 2.0)))
            step(client, name)
        process.ended = True

    world.stage.spawn(process, name, body)


def start_rebuild(world: "World", name: str) -> None:
    """server.py --rebuild."""

    def step(client: TaskClient, _: str) -> None:
        while True:
            try:
                client.rebuild(lambda line: world.trace(f"{name}: {line}"))
            except YadtqError as error:
                world.trace(f"{name}: {error}")
                world.stage.wait(1.0)
            else:
                return

    _start_client(world, name, [step])


def _submit(world: "World", ids: list[str], client: TaskClient, name: str) -> None:
    """Submits tasks, and writes down what became of each."""
    first = next(copy.copy(client._numbers))
    rows = {i: world.observer.submitted(f"{client._name}#{first + n}", i) for n, i in enumerate(ids)}
    try:
        for task_id in client.submit_many([Call(TASK, (), {}, task_id) for task_id in ids]):
            rows[task_id].word = ACKNOWLEDGED
    except (SubmissionRefused, SubmissionUnknown) as error:
        for task_id in ids:
            rows[task_id].word = ACKNOWLEDGED if task_id in error.accepted else UNKNOWN
        if error.task_id in rows:
            rows[error.task_id].word = REFUSED if isinstance(error, SubmissionRefused) else UNKNOWN
    except YadtqError as error:  # before anything was written
        world.trace(f"{name}: {error}")
        for row in rows.values():
            row.word = UNWRITTEN
    world.trace(f"{name} was told: {', '.join(f'{row.task_id} {row.word}' for row in rows.values())}")


def _reset(world: "World", client: TaskClient, name: str) -> None:
    try:
        client.reset()
        world.observer.reset_done(name)
        world.trace(f"{name}: reset is done")
    except YadtqError as error:
        world.trace(f"{name}: reset failed: {error}")


def _retry(world: "World", client: TaskClient, name: str) -> None:
    """A person wants a task to run again, whether it has failed or not."""
    task_id = f"t{world.rng.randrange(world.plan.ids)}"
    try:
        client.retry(task_id)
        world.trace(f"{name}: {task_id} runs again")
    except YadtqError as error:
        world.trace(f"{name}: {error}")


def _send_foreign(world: "World", number: int) -> None:
    """Another producer's message."""
    task_id = f"f{number}" if world.rng.random() < 0.5 else f"t{number % world.plan.ids}"
    value = f'{{"task-id":"{task_id}","task":"{TASK}","args":[]}}'.encode()
    world.observer.foreign.add(task_id)
    record = world.kafka.append(Flight(None, value, [], world.rng.randrange(world.kafka.partitions), 0.0))
    world.trace(f"another producer's message of {task_id} is in Kafka at {record.offset}")
