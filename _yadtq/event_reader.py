"""The event log for who follows it: each event that counts, once, in the order of the topic.

An entry of an older generation than one before it does not count (rule void), and what was sent twice counts once. The
order is that of the topic, not of the numbers: two relays may send at once, and one of them late.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing

from _yadtq.connections import events
from _yadtq.errors import ServerUnreachable
from _yadtq.events import Cursor, Event, StrangeEntry
from _yadtq.history import Row
from _yadtq.log import visible
from _yadtq.settings import Settings
from _yadtq.topic import Topic

__all__ = ["Cursor", "Event", "EventReader"]

RETRY_SECONDS, LOOK_SECONDS = 1.0, 0.1
PROBE_SECONDS = 3.0  # how often: is Kafka there, is the topic the one that is read, does it come?
STALLED_PROBES = 4  # in which nothing came, though Kafka has more
READ_SECONDS = 10.0  # without an entry that must be there
TAIL = 1_000  # messages before the end in which repeats of later ones are looked for


class EventReader:
    """Follows the event log. It needs Kafka alone, and there the right to read the topic. For one thread at a time.

    tell: is told, in one line each, what goes wrong, when it works again, and what was passed over.
    problem: why nothing comes now; '' while Kafka is read.
    """

    def __init__(self, settings: Settings, tell: Callable[[str], None] = lambda _: None) -> None:
        self._broker, self._log = events(settings)
        self._tell = tell
        self.problem = ""

    def __enter__(self) -> "EventReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._broker.close()

    def beginning(self) -> Cursor:
        """A cursor at the first event that Kafka has."""
        return Cursor()

    def end(self) -> Cursor:
        """A cursor behind the last event that Kafka has. Raises ServerUnreachable."""
        topic = self._broker.event_topic()
        cursor = Cursor(max(topic.starts[0], topic.ends[0] - TAIL))
        for _ in self._read(cursor, topic, lambda _: False):
            pass
        if cursor.seen:
            cursor.know_all_before(cursor.seen[0][0])
        return cursor

    def read_all(self, cursor: Cursor, wanted: Callable[[bytes], bool] | None = None) -> Iterator[Event]:
        """The events from the cursor on up to the present end; the cursor goes along.

        wanted: tells from the bytes of an event whether it is to be given. Raises ServerUnreachable.
        """
        return self._read(cursor, self._broker.event_topic(), wanted)

    def follow(self, cursor: Cursor, stop: Callable[[], bool]) -> Generator[Event | None]:
        """The events from the cursor on, as they come, until `stop` says so; the cursor goes along.

        Gives None whenever there is no further one at once, at least about each second, so that its caller can do
        other things; also while Kafka does not answer, which it tells, and tries again.
        """
        while not stop():
            try:
                yield from self._follow(cursor, stop)
                continue
            except ServerUnreachable as error:
                self._fail(str(error))
            yield None
            retry_at = time.monotonic() + RETRY_SECONDS
            while time.monotonic() < retry_at and not stop():
                time.sleep(LOOK_SECONDS)

    # -- within

    def _follow(self, cursor: Cursor, stop: Callable[[], bool]) -> Iterator[Event | None]:
        """Until it must be placed anew, or connect anew."""
        self._say(cursor.place(self._broker.event_topic()))
        probe_at, silent = time.monotonic() + PROBE_SECONDS, 0
        with closing(self._log.follow(cursor.offset)) as batches:
            for rows, following in batches:
                if rows:
                    self._work()
                    silent = 0
                yield from self._accepted(cursor, rows, None)
                cursor.skip(following)
                yield None
                if stop():
                    return
                if time.monotonic() < probe_at:
                    continue
                topic, probe_at = self._broker.event_topic(), time.monotonic() + PROBE_SECONDS
                self._work()
                silent += cursor.offset < topic.ends[0]
                if topic.id != cursor.topic or silent >= STALLED_PROBES:
                    return

    def _read(self, cursor: Cursor, topic: Topic, wanted: Callable[[bytes], bool] | None) -> Iterator[Event]:
        self._say(cursor.place(topic))
        end = topic.ends[0]
        if cursor.offset >= end:
            return
        heard_at = time.monotonic()
        with closing(self._log.follow(cursor.offset)) as batches:
            for rows, following in batches:
                yield from self._accepted(cursor, [row for row in rows if row.offset < end], wanted)
                cursor.skip(min(following, end))
                if cursor.offset >= end:
                    return
                heard_at = time.monotonic() if rows else heard_at
                if time.monotonic() > heard_at + READ_SECONDS:
                    break
        raise ServerUnreachable("kafka", "Kafka does not give the event log: try again")

    def _accepted(self, cursor: Cursor, rows: Iterable[Row], wanted: Callable[[bytes], bool] | None) -> Iterator[Event]:
        """The events among messages. Of those that are none, the first is told, and how many there are."""
        strange: list[tuple[int, str]] = []
        for row in rows:
            try:
                event = cursor.accept(row, wanted)
            except StrangeEntry as error:
                strange.append((row.offset, str(error)))
                continue
            if event is not None:
                yield event
        if strange:
            (offset, reason), others = strange[0], len(strange) - 1
            more = f", nor are {others:,} of those up to offset {strange[-1][0]:,}" if others else ""
            name = self._broker.keys.events_topic
            self._tell(f"offset {offset:,} of {name} is no event ({visible(reason, 300)}){more}: passed over")

    def _say(self, line: str) -> None:
        if line:
            self._tell(line)

    def _fail(self, problem: str) -> None:
        if problem != self.problem:
            self._tell(f"{problem} (trying again)")
        self.problem = problem

    def _work(self) -> None:
        if self.problem:
            self.problem = ""
            self._tell("the event log is read again")
