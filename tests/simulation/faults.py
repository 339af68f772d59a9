"""The faults: what the seed makes of each call, message and run, and what happens to processes and servers."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from _yadtq.jobs import Job
from tests.simulation.plan import CALL_FAULTS, MESSAGE_FAULTS, RUN_FAULTS
from tests.simulation.stage import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

CALM_SECONDS = 0.2  # of a run, when the faults are over
WITH_DEATH = 0.5  # chance that a call whose process dies with it runs


class Faults:
    """Asked by all that may fail. over: nothing fails any more."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.over = False

    # -- of one thing

    def of_call(self, process: Process, script: str) -> str:
        """cut (it never runs) · lost (its answer is) · held (it runs later) · die (its process does) · ''."""
        fate = self._one_of(CALL_FAULTS)
        process.disturbed = process.disturbed or fate != ""
        return fate

    def of_message(self, process: Process) -> str:
        """refused · unacknowledged (it is in the log) · late (perhaps in the log, later) · twice · die · ''."""
        return self._one_of(MESSAGE_FAULTS)

    def of_run(self, job: Job) -> tuple[float, str]:
        """How long a run lasts, in seconds, and how it ends: success · raise · fail · crash."""
        seconds = self._world.rng.choice(self._world.plan.run_seconds)
        return (min(seconds, CALM_SECONDS) if self.over else seconds), self._one_of(RUN_FAULTS) or "success"

    def _one_of(self, kinds: Iterable[str]) -> str:
        if self.over:
            return ""
        for kind in kinds:
            chance = self._world.plan.chances.get(kind)
            if chance is not None and self._world.rng.random() < chance:
                return kind
        return ""

    # -- of processes and servers

    def prepare(self) -> None:
        """Sets the timers of a schedule."""
        for seconds, name in self._world.plan.faults:
            self._world.later(seconds, getattr(self, "_" + name.replace("-", "_")))
        self._world.later(self._world.plan.fault_seconds, self._end)

    def _end(self) -> None:
        """Everything goes on: servers are there, and the dead start again; who is stopped, continues in time."""
        self.over = True
        world = self._world
        world.trace("-- no more faults")
        world.no_redis_until = world.no_kafka_until = world.no_events_until = 0.0
        for process in world.processes:
            process.no_redis_until = process.no_kafka_until = 0.0
        world.ensure_workers()

    def _worker(self) -> Process | None:
        """One that lives, and often one that runs something."""
        living = [worker for worker in self._world.workers.values() if worker.lives]
        busy = {run.worker for run in self._world.observer.open.values()}
        wanted = [worker for worker in living if worker.name in busy and self._world.rng.random() < 0.8]
        return self._world.rng.choice(wanted or living) if living else None

    def _kill_worker(self) -> None:
        if (worker := self._worker()) is not None:
            self._world.kill(worker)

    def _kill_client(self) -> None:
        living = [process for process in self._world.processes if process.lives and not process.is_worker]
        if living:
            self._world.kill(self._world.rng.choice(living))

    def _stop_worker(self) -> None:
        self._stop(self._world.rng.choice((4.0, 8.0, 15.0)))

    def _pause_worker(self) -> None:
        self._stop(self._world.rng.choice((0.1, 0.5, 1.0)))

    def _stop(self, seconds: float) -> None:
        if (worker := self._worker()) is not None:
            self._world.trace(f"-- {worker.name} is stopped for {seconds} s")
            worker.stopped_until = self._world.stage.now + seconds
            worker.disturbed = True

    def _terminate_worker(self) -> None:
        if (worker := self._worker()) is not None:
            self._world.terminate(worker)

    def _rebalance(self) -> None:
        self._world.kafka.unbalanced = True

    def _no_redis(self) -> None:
        process = self._world.rng.choice(self._world.processes)
        self._world.trace(f"-- {process.name} is cut off from Redis")
        process.no_redis_until = self._world.stage.now + self._world.rng.choice((0.5, 2.0, 8.0))
        process.disturbed = True

    def _no_kafka(self) -> None:
        process = self._world.rng.choice(self._world.processes)
        self._world.trace(f"-- {process.name} is cut off from Kafka")
        process.no_kafka_until = self._world.stage.now + self._world.rng.choice((0.5, 2.0, 8.0))

    def _redis_away(self) -> None:
        self._world.trace("-- Redis is away")
        self._world.no_redis_until = self._world.stage.now + self._world.rng.choice((0.5, 3.0, 10.0))
        self._disturb_all()

    def _kafka_away(self) -> None:
        self._world.trace("-- Kafka is away")
        self._world.no_kafka_until = self._world.stage.now + self._world.rng.choice((0.5, 3.0, 10.0))

    def _no_events(self) -> None:
        self._world.trace("-- Kafka takes no events")
        self._world.no_events_until = self._world.stage.now + self._world.rng.choice((0.5, 3.0, 10.0))

    def _delete_leases(self) -> None:
        self._world.trace("-- somebody deletes all leases")
        self._world.redis.server.link("DEL", self._world.redis.key("leases"))
        self._disturb_all()

    def _clock_step(self) -> None:
        step = self._world.rng.choice((-60_000, 60_000))
        self._world.trace(f"-- the clock of Redis jumps by {step / 1000} s")
        self._world.redis.ahead_ms += step

    def _durable(self) -> None:
        self._world.redis.keep()

    def _restart(self) -> None:
        self._world.redis.restart()
        self._come_back()

    def _back(self) -> None:
        self._world.redis.go_back()
        self._come_back()

    def _lose(self) -> None:
        """A person restores the queue, a while later."""
        self._world.redis.lose()
        self._world.later(self._world.rng.choice((0.5, 2.0)), self._world.rebuild)
        self._come_back()

    def _come_back(self) -> None:
        self._world.no_redis_until = self._world.stage.now + self._world.rng.choice((0.0, 0.0, 1.0, 8.0))
        self._disturb_all()

    def _disturb_all(self) -> None:
        for process in self._world.processes:
            process.disturbed = True
