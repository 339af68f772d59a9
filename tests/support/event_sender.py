"""Messages of the event log as a relay sends them, and as it never would."""

import json
from collections.abc import Iterable

from _yadtq.broker import Broker
from _yadtq.claims import Outgoing
from _yadtq.history import marker, stamped
from _yadtq.settings import Settings


class EventSender:
    """Publishes to the event log of a queue, whose topics it makes."""

    def __init__(self, settings: Settings) -> None:
        self.broker = Broker(settings)
        self.broker.create_topics()

    def close(self) -> None:
        self.broker.close()

    def begin(self, generation: int, kept: int = 0) -> None:
        """The marker of a generation."""
        self._send([marker(generation, generation - 1, kept)])

    def events(self, numbers: Iterable[int], generation: int = 1) -> None:
        """Events with these numbers; each starts the task of its number."""
        self._send(
            stamped(str(generation), f"{generation}-{seq}", json.dumps({"seq": seq, "epoch": 0, "at": f"{seq}.000",
                    "script": "take", "actor": "w~1", "tasks": [{"action": "take", "id": f"t{seq}", "attempt": 1,
                    "worker": "w~1"}]}))
            for seq in numbers
        )  # fmt: skip

    def garbage(self, *values: tuple[bytes, bytes]) -> None:
        """Messages that are no events: key and value of each."""
        outcomes = self.broker.publish(self.broker.keys.events_topic, [Outgoing(*each) for each in values])
        assert not [each for each in outcomes if isinstance(each, Exception)]

    def _send(self, entries: Iterable[tuple[str, str]]) -> None:
        outcomes = self.broker.publish_events(list(entries))
        assert not [each for each in outcomes if isinstance(each, Exception)]
