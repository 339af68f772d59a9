"""Opens what needs costly packages (redis, kafka: 0.3 s each) and the mechanics around them, and imports them then.

Whoever only registers tasks, as every child process does, imports none of it.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from _yadtq.clock import SystemClock
from _yadtq.handlers import Handler
from _yadtq.later import Later
from _yadtq.log import Log
from _yadtq.settings import Settings

if TYPE_CHECKING:
    from _yadtq.broker import Broker
    from _yadtq.consumer import Consumer
    from _yadtq.event_log import EventLog
    from _yadtq.incarnation import Incarnation
    from _yadtq.metrics import Metrics
    from _yadtq.outbox import Outbox
    from _yadtq.picture import Picture
    from _yadtq.recovery import Recovery
    from _yadtq.relay import Relay
    from _yadtq.store import Store


def servers(settings: Settings) -> "tuple[Broker, Store]":
    """Kafka and Redis as the settings name them. Connects to neither."""
    from _yadtq.store import Store

    return _broker(settings), Store(settings)


def recovery(store: "Store", broker: "Broker", tell: Callable[[str], None] = lambda _: None) -> "Recovery":
    """What founds the queue, and leads it back after a restart of Redis. tell: what is said of it."""
    from _yadtq.recovery import Recovery

    return Recovery(store, broker, _event_log(store.settings, broker), tell)


def outbox(store: "Store", broker: "Broker") -> "Outbox":
    """What sends events from Redis to Kafka."""
    from _yadtq.outbox import Outbox

    return Outbox(store, _event_log(store.settings, broker))


def events(settings: Settings) -> "tuple[Broker, EventLog]":
    """Kafka, and the event log in it. Connects to neither."""
    broker = _broker(settings)
    return broker, _event_log(settings, broker)


def relay(store: "Store", broker: "Broker", log: Log) -> "Relay":
    """The thread, not started, that sends events and keeps house."""
    from _yadtq.relay import Relay
    from _yadtq.retention import Retention
    from _yadtq.sweeper import Sweeper

    told = recovery(store, broker, lambda line: log.warning("recover", text=line))
    return Relay(outbox(store, broker), Sweeper(store, broker, log), Retention(store, broker, log), told, log)


def consumer(broker: "Broker", store: "Store", log: Log, post: Callable[[object], None]) -> "Consumer":
    """The thread, not started, that reads the task topic for a worker."""
    from _yadtq.consumer import Consumer
    from _yadtq.lookout import Lookout

    return Consumer(store.settings, broker, Lookout(store, broker, log), post)


def incarnation(
    settings: Settings, store: "Store", handlers: Mapping[str, Handler], post: Callable[[object], None], log: Log
) -> "Incarnation":
    """One life of a worker, with its pool of child processes, not started. post: takes what the pool has to tell."""
    from _yadtq.incarnation import Incarnation
    from _yadtq.pool import Pool

    return Incarnation(settings, store, Pool(handlers, settings.concurrency, post), log, SystemClock())


def metrics(show: "Callable[[], tuple[Picture, bool]]", now: Callable[[], float]) -> "Metrics":
    """The metrics of a server. show: its picture of the queue, and whether it leads. now: monotonic seconds."""
    from _yadtq.metrics import Metrics

    return Metrics(show, now)


def _broker(settings: Settings) -> "Broker":
    """Many commands of a client speak to Redis only."""

    def made() -> "Broker":
        from _yadtq.broker import Broker

        return Broker(settings)

    return cast("Broker", Later(made))


def _event_log(settings: Settings, broker: "Broker") -> "EventLog":
    """Mostly nobody needs it."""

    def made() -> "EventLog":
        from _yadtq.event_log import EventLog

        return EventLog(settings, broker)

    return cast("EventLog", Later(made))
