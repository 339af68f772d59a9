"""The event log as it is read after a restart: which entries count, once and in their order, and what is missing."""

import json
import random

from hypothesis import given
from hypothesis import strategies as st

from _yadtq.events import entry_of
from _yadtq.history import REORDERED, Entry, History, Row, stamped
from _yadtq.history import marker as written_marker


def event(seq: int, generation: int = 1) -> Entry:
    return Entry(seq, generation, f"{generation}-{seq}", f'{{"seq":{seq}}}')


def marker(generation: int, kept: int, before: int | None = None) -> Entry:
    key, value = written_marker(generation, generation - 1 if before is None else before, kept)
    return entry_of(Row(0, key.encode(), value.encode(), 0.0))


def read(history: History, *entries: Entry) -> list[int]:
    """The numbers of the entries that it gives, to the end of the log."""
    found = [due.seq for entry in entries for due in history.add(entry)]
    return found + [due.seq for due in history.rest()]


# -- as they are sent and read


def test_an_entry_is_read_as_it_was_sent() -> None:
    told = {"seq": 42, "at": "1.250", "epoch": 0, "script": "take", "actor": "w"}
    key, value = stamped("7", "5-42", json.dumps(told))
    assert key == "7-42"
    assert json.loads(value) == {"generation": 7, "token": "5-42", **told}
    assert entry_of(Row(0, key.encode(), value.encode(), 0.0)) == Entry(42, 7, "5-42", value)


def test_a_marker_has_the_number_zero() -> None:
    key, value = written_marker(9, 7, 4)
    assert json.loads(value) == {"generation": 9, "action": "generation", "before": 7, "kept": 4}
    entry = entry_of(Row(0, key.encode(), value.encode(), 0.0))
    assert (entry.seq, entry.generation, entry.token) == (0, 9, "")


# -- which of them count


def test_what_redis_has_kept_is_not_given() -> None:
    history = History(1, 2)
    assert read(history, *(event(seq) for seq in range(1, 6))) == [3, 4, 5]
    assert (history.reached, history.gaps, history.forgotten()) == (5, [], "5")


def test_each_is_given_as_soon_as_those_before_it_are_there() -> None:
    history = History(1, 0)
    given_by = [[due.seq for due in history.add(event(seq))] for seq in (1, 3, 2, 4)]
    assert given_by == [[1], [], [2, 3], [4]]


def test_repeats_count_once() -> None:
    history = History(1, 0)
    assert read(history, *(event(seq) for seq in (1, 2, 1, 2, 4, 3, 4, 3, 1))) == [1, 2, 3, 4]
    assert history.gaps == []


def test_what_was_sent_again_in_a_newer_generation_is_the_same() -> None:
    again = Entry(2, 5, "1-2", '{"seq":2}')
    assert read(History(1, 0), event(1), event(2), marker(5, 2), again, event(3, 5)) == [1, 2, 3]


def test_behind_a_marker_of_a_newer_generation_it_is_void() -> None:
    """Redis had forgotten 3 when generation 2 began; another call has the number now."""
    history = History(1, 0)
    late, new = event(3), Entry(3, 2, "2-3", '{"seq":3,"new":1}')
    found = [due for entry in (event(1), event(2), marker(2, 2), late, new, event(4)) for due in history.add(entry)]
    assert [*found, *history.rest()] == [event(1), event(2), new]
    assert (history.newest, history.forgotten()) == (2, "3")


def test_a_marker_whose_sender_gave_up_ends_only_what_it_knew() -> None:
    """It comes late, into a queue that has gone on with a lower generation: Redis had forgotten that one began."""
    history = History(1, 0)
    assert read(history, event(1), marker(5, 1, 1), event(2, 5), marker(9, 0, 1), event(3, 5), event(3)) == [1, 2, 3]
    assert history.newest == 9


def test_also_behind_a_newer_entry_whose_marker_the_log_has_lost() -> None:
    assert read(History(1, 0), event(1), event(2, 5), event(3)) == [1, 2]


def test_what_is_older_than_redis_itself_is_void() -> None:
    """The marker of its generation lies before the part of the log that is read."""
    assert read(History(5, 3), event(4), event(4, 5), event(5, 4)) == [4]


def test_calls_of_later_generations_under_known_numbers_are_strange() -> None:
    """Redis went on with 3 and 4 by itself, and the queue without it."""
    history = History(1, 4)
    assert read(history, event(1), event(2), marker(5, 2), Entry(2, 5, "1-2", "{}")) == []
    assert history.strange == 0
    assert read(history, event(3, 5), event(4, 5), event(5, 5)) == [5]
    assert history.strange == 2


# -- what is missing


def test_a_gap_is_told() -> None:
    history = History(1, 3)
    assert read(history, *(event(seq) for seq in (4, 6, 9, 10, 12))) == [4, 6, 9, 10, 12]
    assert history.gaps == [(5, 5), (7, 8), (11, 11)]
    assert history.forgotten() == "12 5-5 7-8 11-11"


def test_an_empty_log_leaves_what_redis_had() -> None:
    history = History(1, 7)
    assert (read(history), read(history, marker(2, 7)), history.forgotten()) == ([], [], "7")


def test_what_is_missing_is_looked_for_among_the_next_ten_thousand() -> None:
    history = History(1, 0)
    waiting = [due.seq for seq in range(2, REORDERED + 2) for due in history.add(event(seq))]
    assert waiting == []
    found = [due.seq for due in history.add(event(1))]
    assert found == list(range(1, REORDERED + 2))
    assert history.gaps == []


def test_longer_than_that_it_is_not_waited_for() -> None:
    history = History(1, 0)
    found = [due.seq for seq in range(2, REORDERED + 3) for due in history.add(event(seq))]
    assert found == list(range(2, REORDERED + 3))
    assert history.gaps == [(1, 1)]
    assert list(history.add(event(1))) == []  # too late


# -- generations that began


def test_what_was_known_when_a_generation_began() -> None:
    history = History(1, 0)
    read(history, event(1), event(2), marker(5, 2), event(3, 5), marker(8, 1), marker(9, 7))
    assert history.began == {5: 2, 8: 3, 9: 7}  # by the log, or by Redis as it was then
    again = History(1, 5)
    read(again, event(1), event(2), marker(5, 2), event(3, 5), marker(8, 1), marker(9, 7))
    assert again.began == {5: 5, 8: 5, 9: 7}  # or by Redis as it is now


def test_an_attempt_that_was_given_up_began_as_well() -> None:
    history = History(1, 0)
    assert read(history, event(1), marker(5, 1), marker(6, 1), event(2, 5), event(2, 6)) == [1, 2]
    assert history.began == {5: 1, 6: 1}


def test_the_first_generation_of_a_log_is_the_oldest_of_the_queue() -> None:
    whole, cut = History(0, 0), History(0, 0)
    assert read(whole, marker(3, 0), event(1, 3), marker(5, 1), event(2, 5)) == [1, 2]
    assert read(cut, event(2, 3), marker(5, 2), event(3, 5)) == [2, 3]
    assert (whole.oldest(9), cut.oldest(9)) == (3, 0)  # before its beginning was cut off, there may have been others
    assert History(0, 0).oldest(9) == 9


# -- any log


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[Entry], list[Entry], list[Entry], dict[int, int]]:
    """Generations one after the other; in each, Redis begins with some of what it had, and more happens.

    Gives what happened in the end, a tidy log of it, the same log with repeats, late entries and another order within
    each generation, and what was known when each generation began.
    """
    happened: list[Entry] = []
    tidy: list[Entry] = []
    untidy: list[Entry] = []
    began: dict[int, int] = {}
    mixer = random.Random(draw(st.integers(0, 2**32)))
    late: list[Entry] = []
    for generation in range(1, draw(st.integers(1, 4)) + 1):
        began[generation] = len(happened)
        mark = marker(generation, draw(st.integers(0, len(happened))))
        new = [event(len(happened) + n, generation) for n in range(1, draw(st.integers(0, 12)) + 1)]
        known = draw(st.integers(0, len(new)))  # in Kafka when Redis is lost; the rest is sent too late
        tidy += [mark, *new[:known]]
        repeats = [Entry(e.seq, generation, e.token, e.event) for e in mixer.sample(happened, len(happened) // 2)]
        shuffled = new[:known] * draw(st.integers(1, 2)) + repeats + late
        mixer.shuffle(shuffled)
        untidy += [mark, *shuffled]
        happened += new[:known]
        late = late + new[known:]
    return happened, tidy, untidy, began


@given(logs(), st.data())
def test_order_and_repeats_and_late_entries_change_nothing(
    log: tuple[list[Entry], list[Entry], list[Entry], dict[int, int]], data: st.DataObject
) -> None:
    happened, tidy, untidy, began = log
    kept = data.draw(st.integers(0, len(happened)))
    for entries in (tidy, untidy):
        history = History(0, kept)
        found = [due for entry in entries for due in history.add(entry)]
        found += history.rest()
        assert [(e.seq, e.token) for e in found] == [(e.seq, e.token) for e in happened[kept:]]
        assert (history.gaps, history.reached) == ([], max(kept, len(happened)))
        assert history.began == {generation: max(kept, known) for generation, known in began.items()}


@given(st.sets(st.integers(1, 60)), st.integers(0, 60), st.randoms(use_true_random=False))
def test_whatever_is_missing_is_told(present: set[int], kept: int, mixer: random.Random) -> None:
    order = sorted(present) * 2
    mixer.shuffle(order)
    history = History(1, kept)
    assert read(history, *(event(seq) for seq in order)) == sorted(seq for seq in present if seq > kept)
    missing = {seq for first, last in history.gaps for seq in range(first, last + 1)}
    last = max(present | {kept})
    assert missing == set(range(kept + 1, last + 1)) - present
    assert (history.reached, history.forgotten().split()[0]) == (last, str(last))
