"""The intake: what a worker has read and the queue has not admitted yet."""

from _yadtq.claims import Answer, Assigned, Read
from _yadtq.intake import Anew, Done, Intake, Order, Place
from _yadtq.messages import Rejected
from _yadtq.topic import Standing


def read(partition: int, began: int, count: int, placement: int) -> Read:
    messages = tuple(Rejected(began + n, 1, b"x", "") for n in range(count))
    return Read(partition, began, began + count, placement, messages)


def standing(edition: str = "", topic: str = "T", **positions: int) -> Standing:
    """standing(p0=40): the queue goes on with offset 40 of partition 0."""
    return Standing(topic, edition, 12, {int(name[1:]): at for name, at in positions.items()}, {})


def assigned(*partitions: int, reader: int = 0, topic: str = "T") -> list[Assigned]:
    return [Assigned(frozenset(partitions), reader, topic)]


def placed(*partitions: int) -> tuple[Intake, dict[int, int]]:
    """An intake whose reader follows these partitions, and the number of each one's placing."""
    intake = Intake()
    orders = intake.assign(assigned(*partitions), standing())
    return intake, {order.partition: order.placement for order in orders if isinstance(order, Place)}


def test_a_reader_is_placed_where_the_queue_is() -> None:
    intake = Intake()
    assert intake.assign(assigned(2, 0), standing(p0=40)) == [Place(0, 40, 1), Place(2, None, 2)]
    assert intake.assign(assigned(2), standing(p2=7)) == [Place(2, 7, 3)]


def test_reads_wait_until_they_are_admitted() -> None:
    intake, number = placed(0, 1)
    first, second = read(0, 0, 2, number[0]), read(1, 5, 1, number[1])
    assert intake.add(first) == intake.add(second) == []
    assert intake.pending(500) == [first, second]
    orders = intake.answer([first], (Answer(0, "admitted", 2),))
    assert orders == [Done(2, 0, 2)]
    assert intake.pending(500) == [second]


def test_what_was_read_from_an_old_place_is_dropped() -> None:
    intake, number = placed(0)
    intake.assign(assigned(0), standing(p0=10))
    late = read(0, 0, 3, number[0])
    assert intake.add(late) == [Done(3, 0, None)]
    assert intake.add(read(7, 0, 1, 1)) == [Done(1, 7, None)]  # never placed
    assert intake.pending(500) == []


def test_seek_places_the_reader_anew_and_drops_what_waits() -> None:
    intake, number = placed(0, 1)
    first, second, other = read(0, 0, 2, number[0]), read(0, 2, 2, number[0]), read(1, 0, 1, number[1])
    for each in (first, second, other):
        intake.add(each)
    orders = intake.answer([first], (Answer(0, "seek", 9),))
    assert orders == [Done(2, 0, None), Place(0, 9, 3), Done(2, 0, None)]
    assert intake.pending(500) == [other]
    assert intake.add(read(0, 4, 1, number[0])) == [Done(1, 0, None)]
    assert intake.add(read(0, 9, 1, 3)) == []


def test_two_refused_reads_of_a_partition_place_it_once() -> None:
    intake, number = placed(0)
    reads = [read(0, 0, 2, number[0]), read(0, 2, 2, number[0])]
    for each in reads:
        intake.add(each)
    orders = intake.answer(reads, (Answer(0, "seek", 9), Answer(0, "seek", 9)))
    assert [order for order in orders if isinstance(order, Place)] == [Place(0, 9, 2)]
    assert sum(order.count for order in orders if isinstance(order, Done)) == 4


def test_seek_to_where_the_read_ended_means_that_it_was_admitted_before() -> None:
    """The call was repeated: its first answer was lost."""
    intake, number = placed(0)
    reads = [read(0, 0, 2, number[0]), read(0, 2, 3, number[0])]
    for each in reads:
        intake.add(each)
    orders = intake.answer(reads, (Answer(0, "seek", 2), Answer(0, "seek", 5)))
    assert orders == [Done(2, 0, 2), Done(3, 0, 5)]
    assert intake.pending(500) == []


def test_seek_to_the_beginning() -> None:
    intake, number = placed(0)
    wrong = read(0, 5, 1, number[0])
    intake.add(wrong)
    assert intake.answer([wrong], (Answer(0, "seek", None),)) == [Done(1, 0, None), Place(0, None, 2)]


def test_full_keeps_the_read_for_the_next_take() -> None:
    intake, number = placed(0, 1)
    first, second = read(0, 0, 2, number[0]), read(1, 0, 2, number[1])
    for each in (first, second):
        intake.add(each)
    orders = intake.answer([first, second], (Answer(0, "full", None), Answer(1, "admitted", 2)))
    assert orders == [Done(2, 1, 2)]
    assert intake.pending(500) == [first]


def test_what_comes_in_meanwhile_stays_in_order() -> None:
    intake, number = placed(0)
    reads = [read(0, n, 1, number[0]) for n in range(3)]
    intake.add(reads[0])
    asked = intake.pending(500)
    for late in reads[1:]:
        intake.add(late)
    intake.answer(asked, (Answer(0, "full", 0),))
    assert intake.pending(500) == reads


def test_a_take_carries_a_bounded_number_of_messages() -> None:
    intake, number = placed(0)
    large, small = read(0, 0, 900, number[0]), read(0, 900, 2, number[0])
    for each in (large, small):
        intake.add(each)
    assert intake.pending(500) == [large]  # at least one
    assert intake.pending(902) == [large, small]
    intake.answer([large], (Answer(0, "admitted", 900),))
    assert intake.pending(1) == [small]


def test_it_looks_where_nothing_waits() -> None:
    intake, number = placed(0, 1, 2)
    for each in (read(0, 0, 2, number[0]), read(1, 4, 0, number[1])):
        intake.add(each)
    assert intake.looks() == []  # both wait; of partition 2 nothing was heard
    intake.answer(intake.pending(500), (Answer(0, "admitted", 2), Answer(1, "admitted", 4)))
    looks = intake.looks()
    assert looks == [Read(0, 2, 2, number[0]), Read(1, 4, 4, number[1])]
    orders: list[Order] = intake.answer(looks, (Answer(0, "admitted", 2), Answer(1, "seek", 0)))
    assert orders == [Done(0, 0, 2), Done(0, 1, None), Place(1, 0, 4)]
    assert [each.partition for each in intake.looks()] == [0]


def test_what_is_read_of_another_topic_begins_anew() -> None:
    intake, number = placed(0, 1)
    first, second = read(0, 0, 2, number[0]), read(1, 0, 1, number[1])
    for each in (first, second):
        intake.add(each)
    orders = intake.answer([first], (Answer(0, "moved", None),))
    assert orders == [Done(2, 0, None), Done(1, 1, None), Anew(0)]
    assert (intake.pending(), intake.looks(), intake.has_more) == ([], [], False)
    assert intake.add(read(0, 2, 1, number[0])) == [Done(1, 0, None)]  # it comes late
    assert intake.assign(assigned(0, reader=1, topic="U"), standing("8-3", "U", p0=4)) == [Place(0, 4, 3)]
    assert intake.edition == "8-3"


def test_a_look_that_finds_another_topic_begins_anew() -> None:
    intake, number = placed(0)
    intake.add(read(0, 0, 2, number[0]))
    intake.answer(intake.pending(), (Answer(0, "admitted", 2),))
    assert intake.answer(intake.looks(), (Answer(0, "moved", None),)) == [Anew(0)]


def test_nothing_is_placed_in_another_topic_than_the_queue_reads() -> None:
    intake = Intake()
    assert intake.assign(assigned(0, reader=3), standing(topic="U")) == [Anew(3)]
    assert intake.assign(assigned(0, reader=4), standing(topic="")) == [Place(0, None, 1)]  # nobody has looked yet


def test_a_reader_is_of_one_edition() -> None:
    intake, number = placed(0)
    intake.add(read(0, 0, 2, number[0]))
    assert intake.assign(assigned(1), standing("8-3")) == [Done(2, 0, None), Anew(0)]
    assert intake.assign(assigned(0, 1), standing("8-3", p0=1)) == [Place(0, 1, 2), Place(1, None, 3)]
    assert intake.edition == "8-3"


def test_a_reader_that_took_the_place_of_another_one_is_not_told_to_go() -> None:
    """It found by itself that the topic is another one."""
    intake, number = placed(0)
    intake.add(read(0, 0, 2, number[0]))
    both = [*assigned(0), *assigned(0, 1, reader=1)]
    orders = intake.assign(both[1:], standing("8-3", p0=1))
    assert orders == [Done(2, 0, None), Place(0, 1, 2), Place(1, None, 3)]
    assert intake.assign(both, standing("8-3", p0=1)) == [Place(0, 1, 4), Place(1, None, 5)]


def test_what_an_earlier_reader_was_given_does_not_hide_what_the_newest_one_was() -> None:
    """Both waited for a Redis that did not answer, and meanwhile the queue began to read from elsewhere."""
    intake = Intake()
    intake.assign(assigned(0, reader=1), standing("7-1"))
    waited = [*assigned(0, reader=1), *assigned(0, 1, reader=2)]
    assert intake.assign(waited, standing("8-3", p0=4)) == [Place(0, 4, 2), Place(1, None, 3)]
    assert intake.edition == "8-3"


def test_a_take_carries_a_bounded_number_of_bytes() -> None:
    intake, number = placed(0)
    messages = tuple(Rejected(n, 90_000, b"x" * 90_000, "no") for n in range(20))
    for n in range(0, 20, 2):
        intake.add(Read(0, n, n + 2, number[0], messages[n : n + 2]))
    assert [read.began for read in intake.pending()] == [0, 2, 4, 6]
    assert intake.has_more


def test_a_full_queue_is_not_asked_again_at_once() -> None:
    intake, number = placed(0)
    intake.add(read(0, 0, 1, number[0]))
    assert intake.has_more
    intake.answer(intake.pending(), (Answer(0, "full", 0),))
    assert not intake.has_more
