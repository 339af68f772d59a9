"""The coordinator: one loop that keeps a queue in order while no worker does, and the threads that it looks after.

Any number of them may run. One leads, by a lease in Redis; the others are on standby, and the next one leads when that
lease has lapsed. What it does is done by scripts, one step at a time, so that nothing is lost with it.
"""

import os
import secrets
import socket
import threading
from collections.abc import Mapping, Sequence

from _yadtq.chronicle import lines_of
from _yadtq.clock import SystemClock
from _yadtq.connections import metrics, relay, servers
from _yadtq.errors import QueueMissing, RedisRestarted, ServerUnreachable, YadtqError
from _yadtq.event_reader import EventReader
from _yadtq.events import Event
from _yadtq.follower import Follower
from _yadtq.incarnation import RELAY_LEASE_MS
from _yadtq.log import Log, Trouble
from _yadtq.messages import encode
from _yadtq.observer import Link, Observer
from _yadtq.operations import Operator
from _yadtq.picture import Picture
from _yadtq.settings import Settings
from _yadtq.task_names import TaskNames

TURN_SECONDS = 1.0  # the lease clock gains a second a call at most
LEASE_MS = 5000  # of the leader
READY_SECONDS, LIVE_SECONDS = 5.0, 60.0  # age of the last turn: of one that has reached Redis, of any
PICTURE_SECONDS = 20.0  # age of what was seen of both servers
STOP_SECONDS = 3.0  # for each of its threads


class Coordinator:
    """Looks after a queue from `run` to `stop`. It never ends by itself: servers that are away are tried again."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}~{secrets.token_hex(4)}"
        self._log, self._clock = log, SystemClock()
        self._broker, self._store = servers(settings)
        self._operator = Operator(settings)
        self._relay = relay(self._store, self._broker, log)
        self._observer = Observer(self._operator, self._store, self._broker, log, lambda: self.leads)
        reader = EventReader(settings, lambda line: log.warning("events", text=line))
        self._follower = Follower(reader, lambda: self.leads, self._told, Trouble(log, "events"))
        self._names = TaskNames(self._look_up)
        self._metrics = metrics(self._shown, self._clock.monotonic)
        self._redis = Link(log, "redis", f"Redis at {self._store.address}")
        self._trouble = Trouble(log, "coordinate")
        self._write = {"DEBUG": log.debug, "INFO": log.info, "WARNING": log.warning, "ERROR": log.error}
        self._stopping = threading.Event()
        self._opened = self._led = False
        self._led_until = 0.0  # when the lease ends at the earliest, by our own clock
        self._turned_at = self._reached_at = self._clock.monotonic()
        self._problem = "it has not reached Redis yet"

    def run(self) -> None:
        """Runs until it is told to stop, then resigns, so that another one leads at once."""
        self._log.info("start", text=f"{self.name} looks after the queue {self._store.keys.namespace!r}")
        self._observer.start()
        self._follower.start()
        try:
            while not self._stopping.is_set():
                began = self._clock.monotonic()
                self._turn()
                self._stopping.wait(max(0.0, began + TURN_SECONDS - self._clock.monotonic()))
        finally:
            self._end()

    def stop(self) -> None:
        """Ends `run` soon. From any thread, any time."""
        self._stopping.set()

    # -- what it says of itself, to any thread

    @property
    def leads(self) -> bool:
        """Whether this is the one that leads. Never true when another one may lead already."""
        return self._led and self._clock.monotonic() < self._led_until

    @property
    def alive(self) -> bool:
        """Whether its loop turns, whatever the servers do."""
        return self._clock.monotonic() < self._turned_at + LIVE_SECONDS

    @property
    def problem(self) -> str:
        """'' when it does its work, else one line that says why not."""
        now, picture = self._clock.monotonic(), self._observer.picture
        if self._problem:
            return self._problem
        if now > self._reached_at + READY_SECONDS:
            return f"the loop has not turned for {now - self._reached_at:.0f} s"
        if picture.redis or picture.kafka:
            return picture.redis or picture.kafka
        if now > picture.taken_at + PICTURE_SECONDS:
            return f"the queue was last looked at {now - picture.taken_at:.0f} s ago"
        return ""

    def metrics(self) -> bytes:
        """Its metrics in the text format of Prometheus."""
        return self._metrics.text()

    # -- one turn

    def _turn(self) -> None:
        sent_at = self._clock.monotonic()
        try:
            leads, relays = self._coordinate() if self._opened else self._relay.opened(self._coordinate)
        except YadtqError as error:
            self._failed(error)
        except Exception as error:  # the loop must not end
            self._failed(YadtqError(f"{type(error).__name__}: {error}"))
        else:
            self._reached(sent_at)
            self._lead(leads, sent_at + LEASE_MS / 1000)
            self._relay.hold(relays)
        if self._led and not self.leads:
            self._lead(False, 0.0)
        self._turned_at = self._clock.monotonic()
        self._log.flush()

    def _coordinate(self) -> tuple[bool, bool]:
        """Whether this server leads, and whether it is the relay."""
        about = encode({"host": socket.gethostname(), "process": os.getpid()})
        reaches_kafka = self._relay.is_fit() and not self._observer.picture.kafka
        return self._store.coordinate(self.name, LEASE_MS, about, str(RELAY_LEASE_MS) if reaches_kafka else "")

    def _reached(self, at: float) -> None:
        self._redis.tell("")
        self._trouble.over()
        self._reached_at, self._problem = at, ""
        if not self._opened:
            self._opened = True
            if not self._relay.is_alive():
                self._relay.start()

    def _failed(self, error: YadtqError) -> None:
        """Tried again at the next turn."""
        self._problem = str(error)
        if isinstance(error, RedisRestarted):
            self._relay.lead()
        self._opened = self._opened and not isinstance(error, QueueMissing)
        if isinstance(error, ServerUnreachable) and error.server == "redis":
            self._redis.tell(str(error))
        else:
            self._trouble.say(str(error))

    def _lead(self, leads: bool, until: float) -> None:
        if leads != self._led:
            action, words = ("lead", "leads now") if leads else ("standby", "does not lead any more")
            self._log.warning(action, text=f"{self.name} {words}")
        self._led, self._led_until = leads, until

    # -- what the events tell

    def _told(self, event: Event | None) -> None:
        """An event was read; None: there is none just now."""
        if event is None:
            self._log.flush()
            return
        names = self._names.of(event)
        for line in lines_of(event, names):
            self._write[line.level](line.action, line.task_id, line.text)
        self._metrics.count(event, names)

    def _look_up(self, ids: Sequence[str]) -> Mapping[str, str]:
        """The names of tasks that Redis knows."""
        try:
            return {i: record.get("task", "") for i, record in zip(ids, self._store.records(ids), strict=True)}
        except YadtqError:  # the loop says so; these runs are counted without a name
            return {}

    def _shown(self) -> tuple[Picture, bool]:
        return self._observer.picture, self.leads

    # -- the end

    def _end(self) -> None:
        self._observer.stop(STOP_SECONDS)
        self._follower.stop(STOP_SECONDS)
        self._relay.stop(STOP_SECONDS)
        if not self._problem:  # else the lease lapses
            self._resign()
        self._operator.close()
        self._broker.close()
        self._store.close()
        self._log.info("stop", text=self.name)
        self._log.flush()

    def _resign(self) -> None:
        try:
            self._store.resign(self.name)
        except YadtqError as error:
            self._log.warning("resign", text=f"{error}; another server leads in {LEASE_MS // 1000} s")
