"""How a queue begins in an empty Redis."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from _yadtq.errors import QueueMissing

if TYPE_CHECKING:  # they bring redis and kafka with them
    from _yadtq.broker import Broker
    from _yadtq.store import Store

FIRST_GENERATION = 1


def founded(call: Callable[[], Any], broker: "Broker", store: "Store") -> Any:
    """The answer of a call to Redis; in an empty Redis the queue is begun first, unless Kafka remembers one.

    Raises QueueMissing when Kafka does: then Redis has lost its data, and must not begin anew as if nothing had been.
    """
    try:
        return call()
    except QueueMissing:
        broker.create_topics()
        if not broker.has_history():
            store.found(FIRST_GENERATION)
    try:
        return call()  # another program may have begun it meanwhile
    except QueueMissing:
        raise QueueMissing(
            f"Redis at {store.address} has no queue {store.keys.namespace!r}, but Kafka's topic "
            f"{broker.keys.events_topic} remembers one: give Redis its data back, or choose another YADTQ_NAMESPACE"
        ) from None
