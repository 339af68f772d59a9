"""What a server sees of the queue: a picture of it every two seconds, and whether the servers answer."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from _yadtq.clock import SystemClock
from _yadtq.errors import YadtqError
from _yadtq.lag import LagWatch
from _yadtq.log import Log, Trouble
from _yadtq.messages import decode
from _yadtq.operations import Operator
from _yadtq.picture import Picture

if TYPE_CHECKING:  # they bring redis and kafka with them
    from _yadtq.broker import Broker
    from _yadtq.store import Store

LOOK_SECONDS = 2.0


class Link:
    """Whether a server answers: said when that changes."""

    def __init__(self, log: Log, action: str, where: str) -> None:
        self._log, self._action, self._where = log, action, where
        self._known: str | None = None

    def tell(self, problem: str) -> None:
        """problem: '' when it answers, else one line."""
        if problem == self._known:
            return
        if problem:
            self._log.error(self._action, text=f"lost: {problem} (trying again)")
        else:
            self._log.info(self._action, text=f"{'connected' if self._known is None else 'back'}: {self._where}")
            self._log.flush()
        self._known = problem


class Observer(threading.Thread):
    """Keeps `picture` young, and says of Kafka what there is to say. leads: whether this server does."""

    def __init__(
        self, operator: Operator, store: "Store", broker: "Broker", log: Log, leads: Callable[[], bool]
    ) -> None:
        super().__init__(name="observer", daemon=True)
        self.picture = Picture()
        self._operator, self._store, self._broker, self._leads = operator, store, broker, leads
        self._clock = SystemClock()
        self._kafka = Link(log, "kafka", f"Kafka at {store.settings.kafka_broker}")
        self._trouble = Trouble(log, "observe")
        self._lag = LagWatch(log)
        self._stopping = threading.Event()

    def stop(self, seconds: float) -> None:
        """Ends the thread; waits so long for it."""
        self._stopping.set()
        if self.ident is not None:
            self.join(seconds)

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look()
            except Exception as error:  # this thread must not end
                self._trouble.say(f"{type(error).__name__}: {error}")
            else:
                self._trouble.over()
            self._stopping.wait(LOOK_SECONDS)

    def look(self) -> None:
        """One look."""
        try:
            snapshot = self._operator.snapshot(spans=1, failures=0)
            age = event_age(self._store.events("0-0", 0.001, 1), snapshot.at)
        except YadtqError as error:
            self.picture = replace(self.picture, kafka=self._broker.problem(), redis=str(error))
        else:
            now = self._clock.monotonic()
            kafka = self._broker.problem() if snapshot.health.kafka else ""  # it may only have been slow
            self.picture = Picture(snapshot, now, kafka, "", age)
            if self._leads():
                self._lag.note(now, snapshot)
        self._kafka.tell(self.picture.kafka)


def event_age(waiting: list[tuple[str, str]], at: float) -> float:
    """Seconds for which the first of the events in the outbox has waited. at: now by Redis' clock."""
    if not waiting:
        return 0.0
    try:
        return max(0.0, at - float(decode(waiting[0][1])["at"]))
    except (ValueError, KeyError, TypeError):  # written by hand
        return 0.0
