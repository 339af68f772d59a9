"""The events that a follower of the event log is given: each that counts, once, wherever it goes on."""

import contextlib
import json
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _yadtq import events
from _yadtq.damaged import Damaged
from _yadtq.events import Cursor, Event, StrangeEntry, entry_of
from _yadtq.history import Entry, History, Row, marker, stamped
from _yadtq.topic import Topic

KEY = b"7-42"
TAKE = {
    "generation": 7, "token": "5-42", "seq": 42, "epoch": 3, "at": "1763827301.250", "script": "take",
    "actor": "worker1~ab", "tasks": [{"action": "take", "id": "a", "attempt": 1, "worker": "worker1~ab"}],
    "admitted": ["a", "b"],
}  # fmt: skip


def row(offset: int, seq: int, generation: int = 1, call: str = "") -> Row:
    """A message: the event of call number `seq`, which was made in generation `call`."""
    told = {"seq": seq, "epoch": 0, "at": "1.000", "script": "take", "actor": "w"}
    key, value = stamped(str(generation), f"{call or generation}-{seq}", json.dumps(told))
    return Row(offset, key.encode(), value.encode(), 0.0)


def begin(offset: int, generation: int, kept: int) -> Row:
    key, value = marker(generation, generation - 1, kept)
    return Row(offset, key.encode(), value.encode(), 12.5)


def log(*sent: tuple[int, int] | tuple[int, int, int]) -> list[Row]:
    """Messages at offsets from 0 on: (seq, generation), or (0, generation, kept) for a marker."""
    return [
        begin(offset, each[1], each[2]) if len(each) == 3 else row(offset, *each) for offset, each in enumerate(sent)
    ]


def numbers(cursor: Cursor, rows: Iterable[Row]) -> list[int]:
    return [event.seq for each in rows if (event := cursor.accept(each)) is not None]


def event_of(told: object, key: bytes = KEY) -> Event:
    event = Cursor().accept(Row(9, key, json.dumps(told).encode(), 0.0))
    assert event is not None
    return event


# -- what an event consists of


def test_an_event_is_read_as_it_was_sent() -> None:
    event = event_of(TAKE)
    assert (event.offset, event.generation, event.seq, event.token, event.epoch) == (9, 7, 42, "5-42", 3)
    assert (event.at, event.script, event.actor, event.action) == (1763827301.25, "take", "worker1~ab", "")
    assert event.tasks == ({"action": "take", "id": "a", "attempt": 1, "worker": "worker1~ab"},)
    assert event.fields == {"admitted": ["a", "b"]}
    assert json.loads(event.text) == TAKE


def test_a_marker_is_an_event_too() -> None:
    event = Cursor().accept(begin(0, 9, 4))
    assert event is not None
    assert (event.seq, event.generation, event.action, event.at, event.epoch) == (0, 9, "generation", 12.5, -1)
    assert event.fields == {"before": event.generation - 1, "kept": 4}


STRANGE = {
    "no key": (None, json.dumps(TAKE).encode()),
    "key without number": (b"7", json.dumps(TAKE).encode()),
    "key of another one": (b"7-43", json.dumps(TAKE).encode()),
    "a key of no bounds": (b"7-" + b"9" * 30, json.dumps(TAKE).encode()),
    "digits of another script": ("7-٤٢".encode(), json.dumps(TAKE).encode()),
    "no value": (KEY, None),
    "no text": (KEY, b"\xff\xfe"),
    "no JSON": (KEY, b"{"),
    "no object": (KEY, b"[]"),
    "no number": (KEY, json.dumps(TAKE | {"fields": float("nan")}).encode()),
    "nested": (KEY, b"[" * 200_000),
    "many digits": (KEY, b'{"seq":' + b"9" * 5000 + b"}"),
    "no seq": (KEY, json.dumps(TAKE | {"seq": True}).encode()),
    "no epoch": (KEY, json.dumps({name: value for name, value in TAKE.items() if name != "epoch"}).encode()),
    "actor": (KEY, json.dumps(TAKE | {"actor": {}}).encode()),
    "time": (KEY, json.dumps(TAKE | {"at": "soon"}).encode()),
    "far time": (KEY, json.dumps(TAKE | {"at": "1e300"}).encode()),
    "tasks": (KEY, json.dumps(TAKE | {"tasks": {"a": 1}}).encode()),
    "a task": (KEY, json.dumps(TAKE | {"tasks": [{"action": "take"}]}).encode()),
    "no marker": (b"7-0", b'{"generation":7,"action":"reset","before":6,"kept":1}'),
    "a marker's kept": (b"7-0", b'{"generation":7,"action":"generation","before":6}'),
    "a marker's before": (b"7-0", b'{"generation":7,"action":"generation","kept":1}'),
    "damaged": (None, Damaged(b"bytes")),
}


@pytest.mark.parametrize("what", STRANGE)
def test_what_is_no_event_is_passed_over_and_hides_nothing(what: str) -> None:
    cursor = Cursor()
    with pytest.raises(StrangeEntry):
        cursor.accept(Row(3, *STRANGE[what], 0.0))
    assert (cursor.offset, cursor.generation, cursor.seen) == (4, 0, [])
    assert cursor.accept(Row(4, KEY, json.dumps(TAKE).encode(), 0.0)) is not None
    with pytest.raises(StrangeEntry):
        entry_of(Row(3, *STRANGE[what], 0.0))


@given(st.binary(max_size=60) | st.none(), st.binary(max_size=200) | st.none())
def test_any_bytes_are_an_event_or_strange(key: bytes | None, value: bytes | None) -> None:
    cursor = Cursor()
    with contextlib.suppress(StrangeEntry):
        cursor.accept(Row(0, key, value, 0.0))
    assert cursor.offset == 1


def test_a_line_of_the_audit_trail_is_the_event_with_its_offset() -> None:
    event = event_of(TAKE)
    assert json.loads(event.to_line()) == {"offset": 9} | TAKE
    assert Event.from_line(event.to_line().encode()) == event


@given(st.text(max_size=30), st.sampled_from(["", "\n", " \t\r\n "]), st.booleans())
def test_a_line_shows_everything_and_says_the_same(text: str, space: str, ascii_only: bool) -> None:
    told = {**TAKE, "tasks": [{"action": "take", "id": text}], text: [text, 1.5, None]}
    if "offset" in told or text in TAKE:
        return
    value = space + json.dumps(told, ensure_ascii=ascii_only).replace(", ", f",{space}") + space
    try:
        sent = value.encode()
    except UnicodeEncodeError:
        return
    event = Cursor().accept(Row(9, KEY, sent, 0.0))
    assert event is not None
    line = event.to_line()
    assert line.isprintable()
    assert json.loads(line) == {"offset": 9} | json.loads(value)
    again = Event.from_line(line.encode())
    assert (again.tasks, again.fields, again.offset) == (event.tasks, event.fields, 9)


@pytest.mark.parametrize(
    "line", [b"", b"{}", b'{"offset":1,', b'{"offset":1,"generation":[]}', b'{"offset":1,"seq":1}']
)
def test_a_line_that_somebody_has_spoiled_is_strange(line: bytes) -> None:
    with pytest.raises(StrangeEntry):
        Event.from_line(line)


# -- which of them are given


def test_what_was_sent_twice_counts_once_in_any_order() -> None:
    cursor = Cursor()
    assert numbers(cursor, log((1, 1), (2, 1), (4, 1), (1, 1), (3, 1), (4, 1), (3, 1))) == [1, 2, 4, 3]
    assert cursor.seen == [(1, 4)]


def test_what_was_sent_again_in_a_newer_generation_is_the_same() -> None:
    assert numbers(Cursor(), log((1, 1), (2, 1), (0, 5, 2), (2, 5), (3, 5))) == [1, 2, 0, 3]


def test_behind_a_marker_of_a_newer_generation_it_is_void() -> None:
    cursor = Cursor()
    assert numbers(cursor, log((1, 1), (0, 2, 1), (2, 1), (2, 2), (3, 1))) == [1, 0, 2]
    assert (cursor.generation, cursor.highest) == (2, 2)


def test_a_marker_is_given_once() -> None:
    assert numbers(Cursor(), log((0, 2, 0), (1, 2), (0, 2, 0), (2, 2), (0, 1, 0))) == [0, 1, 2]


def test_what_is_not_wanted_counts_as_seen() -> None:
    cursor = Cursor()
    rows = log((1, 1), (2, 1), (2, 1), (3, 1))
    found = [cursor.accept(each, lambda value: b'"seq": 2' in value) for each in rows]
    assert [event.seq if event else 0 for event in found] == [0, 2, 0, 0]
    assert cursor.seen == [(1, 3)]


def test_an_offset_that_was_read_is_not_read_again() -> None:
    cursor = Cursor()
    assert numbers(cursor, [row(5, 1), row(4, 2), row(5, 2), row(6, 3)]) == [1, 3]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_RANGES", 3)
    cursor = Cursor()
    assert numbers(cursor, log((1, 1), (3, 1), (5, 1), (7, 1), (9, 1))) == [1, 3, 5, 7, 9]
    assert cursor.seen == [(1, 5), (7, 7), (9, 9)]
    assert [cursor.has_seen(seq) for seq in (2, 4, 6, 8, 10)] == [True, True, False, False, False]


def test_what_is_below_a_tail_counts_as_seen() -> None:
    cursor = Cursor()
    numbers(cursor, log((17, 1), (19, 1), (15, 1)))
    cursor.know_all_before(15)
    assert cursor.seen == [(1, 15), (17, 17), (19, 19)]
    assert numbers(cursor, [row(9, 14), row(10, 16), row(11, 18), row(12, 20)]) == [16, 18, 20]

    cursor.know_all_before(18)
    assert cursor.seen == [(1, 20)]


# -- where it goes on


def topic(start: int, end: int, name: str = "one") -> Topic:
    return Topic("q_events", name, {0: start}, {0: end})


def test_it_begins_where_the_topic_does() -> None:
    cursor = Cursor()
    assert (cursor.place(topic(5, 9)), cursor.offset, cursor.topic) == ("", 5, "one")
    cursor.offset = 9
    assert (cursor.place(topic(5, 9)), cursor.offset) == ("", 9)


def test_it_says_what_it_has_missed() -> None:
    cursor = Cursor(3)
    assert cursor.place(topic(7, 9)) == "Kafka has deleted offsets 3 to 6 of q_events unread: their events are missing"
    assert cursor.offset == 7


def test_of_a_topic_that_was_cut_nothing_is_given_twice() -> None:
    cursor = Cursor()
    sent = log((0, 1, 0), (1, 1), (2, 1), (0, 2, 2), (3, 2), (4, 2), (5, 2))
    assert numbers(cursor, sent) == [0, 1, 2, 0, 3, 4, 5]
    assert cursor.place(topic(0, 5)) == (
        "q_events was cut at offset 5, and 7 was next: it is read again from its beginning"
    )
    assert numbers(cursor, [*sent[:5], row(5, 6, 2)]) == [6]


def test_a_topic_made_anew_goes_on_with_the_same_numbers() -> None:
    cursor = Cursor()
    cursor.place(topic(0, 2))
    numbers(cursor, log((1, 2), (2, 2)))
    assert cursor.place(topic(0, 2, "other")) == "q_events was deleted or made anew: it is read from its beginning"
    assert numbers(cursor, log((2, 2), (3, 2), (0, 4, 3), (4, 4))) == [3, 0, 4]


def test_a_queue_begun_anew_has_its_own_numbers() -> None:
    cursor = Cursor()
    cursor.place(topic(0, 3))
    numbers(cursor, log((0, 9, 0), (1, 9), (2, 9)))
    cursor.place(topic(0, 3, "other"))
    assert numbers(cursor, log((0, 8, 0), (1, 8), (2, 8), (2, 8))) == [0, 1, 2]


def test_a_marker_whose_sender_gave_up_ends_only_what_it_knew() -> None:
    """It comes late, into a queue that has gone on with a lower generation."""
    key, value = marker(9, 1, 0)
    late = Row(3, key.encode(), value.encode(), 0.0)
    rows = [begin(0, 1, 0), begin(1, 5, 0), row(2, 1, 5), late, row(4, 2, 5), row(5, 3, 1)]
    assert numbers(Cursor(), rows) == [0, 0, 1, 0, 2]


def test_a_queue_that_has_lost_its_end_and_its_log_goes_on_behind_what_it_kept() -> None:
    cursor = Cursor()
    cursor.place(topic(0, 9))
    numbers(cursor, log(*((seq, 9) for seq in range(1, 9))))
    cursor.place(topic(0, 3, "other"))
    assert numbers(cursor, log((0, 10, 5), (5, 10), (6, 10), (7, 10))) == [0, 6, 7]


def test_a_cursor_is_kept_as_text() -> None:
    cursor = Cursor()
    cursor.place(topic(0, 3))
    numbers(cursor, log((0, 9, 0), (1, 9), (3, 9)))
    again = Cursor.from_json(cursor.to_json())
    assert vars(again) == vars(cursor)
    assert numbers(again, [row(3, 3, 9), row(4, 2, 9), row(5, 1, 9)]) == [2]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"offset": "x"}', '{"offset": 1, "topic": "", "seen": 3}'])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting|no cursor|invalid literal"):
        Cursor.from_json(text)


# -- any log


@st.composite
def logs(draw: st.DrawFn) -> list[Row]:
    """Generations one after the other, with repeats, late entries and another order within each."""
    mixer = random.Random(draw(st.integers(0, 2**32)))
    rows: list[Row] = []
    happened: list[int] = []
    late: list[tuple[int, int]] = []
    for generation in range(1, draw(st.integers(1, 4)) + 1):
        new = [len(happened) + n for n in range(1, draw(st.integers(0, 20)) + 1)]
        known = draw(st.integers(0, len(new)))
        rows.append(begin(len(rows), generation, draw(st.integers(0, len(happened)))))
        repeats = mixer.sample(happened, len(happened) // 2)
        sent = [(seq, generation) for seq in new[:known] * draw(st.integers(1, 2)) + repeats] + late
        mixer.shuffle(sent)
        rows += [row(len(rows) + place, *each) for place, each in enumerate(sent)]
        happened += new[:known]
        late += [(seq, generation) for seq in new[known:]]
    return rows


def counted(rows: list[Row]) -> list[Entry]:
    """What counts, as recovery reads the same log."""
    history = History(0, 0)
    found = [due for each in rows for due in history.add(entry_of(each))]
    return found + list(history.rest())


@given(logs(), st.data())
def test_each_that_counts_is_given_once_wherever_it_goes_on(rows: list[Row], data: st.DataObject) -> None:
    expected = [entry.seq for entry in counted(rows)]
    cursor, found = Cursor(), []
    stops = data.draw(st.sets(st.integers(0, len(rows))))
    for place, each in enumerate(rows):
        if place in stops:  # it is killed, and begins again; what comes is read from a little before
            cursor = Cursor.from_json(cursor.to_json())
            found += numbers(cursor, rows[max(0, place - 3) : place])
        found += numbers(cursor, [each])
    assert sorted(seq for seq in found if seq) == expected
    assert found.count(0) == sum((each.key or b"").endswith(b"-0") for each in rows)
    assert sum(last - first + 1 for first, last in cursor.seen) == len(expected)


@given(st.lists(st.integers(1, 60)))
def test_ranges_are_exactly_what_was_seen(sent: list[int]) -> None:
    cursor = Cursor()
    assert numbers(cursor, log(*((seq, 1) for seq in sent))) == list(dict.fromkeys(sent))
    assert {seq for first, last in cursor.seen for seq in range(first, last + 1)} == set(sent)
    assert all(last + 1 < first for (_, last), (first, _) in zip(cursor.seen, cursor.seen[1:], strict=False))
