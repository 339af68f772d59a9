"""YADTQ: a distributed task queue on Apache Kafka and Redis that loses nothing and does nothing twice.

    client ──register──► Redis   the record: queued
    client ──publish───► Kafka   topic yadtq_tasks, acknowledged by all replicas
    worker ──poll──────► Kafka   a consumer group: each partition has one reader
    worker ──take──────► Redis   one atomic step: admit these messages, then hand me up to N tasks that are ready
    worker ──run───────► a child process of its pool, under a time limit
    worker ──settle────► Redis   one atomic step: outcomes, each fenced by its claim
    client ──wait──────► Redis   is told when the task ends, and reads its record
    relay  ──publish───► Kafka   topic yadtq_events: every transition

Kafka delivers and keeps; Redis decides. No transition is made anywhere but in a Lua script (`_yadtq/lua/`).

The promise: a task whose submission was acknowledged ends with exactly one recorded outcome. It is started once,
unless the worker that runs it dies or is cut off; then it is started again, elsewhere, by itself, and the history says
so. Final states are final. A submission that was refused never runs. README.md says what this cannot cover.

This file tells the story from top to bottom: the registry of tasks, the client, the worker. The mechanics: `_yadtq/`.
"""

import argparse
import functools
import itertools
import math
import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

# fmt: off
# isort: off
from _yadtq.appetite import Appetite
from _yadtq.birth import birth_of
from _yadtq.claims import Assigned, Connection, Read
from _yadtq.clock import SystemClock
from _yadtq.connections import consumer, incarnation, outbox, recovery, relay, servers
from _yadtq.context import TaskContext, current_task, refuse_while_importing
from _yadtq.errors import (
    AmbiguousId, BadArguments, BadHandler, LeaseLapsed, NotInMain, NotRetryable, ProtocolTooNew, QueueFull,
    QueueMissing, RedisRestarted, ServerUnreachable, SettingError, SubmissionRefused, SubmissionUnknown, TaskIdConflict,
    TaskNotFound, UsageError, WaitTimeout, YadtqError,
)
from _yadtq.failure import Failure
from _yadtq.gathering import Gathering
from _yadtq.handlers import Registered, handler_of, import_modules
from _yadtq.inbox import Inbox, Stop
from _yadtq.intake import Intake
from _yadtq.jobs import Crashed, Ended, Interrupted, Lost, PoolMessage, Printed, TimedOut
from _yadtq.later import loaded_when_asked_for
from _yadtq.listener import Listener, Woken
from _yadtq.log import Log, Trouble, visible
from _yadtq.messages import Call, decode, encode, in_parts, submission
from _yadtq.operations import Operator as Operations
from _yadtq.readiness import Readiness
from _yadtq.records import (
    Attempt, Health, Parameter, Signature, Stats, Task, Worker, about_worker, stats_of, task_of, worker_of,
)
from _yadtq.settings import SETTINGS, Settings, add_flags, given_flags
from _yadtq.signals import stopped_by_signals
from _yadtq.signatures import signature_of
from _yadtq.snapshots import Casualty, Page, Server, Snapshot, Span, WorkerFailure
from _yadtq.states import FINAL, SHOWN, STATUSES, STORED
from _yadtq.submitter import Submitted, Submitter
from _yadtq.waiting import Waiting
# isort: on

if TYPE_CHECKING:
    from _yadtq.broker import Broker
    from _yadtq.coordinator import Coordinator
    from _yadtq.event_reader import Cursor, Event, EventReader
    from _yadtq.incarnation import Incarnation
    from _yadtq.log_file import LogFile
    from _yadtq.logbook import Logbook, search_audit
    from _yadtq.store import Store

__all__ = [
    "FINAL", "SETTINGS", "SHOWN", "STATUSES", "STORED", "AmbiguousId", "Attempt", "BadArguments", "BadHandler", "Call",
    "Casualty", "Coordinator", "Cursor", "Event", "EventReader", "Failure", "Health", "Log", "LogFile", "Logbook",
    "NotInMain", "NotRetryable", "Operator", "Page", "Parameter", "ProtocolTooNew", "QueueFull", "QueueMissing",
    "Readiness", "Server", "ServerUnreachable", "SettingError", "Settings", "Signature", "Snapshot", "Span", "Stats",
    "SubmissionRefused", "SubmissionUnknown", "Task", "TaskClient", "TaskContext", "TaskIdConflict", "TaskNotFound",
    "TaskWorker", "Trouble", "UsageError", "WaitTimeout", "Worker", "WorkerFailure", "YadtqError", "add_flags",
    "birth_of", "create_yadtq", "current_task", "decode", "encode", "given_flags", "registered_tasks", "run_worker",
    "search_audit", "stopped_by_signals", "task", "visible",
]
# What only some programs need is loaded for them alone: each child of a worker imports this module, too.
__getattr__ = loaded_when_asked_for(
    {"coordinator": ["Coordinator"], "event_reader": ["Cursor", "Event", "EventReader"], "log_file": ["LogFile"],
     "logbook": ["Logbook", "search_audit"]}
)
# fmt: on

RETRY_SECONDS = 0.5  # between two tries of a server that does not answer
LEAVE_SECONDS = 3.0  # for what a stopping worker has to tell a Redis that does not answer
MOST_CLAIMS = 128  # of one take, so that it holds Redis for two milliseconds at most
EXIT_OK, EXIT_USAGE = 0, 2

Function = TypeVar("Function", bound=Callable[..., Any])
Tasks: TypeAlias = list[Task]  # TaskClient.list hides the type of that name
Workers: TypeAlias = list[Worker]

# -- the registry of tasks --------------------------------------------------------------------------------------------


_registry: dict[str, Registered] = {}


@overload
def task(function: Function, /) -> Function: ...
@overload
def task(*, name: str = "", time_limit: float | None = None, exact: bool = False) -> Callable[[Function], Function]: ...
def task(function: Any = None, /, *, name: str = "", time_limit: float | None = None, exact: bool = False) -> Any:
    """Makes a function a task that workers of its module run; returns the function itself.

    name: what it is submitted by (default: the function's own). time_limit: seconds until it is stopped (None: the
    worker's setting; 0: none). exact: numbers with a point arrive as Decimal, and Decimal may be returned.
    """

    def register(target: Function) -> Function:
        _registry[name or target.__name__] = Registered(target, time_limit, exact)
        return target

    return register if function is None else register(function)


def registered_tasks() -> tuple[Signature, ...]:
    """The tasks that were registered in this process with `@task`, by name."""
    return tuple(signature_of(name, each.function) for name, each in sorted(_registry.items()))


# -- the client --------------------------------------------------------------------------------------------------------


def create_yadtq(
    kafka_servers: Sequence[str] | None = None, redis_host: str | None = None, redis_port: int | None = None
) -> "tuple[Broker, Store]":
    """The two servers of a queue, for `TaskClient` and `TaskWorker`: (broker, result store).

    kafka_servers: 'host:port' each. What is not given comes from the settings. Opens no connection yet.
    """
    broker = ",".join(kafka_servers) if kafka_servers else None
    return servers(Settings.load(kafka_broker=broker, redis_host=redis_host, redis_port=redis_port))


class TaskClient:
    """Submits tasks and reads what became of them. Thread-safe. Connects when it is first used.

    All methods raise ServerUnreachable, in one line, when Kafka or Redis does not answer.
    """

    def __init__(
        self, settings: Settings | None = None, *, broker: "Broker | None" = None, result_store: "Store | None" = None
    ) -> None:
        if broker is None or result_store is None:
            broker, result_store = servers(settings or Settings.load())
        self._broker, self._store = broker, result_store
        self._name = f"{socket.gethostname()}-{os.getpid()}~{secrets.token_hex(3)}"
        self._numbers = itertools.count(1)  # of its submissions
        self._recovery = recovery(result_store, broker)
        self._submitter = Submitter(result_store, broker, self._read)
        self._gathering = Gathering(self._submitter)
        self._waiting = Waiting(result_store)

    def __enter__(self) -> "TaskClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections, after a `flush` that raises what it raises."""
        try:
            self._gathering.flush(None)
        finally:
            self._waiting.close()
            self._broker.close()
            self._store.close()

    # -- submitting

    def submit(self, task_name: str, /, *args: Any, task_id: str = "", **kwargs: Any) -> str:
        """Submits one task and returns its id, once Kafka keeps it.

        args, kwargs: JSON values, together at most 1,000,000 bytes as a message. task_id: an id of your own, at most
        200 bytes; submitting the same task under the same id again is the same task.
        Raises BadArguments; SubmissionRefused (TaskIdConflict, QueueFull): it never runs; SubmissionUnknown.
        """
        return self.submit_many([Call(task_name, args, kwargs, task_id)])[0]

    def submit_many(self, calls: Iterable[Call]) -> list[str]:
        """Submits tasks together and returns their ids, in order.

        Nothing is written when one has BadArguments. Else each stands for itself: the first error is raised after all
        were tried, with `accepted`, the ids that Kafka keeps.
        """
        tasks = [submission(call, f"{self._name}#{next(self._numbers)}") for call in calls]
        parts = in_parts([(each, each.value()) for each in tasks])
        self._submitter.prepare()
        submitted = Submitted()
        self._submitter.submit(parts, submitted)
        return submitted.ids()

    def submit_later(self, task_name: str, /, *args: Any, task_id: str = "", **kwargs: Any) -> str:
        """Has a task submitted in the background, and returns its id at once; takes the same as `submit`.

        Nothing is promised yet: until `flush` has returned, the task may be lost with this process. At most 10,000
        tasks or 32 MB are unsent at a time: then it waits. After 100,000 it flushes by itself, and raises what that
        raises instead of taking this task. Raises BadArguments at once.
        """
        each = submission(Call(task_name, args, kwargs, task_id), f"{self._name}#{next(self._numbers)}")
        self._gathering.add(each, each.value())
        return each.id

    def flush(self, timeout: float | None = None) -> None:
        """Returns when Kafka keeps every task that was submitted later. timeout: seconds; None: as long as it takes.

        Raises what `submit_many` raises, about the tasks since the last flush; WaitTimeout: they go on.
        """
        self._gathering.flush(timeout)

    # -- reading

    def get_result(self, task_id: str) -> Task:
        """The task with exactly this id, as it is now. Raises TaskNotFound."""
        record = self._read(lambda: self._store.records([task_id]))[0]
        if not record:
            raise TaskNotFound(f"no task has the id {task_id}: it never existed, was reset, or its life time is over")
        return task_of(task_id, record)

    def find(self, prefix: str) -> str:
        """The one id that is `prefix` or begins with it. Raises TaskNotFound or AmbiguousId."""
        return str(self._read(lambda: self._store.find(prefix)))

    def wait_for_result(self, task_id: str, timeout: float | None = None) -> Task:
        """The task, when it has ended. timeout: seconds; None: for ever.

        Raises WaitTimeout (the task goes on) and TaskNotFound. Interrupting the wait cancels nothing.
        """
        ended = self.wait_any({task_id}, timeout)
        if not ended:
            raise WaitTimeout(f"task {task_id} has not ended after {timeout:g} s; it goes on")
        return ended[0]

    def wait_any(self, task_ids: set[str], timeout: float | None = None) -> list[Task]:
        """The tasks among these that have ended, as soon as there is one; [] after `timeout` seconds.

        Raises TaskNotFound when one of them does not exist.
        """
        ended = self._waiting.for_any(sorted(task_ids), timeout, self._read)
        return [self.get_result(task_id) for task_id in ended]

    def list(self, status: str = "", limit: int = 20, offset: int = 0) -> Tasks:
        """Tasks, newest first. status: a stored status, '' for all. limit: at most 1,000. offset: from 0."""
        if status and status not in STATUSES:
            raise UsageError(f"{status!r} is no status: expected {', '.join(STATUSES)}")
        ids = self._read(lambda: self._store.ids(status, offset, min(limit, 1000)))
        return [task_of(i, record) for i, record in zip(ids, self._store.records(ids), strict=True) if record]

    def counts(self) -> dict[str, int]:
        """Stored status → number of tasks, at one instant."""
        return stats_of(self._read(self._store.stats), [], None).counts

    def workers(self) -> Workers:
        """The workers that were heard of in the last day, the latest heartbeat first."""
        return [worker_of(*row) for row in self._read(self._store.workers)]

    def stats(self) -> Stats:
        """The queue at one instant, with the messages that Kafka holds unread."""
        return stats_of(self._read(self._store.stats), self.workers(), self._broker.ends_if_reachable())

    def health(self) -> Health:
        """Whether each server answers; never raises. Takes at most about four seconds for each that does not."""
        return Health(kafka=self._broker.problem(), redis=self._store.problem())

    # -- changing

    def retry(self, task_id: str) -> Task:
        """Starts a failed task again, as a new attempt with its history. Raises NotRetryable or TaskNotFound."""
        request = secrets.token_hex(8)
        word = self._read(lambda: self._store.retry(task_id, request))
        if word == "absent":
            raise TaskNotFound(f"no task has the id {task_id}")
        if word != "requeued":
            raise NotRetryable(f"task {task_id} is {SHOWN[word]}; only a failed task can be retried")
        return self.get_result(task_id)

    def reset(self) -> int:
        """Removes every task that was submitted before, and returns how many. What comes after is kept.

        What `submit_later` has not yet submitted comes after.
        """
        self._submitter.prepare()
        request, ends, sender = secrets.token_hex(8), self._broker.ends(), outbox(self._store, self._broker)
        return int(sender.recorded(lambda: self._read(lambda: self._store.reset(request, ends))))

    def rebuild(self, tell: Callable[[str], None]) -> bool:
        """Restores a queue that an empty Redis has lost from Kafka; tells how it goes. Returns False for any other."""
        return recovery(self._store, self._broker, tell).rebuild()

    # -- within

    def _read(self, call: Callable[[], Any]) -> Any:
        return self._recovery.opened(call)


# -- who looks after a queue -------------------------------------------------------------------------------------------


class Operator(Operations):
    """What the programs that look after a queue see and do. Thread-safe. Connects when it is first used."""

    @functools.cached_property
    def client(self) -> TaskClient:
        """For single tasks; it uses the same connections."""
        return TaskClient(broker=self._broker, result_store=self._store)

    def __enter__(self) -> "Operator":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# -- the worker --------------------------------------------------------------------------------------------------------


class TaskWorker:
    """Runs tasks until it is told to stop: takes them, runs them in a pool of child processes, settles them.

    settings: from the environment when not given. task_handlers: name → function; when not given, what `@task` has
    registered. Raises BadHandler, by name, for a function that a child process could not import.

    One thread makes all decisions. Others (the Kafka consumer, the pool's reader, the wake-up listener) only put
    messages into its inbox; the relay works for itself.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        task_handlers: Mapping[str, Callable[..., Any]] | None = None,
        *,
        broker: "Broker | None" = None,
        result_store: "Store | None" = None,
    ) -> None:
        given = _registry if task_handlers is None else {n: Registered(f) for n, f in task_handlers.items()}
        self.settings = settings or (result_store.settings if result_store else Settings.load())
        self.log = Log(self.settings.log_level)
        self._handlers = {
            name: handler_of(name, each.function, time_limit=each.time_limit, exact=each.exact)
            for name, each in given.items()
        }
        self._signatures = [signature_of(name, each.function) for name, each in sorted(given.items())]
        if broker is None or result_store is None:
            broker, result_store = servers(self.settings)
        self._broker, self._store = broker, result_store
        self._clock = SystemClock()
        self._inbox = Inbox()
        self._intake = Intake()
        self._unplaced: list[Assigned] = []  # partitions that the reader waits to be placed in
        self._appetite = Appetite()
        self._rest_until = 0.0  # a server does not answer: no call before
        self._trouble = Trouble(self.log, "wait")
        self._readiness = Readiness(self.settings.ready_file)
        self._stopping_since = 0.0  # 0: it is not stopping
        self._left = False

    def run(self) -> int:
        """Runs until SIGTERM or SIGINT, then drains; a second signal ends the patience.

        Returns the exit code: 0, or 2 when a child cannot import the tasks. Raises NotInMain when a script calls it
        while it is imported for its tasks.
        """
        refuse_while_importing()
        self.settings.hand_down()
        self._consumer = consumer(self._broker, self._store, self.log, self._inbox.put)
        self._relay = relay(self._store, self._broker, self.log)
        try:
            with stopped_by_signals(self.stop):
                while not self._left:
                    self._live()
                    self._left = self._left or bool(self._stopping_since)
        except BadHandler as error:
            self.log.error("start", text=str(error))
            return EXIT_USAGE
        finally:
            self._readiness.end()
            self._relay.stop(LEAVE_SECONDS)
            self._consumer.stop(LEAVE_SECONDS)
            self._broker.close()
            self._store.close()
            self.log.flush()
        return EXIT_OK

    def stop(self) -> None:
        """Drains: gives up its partitions, ends what runs, gives back what cannot end. From any thread, any time."""
        self._inbox.put(Stop())

    # -- one life: join, then wait, settle, beat, take, until the lease or the work is over

    def _live(self) -> None:
        me = incarnation(self.settings, self._store, self._handlers, self._inbox.put, self.log)
        try:
            me.pool.start()
            if not self._join(me):
                return
            listener = Listener(self._store, me.name, self._inbox.put)
            listener.start()
            self._appetite.woken()
            while not self._over(me):
                self._note(me, self._patience(me))
                self._step(me)
            listener.stop()
            self._end(me)
            listener.join(LEAVE_SECONDS)  # it must not listen to a store that is being closed
        finally:
            me.pool.close()
            self._inbox.forget(PoolMessage)  # what this pool still had to say is not about the next one

    def _join(self, me: "Incarnation") -> bool:
        """Joins as soon as Redis answers. Returns False when it is told to stop before."""
        about = about_worker(socket.gethostname(), os.getpid(), self._signatures)
        while not self._stopping_since:
            try:
                self._store.check()
                self._relay.hold(self._relay.opened(lambda: me.join(about, self._relay.is_fit())))
            except YadtqError as error:
                self._unreached(error)
                self._note(me, RETRY_SECONDS)
                continue
            self._trouble.over()
            self.log.info("join", text=f"{me.name}, {self.settings.concurrency} at once: {', '.join(self._handlers)}")
            for thread in (self._consumer, self._relay):
                if not thread.is_alive():
                    thread.start()
            return True
        self._left = True
        return False

    def _step(self, me: "Incarnation") -> None:
        """What one round says to Redis."""
        me.give_back(me.pool.stuck(), "its worker was busy, and had not begun it")
        if self._clock.monotonic() < self._rest_until:
            return
        try:
            if me.beat_due_in() <= 0:  # first: after a restart of Redis, nothing else goes on before it
                self._relay.hold(me.beat("draining" if self._stopping_since else "online", self._relay.is_fit()))
            self._place()
            if self._appetite.in_doubt:  # the last take has failed: that keeps no outcome from being settled
                self._appetite.expect(me.settle(), self._clock.monotonic())
            self._take(me)  # first: slots are busy again while outcomes are settled
            self._appetite.expect(me.settle(), self._clock.monotonic())
            self._trouble.over()
            self._readiness.tell("redis", works=True)
        except LeaseLapsed:
            me.lost = me.lost or "its lease is over"
        except YadtqError as error:
            self._unreached(error)
        self.log.flush()

    def _place(self) -> None:
        """Tells the reader where the queue is in the partitions that the group has just given it."""
        if self._unplaced:
            self._consumer.obey(self._intake.assign(self._unplaced, self._store.standing()))
            self._unplaced = []

    def _take(self, me: "Incarnation") -> None:
        """Hands in what was read, and claims as many tasks as there is room for."""
        now = self._clock.monotonic()
        room = self._room(me)
        reads = self._intake.pending() + (self._intake.looks() if self._appetite.looks(now) else [])
        if not reads and not self._appetite.wants(room, now):
            return
        repeated, self._appetite.in_doubt = self._appetite.in_doubt, True
        edition = self._intake.edition
        taken = self._store.take(me.name, me.number + 1, me.number, room, me.running(), reads, edition)
        me.number += 1
        self._appetite.fed(room, len(taken.claims), taken.due_seconds, now)
        if repeated:  # then it may only have given again what it gave before
            self._appetite.woken()
        self._consumer.obey(self._intake.answer(reads, taken.answers))
        if self._stopping_since:
            me.refuse(taken.claims, "its worker stops")
        else:
            me.start(taken.claims, self._handlers)

    def _room(self, me: "Incarnation") -> int:
        return 0 if self._stopping_since else min(me.pool.room(), MOST_CLAIMS)

    # -- what arrives in the inbox

    def _patience(self, me: "Incarnation") -> float:
        """Seconds for which nothing needs to be done, unless a message comes."""
        now, tick = self._clock.monotonic(), me.pool.tick()
        if now < self._rest_until:
            return min(self._rest_until - now, tick)
        if me.outcomes or self._unplaced or self._intake.has_more:
            return 0.0
        return max(0.0, min(tick, me.beat_due_in(), self._appetite.patience(self._room(me), now)))

    def _note(self, me: "Incarnation", seconds: float) -> None:
        """Waits for messages, at most so long, and notes all that there are."""
        for message in self._inbox.messages(seconds):
            self._note_one(me, message)

    def _note_one(self, me: "Incarnation", message: object) -> None:
        match message:
            case Ended() | Crashed() | TimedOut() | Interrupted():
                me.ended(message)
            case Printed():
                self.log.info("print", message.task_id, f"{message.stream}: {message.line}")
            case Lost():
                me.lost = message.reason
            case Woken():
                self._appetite.woken()
            case Read():
                self._consumer.obey(self._intake.add(message))
            case Assigned():
                self._unplaced.append(message)
            case Connection():
                self._readiness.tell("kafka", works=not message.problem)
                tell = self.log.warning if message.problem else self.log.info
                tell("kafka", text=message.problem or f"reading from Kafka at {self.settings.kafka_broker}")
            case Stop():
                self._drain(me)

    def _unreached(self, error: YadtqError) -> None:
        """A server does not answer, or takes nothing: tried again and again."""
        if isinstance(error, RedisRestarted):
            self._relay.lead()
        self._rest_until = self._clock.monotonic() + RETRY_SECONDS
        self._trouble.say(str(error))
        self._readiness.tell("redis", works=False)

    # -- the end of a life, and of the worker

    def _drain(self, me: "Incarnation") -> None:
        """The first time: give up the partitions, and what has not begun. The second time: no more patience."""
        if self._stopping_since:
            self._stopping_since = -math.inf
            return
        self._stopping_since = self._clock.monotonic()
        self.log.info("drain", text=f"{me.pool.held()} tasks have {self.settings.drain_seconds:g} s to end")
        self._consumer.leave()
        me.give_back(me.pool.recall(), "its worker stops, and had not begun it")

    def _over(self, me: "Incarnation") -> bool:
        if self._stopping_since:
            late = self._clock.monotonic() > self._stopping_since + self.settings.drain_seconds
            at_work = me.pool.held() or me.outcomes or self._appetite.in_doubt
            self._left = late or bool(me.lost) or not at_work
        if me.lost and not self._left:
            self.log.warning("lost", text=f"{me.name} starts anew: {me.lost}")
        return bool(me.lost) or self._left

    def _end(self, me: "Incarnation") -> None:
        """Stops what still runs, gives everything back, and leaves. Outcomes outlive an outage of Redis."""
        me.pool.abort()
        patience = self._clock.monotonic() + LEAVE_SECONDS
        while True:
            done = me.pool.held() == 0  # then all that it has to say is in the inbox
            self._note(me, 0 if done else min(0.2, me.pool.tick()))
            try:
                if done:
                    me.confirm()
                me.settle()
                if done and not me.outcomes:
                    self._store.leave(me.name)
                    self.log.info("leave", text=me.name)
                    return
            except YadtqError as error:
                self._unreached(error)
                if self._stopping_since and self._clock.monotonic() > patience:
                    return  # the lease will lapse, and others take over
                self._note(me, RETRY_SECONDS)


def run_worker(arguments: Sequence[str] | None = None, tasks: str = "") -> int:
    """The program: a worker, with settings from flags and environment. Returns its exit code.

    arguments: the command line without the program's name. tasks: modules whose tasks always come with it.
    """
    parser = argparse.ArgumentParser(description="Runs tasks until SIGTERM or Ctrl-C.")
    add_flags(parser)
    try:
        settings = Settings.load(None, **given_flags(parser.parse_args(arguments)))
        sys.path.insert(0, os.getcwd())
        import_modules(f"{tasks},{settings.tasks}")
        return TaskWorker(settings).run()
    except UsageError as error:
        Log().error("start", text=str(error))
        return EXIT_USAGE


if __name__ == "__main__":
    # This module must not exist twice, as __main__ and as yadtq: tasks register in the imported one.
    import yadtq

    sys.exit(yadtq.run_worker())
