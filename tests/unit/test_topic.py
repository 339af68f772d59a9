"""The topic as Kafka has it, beside what the queue has read: what is to change, and what a person is told."""

import pytest

from _yadtq.topic import Change, Repositioning, Standing, Topic, compare

STANDING = Standing("A", "", 2, {0: 10, 1: 20}, {0: 4})
TOPIC = Topic("q_tasks", "A", {0: 0, 1: 0}, {0: 10, 1: 25})


def with_ends(*ends: int) -> Topic:
    return Topic("q_tasks", "A", dict.fromkeys(range(len(ends)), 0), dict(enumerate(ends)))


def found(standing: Standing, topic: Topic) -> Repositioning:
    change = compare(standing, topic)
    assert change is not None
    return change


def test_nothing_is_to_do_when_the_queue_is_within_the_log() -> None:
    assert compare(STANDING, TOPIC) is None
    assert compare(STANDING, with_ends(10, 20)) is None
    assert compare(Standing("A", "", 2, {}, {}), TOPIC) is None  # nothing was read yet


def test_another_topic_is_read_from_its_start() -> None:
    change = found(STANDING, Topic("q_tasks", "B", {0: 0, 1: 3, 2: 0}, {0: 50, 1: 50, 2: 0}))
    assert change.changes == (
        Change("position", 0, 10, 0),
        Change("position", 1, 20, 3),
        Change("position", 2, None, 0),
    )
    assert not change.is_certain
    assert change.line == (
        "q_tasks was deleted or made anew: it is read from its start; registered tasks whose message is gone are "
        "published again"
    )


def test_a_cut_head_is_passed_over() -> None:
    change = found(STANDING, Topic("q_tasks", "A", {0: 12, 1: 20}, {0: 14, 1: 20}))
    assert change.changes == (Change("position", 0, 10, 12),)
    assert not change.is_certain
    assert change.line == (
        "q_tasks was cut: partition 0 begins at offset 12, and 10 was next. It is read from there; registered tasks "
        "whose message is gone are published again"
    )


def test_a_cut_tail_lowers_position_and_floor() -> None:
    change = found(STANDING, with_ends(3, 20))
    assert change.changes == (Change("position", 0, 10, 3), Change("floor", 0, 4, 3))
    assert "partition 0 ends at offset 3, and 10 was next" in change.line


def test_a_floor_alone_is_lowered_without_a_word() -> None:
    change = found(Standing("A", "", 2, {0: 2}, {0: 9}), with_ends(5, 0))
    assert (change.changes, change.line) == ((Change("floor", 0, 9, 5),), "")


def test_a_line_names_a_few_partitions() -> None:
    standing = Standing("A", "", 12, dict.fromkeys(range(12), 9), {})
    line = found(standing, with_ends(*[0] * 12)).line
    assert line.count("ends at offset 0") == 3
    assert "and 9 more. It is read" in line


def test_more_partitions_are_read_from_their_start() -> None:
    change = found(STANDING, Topic("q_tasks", "A", {0: 0, 1: 0, 2: 0, 3: 7}, {0: 10, 1: 20, 2: 0, 3: 9}))
    assert change.changes == (Change("position", 2, None, 0), Change("position", 3, None, 7))
    assert change.is_certain
    assert change.line == "q_tasks has 4 partitions now, and had 2: the new ones are read from their start"


def test_the_first_look_only_notes_what_there_is() -> None:
    change = found(Standing("", "", 0, {0: 10}, {}), TOPIC)
    assert (change.changes, change.line, change.is_certain) == ((), "", True)


@pytest.mark.parametrize("topic_id", ["", "A"])
def test_a_broker_that_gives_no_id_is_no_other_topic(topic_id: str) -> None:
    assert compare(Standing(topic_id, "", 2, {0: 10}, {}), Topic("q_tasks", "", {0: 0, 1: 0}, {0: 10, 1: 0})) is None


def test_fewer_partitions_under_the_same_id_are_an_old_answer() -> None:
    assert compare(STANDING, Topic("q_tasks", "A", {0: 0}, {0: 10})) is None


def test_two_looks_suspect_the_same_while_the_log_grows() -> None:
    first, second = found(STANDING, with_ends(3, 20)), found(STANDING, with_ends(5, 21))
    assert first.suspicion == second.suspicion
    moved = Standing("A", "", 2, {0: 11, 1: 20}, {0: 4})
    assert found(moved, with_ends(3, 20)).suspicion != first.suspicion
