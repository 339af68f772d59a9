"""Opens what needs the redis and kafka packages, and imports them only then: they cost 0.3 s each."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from _yadtq.settings import Settings

if TYPE_CHECKING:
    from _yadtq.broker import Broker
    from _yadtq.consumer import Consumer
    from _yadtq.store import Store


def servers(settings: Settings) -> "tuple[Broker, Store]":
    """Kafka and Redis as the settings name them. Connects to neither."""
    from _yadtq.broker import Broker
    from _yadtq.store import Store

    return Broker(settings), Store(settings)


def consumer(settings: Settings, broker: "Broker", post: Callable[[object], None]) -> "Consumer":
    """The thread, not started, that reads the task topic for a worker."""
    from _yadtq.consumer import Consumer

    return Consumer(settings, broker, post)
