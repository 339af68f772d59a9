"""The parts of a server: when it says what, where it goes on in the event log, and what it takes for an address."""

import argparse
import io
import threading
from collections.abc import Callable, Iterator
from typing import cast

import pytest

import server
from _yadtq import follower as follower_module
from _yadtq.errors import ServerUnreachable
from _yadtq.event_reader import EventReader
from _yadtq.events import Cursor, Event
from _yadtq.follower import Follower
from _yadtq.log import Log, Trouble
from _yadtq.observer import Link, event_age
from tests.support.event_made import event_with
from tests.support.waiting import eventually

# -- connections


def test_a_connection_is_said_when_it_changes() -> None:
    stream = io.StringIO()
    link = Link(Log("INFO", stream), "redis", "Redis at localhost:6379")
    for problem in ("", "", "Redis does not answer", "Redis does not answer", "Redis is loading", "", ""):
        link.tell(problem)
    said = [line.partition("action=redis ")[2] for line in stream.getvalue().splitlines()]
    assert said == [
        "connected: Redis at localhost:6379",
        "lost: Redis does not answer (trying again)",
        "lost: Redis is loading (trying again)",
        "back: Redis at localhost:6379",
    ]


def test_the_age_of_the_oldest_event() -> None:
    assert event_age([], 10.0) == 0.0
    assert event_age([("1-1", '{"at": "7.500"}')], 10.0) == 2.5
    for garbage in ("", "[]", "{}", '{"at": []}', '{"at": "x"}', '{"at": "12"}'):
        assert event_age([("1-1", garbage)], 10.0) == 0.0


# -- the event log


class Topic:
    """Stands in for EventReader. events: what the topic has, by offset; a cursor's offset is the next one."""

    def __init__(self, count: int) -> None:
        self.events = [event_with(number=number) for number in range(count)]
        self.away = self.closed = False
        self.late: list[Event] = []  # they come when somebody has just stopped following

    def end(self) -> Cursor:
        if self.away:
            raise ServerUnreachable("kafka", "Kafka does not answer")
        return Cursor(len(self.events))

    def follow(self, cursor: Cursor, stop: Callable[[], bool]) -> Iterator[Event | None]:
        while not stop():
            if cursor.offset < len(self.events):
                cursor.offset += 1
                yield self.events[cursor.offset - 1]
            else:
                yield None
        self.events += self.late
        self.late = []

    def close(self) -> None:
        self.closed = True


class Following:
    """A follower of a topic, as a running thread. numbers: of the events that it was given."""

    def __init__(self, topic: Topic) -> None:
        self.topic, self.leads = topic, False
        self.numbers: list[int] = []
        self.idle = threading.Event()
        self.broken = False
        self.printed = io.StringIO()
        trouble = Trouble(Log("INFO", self.printed), "events")
        self.thread = Follower(cast(EventReader, topic), lambda: self.leads, self.tell, trouble)

    def tell(self, event: Event | None) -> None:
        if event is None:
            self.idle.set()
        elif self.broken:
            self.broken = False
            raise ValueError("broken")
        else:
            self.numbers.append(event.fields["number"])


@pytest.fixture
def following(monkeypatch: pytest.MonkeyPatch) -> Iterator[Following]:
    """Three events are in the topic; the thread does not run yet."""
    monkeypatch.setattr(follower_module, "WAIT_SECONDS", 0.001)
    made = Following(Topic(3))
    yield made
    made.thread.stop(5)
    assert made.topic.closed
    assert not made.thread.is_alive()


def test_a_new_one_begins_at_the_end(following: Following) -> None:
    following.leads = True
    following.thread.start()
    assert following.idle.wait(5)
    following.topic.events.append(event_with(number=3))
    eventually(lambda: following.numbers == [3])


def test_a_standby_goes_on_behind_what_it_noted_before_the_last_time(
    following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came since then may be untold: the leader is gone."""
    noted: list[int] = []
    monkeypatch.setattr(follower_module, "NOTE_SECONDS", 0.0)
    end = following.topic.end

    def noting() -> Cursor:
        if len(noted) < 3:  # at 3, 4 and 5
            following.topic.events += [event_with(number=3 + len(noted))] * (len(noted) > 0)
            noted.append(len(following.topic.events))
            return end()
        following.leads = True
        raise ServerUnreachable("kafka", "Kafka does not answer")

    monkeypatch.setattr(following.topic, "end", noting)
    following.topic.events[3:] = [event_with(number=3)]
    following.thread.start()
    assert following.idle.wait(5)
    assert noted == [4, 5, 6]
    assert following.numbers == [5]


def test_one_that_leads_again_goes_on_where_it_was(following: Following) -> None:
    following.leads = True
    following.thread.start()
    assert following.idle.wait(5)
    following.topic.late = [event_with(number=3)]
    following.leads = False
    eventually(lambda: not following.topic.late)
    following.leads = True
    eventually(lambda: following.numbers == [3])


def test_an_event_that_breaks_it_does_not_end_it(following: Following) -> None:
    following.leads = following.broken = True
    following.thread.start()
    assert following.idle.wait(5)
    following.topic.events += [event_with(number=8), event_with(number=9)]
    eventually(lambda: following.numbers == [9])
    assert "ValueError: broken (trying again)" in following.printed.getvalue()


# -- the command line


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8081", ("127.0.0.1", 8081)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:65535", ("localhost", 65535)),
        ("off", None),
    ],
)
def test_an_address(text: str, address: tuple[str, int] | None) -> None:
    assert server.http_address(text) == address
    assert address is None or server.http_address(server.shown(address)) == address


@pytest.mark.parametrize("text", ["", "8081", ":8081", "host", "host:", "host:x", "host:65536", "host:-1", "host:٣"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected HOST:PORT or 'off'"):
        server.http_address(text)


@pytest.mark.parametrize(
    "arguments", [["--http", "nowhere"], ["--log-level", "x"], ["--log-folder", "/dev/null/x", "--http", "off"]]
)
def test_wrong_use_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = server.main(arguments)
    except SystemExit as end:  # argparse
        code = int(str(end.code))
    assert code == server.EXIT_USAGE
    assert arguments[0].strip("-").replace("-", "_").upper() in capsys.readouterr().err.upper().replace("-", "_")


def test_every_exit_code_is_named() -> None:
    assert server.__doc__ is not None
    assert {server.EXIT_OK, server.EXIT_USAGE, server.EXIT_UNREACHABLE} == {0, 2, 3}
    codes = server.__doc__.partition("Exit codes:")[2]
    assert all(f"{code} " in codes for code in (0, 2, 3))
