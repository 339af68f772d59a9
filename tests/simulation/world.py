"""One schedule: the world that a plan describes, and the director that decides who does what next."""

import math
import random
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.simulation import programs, verdict
from tests.simulation.faults import WITH_DEATH, Faults
from tests.simulation.kafka_log import LATE_SECONDS, Flight, KafkaLog
from tests.simulation.observer import Observer, Violation
from tests.simulation.plan import Plan
from tests.simulation.pool import SimulatedPool
from tests.simulation.redis_link import HeldCall
from tests.simulation.redis_state import RedisState
from tests.simulation.rules import Rules
from tests.simulation.server import Server
from tests.simulation.stage import Actor, Process, Stage

MOST_CALM_SECONDS = 150.0  # after the faults are over, all must have ended by then
REBUILD_SECONDS = 5.0  # then a person tries again to restore the queue
GROUP_SECONDS = 0.2
LOOK_STEPS = 16
LINE = 400  # characters of a call, and of its answer, in the trace


class World:
    """Everything that one schedule needs. held: calls that run later. under_way: messages that are being sent.

    lines: takes the trace.
    """

    def __init__(self, plan: Plan, server: Server, rules: Rules, lines: list[str] | None = None) -> None:
        self.plan, self.rules = plan, rules
        self.rng = random.Random(plan.seed)
        self.stage = Stage()
        self.redis = RedisState(self, server)
        self.kafka = KafkaLog(plan.settings.partitions)
        self.observer = Observer(self.stage)
        self.faults = Faults(self)
        self.processes: list[Process] = []
        self.workers: dict[str, Process] = {}  # by name, the newest
        self.pools: list[SimulatedPool] = []
        self.held: list[HeldCall] = []
        self.under_way: dict[Actor, Flight] = {}
        self.steps = 0
        self.no_redis_until = self.no_kafka_until = self.no_events_until = 0.0
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self._calm_since = math.inf
        self._group_at = 0.0  # when Kafka looks at its group again
        self._lines = lines

    # -- for everybody

    def trace(self, *parts: Any) -> None:
        """A line of the trace, when one is wanted."""
        if self._lines is not None:
            texts = (each if isinstance(each, str) else " ".join(str(e) for e in each)[:LINE] for each in parts)
            self._lines.append(f"{self.steps:5} {self.stage.now - 1000:8.3f}  {''.join(texts)}")

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        self._timers.append((self.stage.now + seconds, action))

    # -- processes

    def ensure_workers(self) -> None:
        """Starts every worker that is not there."""
        for number in range(1, self.plan.workers + 1):
            name = f"worker{number}"
            if name not in self.workers or not self.workers[name].lives:
                self.workers[name] = programs.start_worker(self, name)

    def kill(self, process: Process) -> None:
        """SIGKILL."""
        self.trace(f"-- {process.name} is killed")
        process.gone = process.disturbed = True
        for actor in [each for each in self.under_way if each.process is process]:
            flight = self.under_way.pop(actor)
            if self.rng.random() < WITH_DEATH:
                self.kafka.flights.append(flight)
        if process.is_worker:
            self.later(self.rng.choice((0.0, 1.0, 8.0)), self.ensure_workers)

    def rebuild(self) -> None:
        """A person restores the queue, and looks after it."""
        if not self.redis.get("run"):
            self.trace("-- a person rebuilds the queue")
            programs.start_rebuild(self, f"person{len(self.processes)}")
            self.later(REBUILD_SECONDS, self.rebuild)

    def terminate(self, process: Process) -> None:
        """SIGTERM."""
        self.trace(f"-- {process.name} is told to stop")
        process.disturbed = True
        programs.stop_worker(process)

    # -- the director

    def play(self) -> None:
        """Plays the schedule. Raises Violation, or whatever else went wrong."""
        self.redis.server.clear()
        self.stage.director = self.direct
        self.faults.prepare()
        with self.rules.applied(), programs.installed(self):
            programs.begin(self)
            self.stage.play()
        verdict.judge(self)

    def direct(self) -> Actor | None:
        """Who goes on. What else is due may happen before."""
        while True:
            self.steps += 1
            if self.steps % LOOK_STEPS == 0 and self._is_over():
                return None
            now = self.stage.now
            actors = [actor for actor in self.stage.living() if actor.is_ready(now)]
            others = self._others(now)
            if not actors and not others:
                self._advance(self._next_instant())
                continue
            place = self.rng.randrange(len(actors) + len(others))
            self._advance(now + self.rng.choice((0.0, 0.0, 0.001, 0.003)))
            if place < len(actors):
                return actors[place]
            others[place - len(actors)]()

    def _others(self, now: float) -> list[Callable[[], None]]:
        """What may happen now, beside what threads do."""
        found: list[Callable[[], None]] = []
        for pool in self.pools:
            found += pool.steps(now)
        found += [partial(self._arrive, flight) for flight in self.kafka.flights if flight.not_before <= now]
        found += [partial(self._run_held, call) for call in self.held if call.not_before <= now]
        found += [partial(self._ring, timer) for timer in self._timers if timer[0] <= now]
        if self.kafka.unbalanced and self.kafka.members:
            found.append(lambda: self.kafka.rebalance(self.rng.randrange(2)))
        return found

    def _next_instant(self) -> float:
        due = [actor.due_at() for actor in self.stage.living()]
        due += [pool.due_at() for pool in self.pools]
        due += [flight.not_before for flight in self.kafka.flights]
        due += [call.not_before for call in self.held] + [timer[0] for timer in self._timers]
        soonest = min(due, default=math.inf)
        if soonest == math.inf:
            raise Violation("nothing can happen any more, and not all has ended")
        return soonest

    def _advance(self, instant: float) -> None:
        """Time passes. Guards keep their deadlines."""
        for pool in sorted((p for p in self.pools if p.is_due(instant)), key=_deadline):
            self.stage.now = max(self.stage.now, pool.live_until)
            pool.fire("its deadline passed")
        self.stage.now = max(self.stage.now, instant)
        self.pools = [pool for pool in self.pools if not pool.over]
        if self.stage.now < self._group_at:
            return
        self._group_at = self.stage.now + GROUP_SECONDS
        for member in self.kafka.silent_members(self.stage.now):
            self.kafka.evict(member)

    def _arrive(self, flight: Flight) -> None:
        self.kafka.flights.remove(flight)
        if self.rng.random() < 0.8 and self.stage.now < flight.not_before + LATE_SECONDS / 2:
            record = self.kafka.append(flight)
            self.trace(f"-- a late message {(flight.key or b'').decode()} is in Kafka at {record.offset}")

    def _run_held(self, call: HeldCall) -> None:
        self.held.remove(call)
        if self.no_redis_until <= self.stage.now:
            self.trace("-- a call that was held up runs now")
            self.redis.run(call.process, call.command)

    def _ring(self, timer: tuple[float, Callable[[], None]]) -> None:
        self._timers.remove(timer)
        timer[1]()

    # -- the end

    def _is_over(self) -> bool:
        """Whether all is quiet. Raises Violation when it has not become so."""
        if not self.faults.over:
            return False
        self._calm_since = min(self._calm_since, self.stage.now)
        busy = self.held or self.kafka.flights or any(p.lives and not p.is_worker for p in self.processes)
        if not busy and not verdict.unfinished(self):
            return True
        if self.stage.now - self._calm_since > MOST_CALM_SECONDS:
            left = verdict.unfinished(self) or "a client waits"
            raise Violation(f"not all has ended {MOST_CALM_SECONDS:g} s after the last fault: {left}")
        return False


def _deadline(pool: SimulatedPool) -> float:
    return pool.live_until
