"""The stage: simulated processes of real threads, of which one runs at a time, and a clock that nobody waits for.

A thread keeps the baton until it comes to a point where another one may go first: a call to a server, a wait. There
the director (world.py) decides whose turn is next. All of it follows from one seed.
"""

import math
import threading
from collections.abc import Callable
from typing import TypeAlias

Condition: TypeAlias = Callable[[], bool]


class Gone(BaseException):
    """This thread's process was killed, or the run is over."""


class Process:
    """What is killed, stopped and cut off as a whole. Instants are virtual seconds.

    disturbed: something has happened to it that may cost its lease. nudged: its reader has orders.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_worker = name.startswith("worker")
        self.gone = False
        self.ended = False
        self.disturbed = False
        self.nudged = False
        self.stopped_until = 0.0  # SIGSTOP
        self.no_redis_until = 0.0
        self.no_kafka_until = 0.0

    @property
    def lives(self) -> bool:
        return not self.gone and not self.ended


class Actor:
    """One thread of a process."""

    def __init__(self, stage: "Stage", process: Process, name: str, body: Callable[[], None]) -> None:
        self.process, self.name = process, name
        self.finished = False
        self.until = 0.0  # it waits so long, or
        self.condition: Condition | None = None  # until this holds
        self.baton = threading.Lock()
        self.baton.acquire()
        self._stage, self._body = stage, body
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def is_ready(self, now: float) -> bool:
        """Whether it could go on now."""
        if self.finished or self.process.gone or self.process.stopped_until > now:
            return False
        return self.until <= now or (self.condition is not None and self.condition())

    def due_at(self) -> float:
        """When it goes on of itself."""
        if self.finished or self.process.gone:
            return math.inf
        return max(self.until, self.process.stopped_until)

    def _run(self) -> None:
        self.baton.acquire()
        try:
            if not self._stage.over:
                self._body()
        except Gone:
            pass
        except BaseException as error:
            self._stage.fail(error)
        self.finished = True
        self._stage.leave()


class Stage:
    """Threads, the baton, the clock. director: picks who goes on; None ends the run."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.over = False
        self.failure: BaseException | None = None
        self.actors: list[Actor] = []
        self._living: list[Actor] = []
        self.running: Actor | None = None
        self.director: Callable[[], Actor | None] = lambda: None
        self._main = threading.Lock()
        self._main.acquire()

    # -- the clock of every process (its machine never freezes as a whole)

    def monotonic(self) -> float:
        return self.now

    def boottime(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.wait(seconds)

    # -- for the threads

    def spawn(self, process: Process, name: str, body: Callable[[], None]) -> Actor:
        """A new thread of a process. It begins when it is its turn."""
        actor = Actor(self, process, name, body)
        self.actors.append(actor)
        self._living.append(actor)
        actor.thread.start()
        return actor

    @property
    def actor(self) -> Actor:
        """The one that has the baton. Raises Gone where its process is dead."""
        if self.running is None:
            raise RuntimeError("no simulated thread runs")
        if self.over or self.running.process.gone:
            raise Gone
        return self.running

    def living(self) -> list[Actor]:
        """The threads that may still do something."""
        self._living = [actor for actor in self._living if not actor.finished and not actor.process.gone]
        return self._living

    def point(self) -> None:
        """Others may go first."""
        self.wait(0.0)

    def wait(self, seconds: float, condition: Condition | None = None) -> bool:
        """Waits so long, or until the condition holds. Returns whether it does."""
        actor = self.actor
        actor.until, actor.condition = self.now + seconds, condition
        self._pass_on()
        self._wait_for_baton(actor)
        actor.condition = None
        return condition is not None and condition()

    def leave(self) -> None:
        """The thread that runs has come to its end."""
        self._pass_on()

    def fail(self, error: BaseException) -> None:
        """The run ends with this."""
        if not self.over:
            self.failure = self.failure or error

    def _pass_on(self) -> None:
        chosen: Actor | None = None
        if not self.over and self.failure is None:
            try:
                chosen = self.director()
            except BaseException as error:
                self.fail(error)
        if chosen is not self.running or chosen is None or chosen.finished:
            self.running = chosen
            (chosen.baton if chosen else self._main).release()
        else:
            chosen.baton.release()

    def _wait_for_baton(self, actor: Actor) -> None:
        actor.baton.acquire()
        if self.over or actor.process.gone:
            raise Gone

    # -- for the main thread

    def play(self) -> None:
        """Runs until the director ends it. Raises what has failed."""
        self._pass_on()
        self._main.acquire()
        self.over = True
        for actor in self.actors:
            if not actor.finished:
                self.running = actor
                actor.baton.release()
                self._main.acquire()
            actor.thread.join()
        if self.failure is not None:
            raise self.failure


class Event:
    """Like threading.Event, on the stage's clock."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._is_set = stage, False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        if self._is_set:
            return True
        return self._stage.wait(math.inf if timeout is None else timeout, self.is_set)
