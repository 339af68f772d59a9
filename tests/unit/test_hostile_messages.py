"""Messages of a producer who means harm: each is a task, ours, or rejected; of bounded size, and only data."""

import json
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from _yadtq.messages import (
    ID_LIMIT,
    KEPT_BYTES,
    MESSAGE_LIMIT,
    NAME_LIMIT,
    RETRIES_LIMIT,
    TIME_LIMIT_LIMIT,
    Foreign,
    Message,
    Ours,
    Rejected,
    decode,
    encode,
    read_message,
)
from _yadtq.records import task_of
from tests.support.hostile import HUGE, bounded, messages, texts, values

REASON = 500  # characters
GROWTH = 3  # most that a byte of UTF-8 becomes as ASCII: é → \u00e9
MEMORY = 60  # bytes for each of a message while it is read: an object of Python is larger than its text
headers = st.lists(
    st.tuples(
        st.sampled_from(("epoch", "generation", "seq", "seq", "other")) | texts,
        st.none() | st.binary(max_size=40) | st.sampled_from((b"0", b"1", b"7" * 5_000, b"\xd9\xa1", b"-1", b"1e3")),
    ),
    max_size=5,
)
keys = st.none() | st.binary(max_size=300) | texts.map(lambda text: text.encode("utf-8", "surrogatepass"))


@bounded
@given(keys, st.none() | messages(), headers)
@example(b"k" * 200, b"", [("epoch", b"0"), ("generation", b"1"), ("seq", b"2")])
@example(b"\xff", b"{}", [("epoch", b"0"), ("generation", b"1"), ("seq", b"2")])
def test_whatever_comes_is_one_of_three(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    message = read_message(5, key, value, headers)
    size = len(value or b"")
    assert (message.offset, message.size) == (5, size)
    for part in message.arguments():
        str(part).encode()  # Redis can be sent it
    assert_bounded(message)


def assert_bounded(message: Message) -> None:
    """What it costs a take is no more than a multiple of it, and what it says that it is."""
    carried = sum(len(str(part)) for part in message.arguments())
    match message:
        case Ours():
            assert carried < ID_LIMIT + 100
        case Rejected():
            assert message.reason
            assert len(message.reason) <= REASON
            assert carried <= min(message.size, KEPT_BYTES) * 4 // 3 + REASON + 50
        case Foreign():
            assert message.size <= MESSAGE_LIMIT
            assert carried <= GROWTH * message.size + 100
            assert carried <= message.weight + ID_LIMIT + NAME_LIMIT


@bounded
@given(messages())
def test_a_task_is_what_was_sent_and_nothing_else(value: bytes) -> None:
    message = read_message(0, None, value, [])
    if not isinstance(message, Foreign):
        return
    sent, task = decode(value), message.submission
    assert (task.id, task.task) == (sent["task-id"], sent["task"])
    assert decode(task.args) == sent["args"]
    assert decode(task.kwargs) == (sent.get("kwargs") or {})
    assert task.id.isprintable()
    assert task.task.isprintable()
    assert 0 <= int(task.max_retries or 0) <= RETRIES_LIMIT
    assert 0 <= float(task.time_limit or 0) <= TIME_LIMIT_LIMIT
    assert (task.args + task.kwargs).isascii()
    read = task_of(task.id, {"status": "queued", "task": task.task, "args": task.args, "kwargs": task.kwargs})
    assert (read.args, read.kwargs) == (decode(task.args), decode(task.kwargs))


@bounded
@given(values)
def test_json_is_read_as_data_or_refused(value: object) -> None:
    """Of what comes out no type is other than JSON's, whatever the names of fields are."""
    try:
        read = decode(json.dumps(value))
    except ValueError:
        return
    assert decode(encode(read)) == read
    waiting = [read]
    while waiting:
        each = waiting.pop()
        assert type(each).__name__ in ("NoneType", "bool", "int", "Decimal", "str", "list", "dict")
        waiting += [*each, *each.values()] if isinstance(each, dict) else each if isinstance(each, list) else []


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE)
def test_a_huge_message_is_read_in_no_more_memory_than_a_multiple_of_it(text: str) -> None:
    value = f'{{"task-id":"a1","task":"add","args":[{text}]}}'.encode()
    tracemalloc.start()
    try:
        message = read_message(0, None, value, [])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert_bounded(message)
    assert most <= MEMORY * len(value)
