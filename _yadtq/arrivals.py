"""What a consumer of Kafka brings, waited for without asking it again and again.

kafka-python's own poll wakes its network thread three times a round, and makes nine rounds a second to find nothing.
Here a thread waits until the network thread itself says that an answer has come, or until somebody else wakes it.
"""

import threading
import time
from typing import Any

POLL_SECONDS = 1.0  # between two polls of kafka-python's own, which see to the group and to where is to be read
GROUP_SECONDS = 0.2  # between two looks at whether the group is being shared out anew; each costs microseconds
MOST_RECORDS = 500

Found = dict[Any, list[Any]]  # partition → messages


class Arrivals:
    """Of one consumer in a group; used by the thread that owns it. awake: ends the wait, when anybody sets it."""

    def __init__(self, consumer: Any, awake: threading.Event) -> None:
        self._consumer, self._fetcher, self._group = consumer, consumer._fetcher, consumer._coordinator
        self._awake = awake
        self._was_woken = False
        self._watched: list[Any] = []  # requests under way whose answers will wake
        self._poll_at = 0.0

    def poll(self) -> Found:
        """What has come. When there is nothing, waits until something happens, or a second; then {}, and ask again.

        Raises what the consumer's poll raises.
        """
        found = self._look()
        if found:
            return found
        if self._group.need_rejoin() or (not self._watch() and self._wants_some()):
            self._poll_at = 0.0
            return self._polled(GROUP_SECONDS)  # it joins, or finds out from where, or from whom, to fetch
        if not self._fetcher._completed_fetches:  # else an answer came before it was watched
            self._wait()
        return {}

    def _look(self) -> Found:
        """What is there already; Kafka is asked for more."""
        now, was_woken, self._was_woken = time.monotonic(), self._was_woken, False
        if now >= self._poll_at:
            self._poll_at = now + POLL_SECONDS
            return self._polled(0)
        found: Found
        found, has_more = self._fetcher.fetched_records(MOST_RECORDS)
        if not has_more and not (found and was_woken):  # what has come is handed on first
            self._fetcher.send_fetches()
        return found

    def _polled(self, seconds: float) -> Found:
        found: Found = self._consumer.poll(timeout_ms=round(seconds * 1000), max_records=MOST_RECORDS)
        return found

    def _watch(self) -> bool:
        """Has the answers that are awaited wake this thread. Returns whether there are any."""
        awaited = list(self._fetcher._fetch_futures)
        for each in awaited:
            if not any(each is known for known in self._watched):
                each.add_both(lambda _: self._awake.set())
        self._watched = awaited
        return bool(awaited)

    def _wants_some(self) -> bool:
        return bool(self._consumer.assignment() - self._consumer.paused())

    def _wait(self) -> None:
        while (left := self._poll_at - time.monotonic()) > 0 and not self._group.need_rejoin():
            if self._awake.wait(min(GROUP_SECONDS, left)):
                self._awake.clear()  # before its owner looks what there is to do
                self._was_woken = True
                return
