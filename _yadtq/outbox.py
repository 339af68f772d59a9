"""The outbox: events that wait in Redis until Kafka has them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from _yadtq.bell import Bell
from _yadtq.errors import Outdated, RedisRestarted, ServerUnreachable

if TYPE_CHECKING:  # they bring redis and kafka with them
    from _yadtq.event_log import EventLog
    from _yadtq.store import Store

BATCH = 64  # entries sent together
LOOK_SECONDS = 0.05

Answer = TypeVar("Answer")


class Outbox:
    """Sends the oldest entries first. Two may do so at once: readers drop what they have seen."""

    def __init__(self, store: "Store", event_log: "EventLog") -> None:
        self._store, self._log = store, event_log
        self._generation = ""

    def forward(self, wait_seconds: float, bell: Bell | None = None) -> int:
        """Sends the oldest entries, and trims them when Kafka has them. Returns how many. bell: ends the wait.

        The generation is learned before the entries are read: what Redis forgets in between is sent with an old one.
        """
        self._generation = self._generation or self._store.generation()
        entries = self._store.events("0-0", wait_seconds, BATCH, bell)
        if not entries:
            return 0
        sent, offset, error = self._log.append(self._generation, entries)
        if sent:
            try:
                self._store.trim(entries[sent - 1][0], self._generation, offset)
            except Outdated:
                self._generation = ""
                return 0
        if error is not None:
            raise ServerUnreachable("kafka", f"Kafka has not taken an event: {error}; it is sent again")
        return sent

    def recorded(self, call: Callable[[], tuple[Answer, str]]) -> Answer:
        """The answer of a call, when its event is in Kafka: then no restart of Redis forgets it (rule resetwait).

        call: answers what it did, and its token; made again when Redis was restarted before that.
        """
        while True:
            try:
                before = self._store.generation()
            except RedisRestarted:
                before = ""  # the call leads it back
            answer, token = call()
            try:
                if self._delivered(token, before):
                    return answer
            except RedisRestarted:
                continue

    def _delivered(self, token: str, before: str) -> bool:
        """Returns when the event of a call is in Kafka; False when Redis was led back since, and it may be lost.

        before: the generation before the call was made; a repeated call answers the token of the first one.
        """
        last = _number(token)
        while True:
            first = self._store.events("0-0", LOOK_SECONDS, 1)
            if not first or _number(first[0][0]) > last:
                return self._store.generation() == before
            self.forward(LOOK_SECONDS)


def _number(entry: str) -> int:
    return int(entry.rpartition("-")[2])
