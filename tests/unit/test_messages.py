"""Messages and JSON: what a client may send, and that nothing that stands in Kafka can stop a reader."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _yadtq.errors import BadArguments
from _yadtq.messages import (
    KEPT_BYTES,
    MESSAGE_LIMIT,
    PART_TASKS,
    Call,
    Foreign,
    Header,
    Ours,
    Rejected,
    Submission,
    decode,
    encode,
    in_parts,
    new_id,
    read_message,
    submission,
    valid_id,
)

HEADER = [("epoch", b"0"), ("generation", b"1"), ("seq", b"7")]
SEED = b'{"task-id": "d5750c0e-ed82", "task": "add", "args": [1, 2]}'
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False, places=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def foreign(value: bytes) -> Submission:
    """The task of a message without header, which must be one."""
    message = read_message(3, None, value, [])
    assert isinstance(message, Foreign), message
    assert (message.offset, message.size) == (3, len(value))
    return message.submission


def rejected(value: bytes | None) -> str:
    """Why a message is rejected."""
    message = read_message(3, b"key", value, [])
    assert isinstance(message, Rejected), message
    assert message.value == (value or b"")
    return message.reason


# -- JSON


@given(JSON)
def test_what_json_holds_comes_back_exactly(value: Any) -> None:
    text = encode(value)
    assert text.isascii()
    assert decode(text) == value
    assert encode(decode(text)) == text  # so that two ways to the same content compare equal as text


@pytest.mark.parametrize(
    "value",
    [
        float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity"), {"x": [float("-inf")]}, {1, 2}, b"text",
        bytearray(b"x"), object(), range(3), {(1, 2): 3}, {b"k": 1}, 10**5000,
    ],
    ids=type,
)  # fmt: skip
def test_what_json_does_not_hold_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        encode([value])


def test_circles_and_depths_are_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (circle, deep):
        with pytest.raises(ValueError, match=r"Circular|nested too deeply"):
            encode(value)
    with pytest.raises(ValueError, match="nested too deeply"):
        decode("[" * 100_000 + "]" * 100_000)


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a":-Infinity}', "", "{", "[1,]", "01", "'a'", "\x00", "1 2"])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the decoder's own words
        decode(text)


def test_numbers_with_a_point_are_exact_unless_floats_are_asked_for() -> None:
    assert decode("[1.10, 1e400]") == [Decimal("1.10"), Decimal("1e400")]
    assert str(decode("1.10")) == "1.10"
    assert decode("1.10", exact=False) == 1.1
    assert encode(Decimal("0.10000000000000000001")) == "0.10000000000000000001"


# -- ids


def test_ids_of_our_own_are_128_random_bits() -> None:
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(each) == 26 and each.isalnum() and each == each.lower() and valid_id(each) for each in ids)


@pytest.mark.parametrize("task_id", ["d5750c0e-ed82", "a b", "任務", "é" * 100, "x" * 200, "{yadtq}:0:all", "@~"])
def test_foreign_ids_are_any_printable_text(task_id: str) -> None:
    assert valid_id(task_id)
    assert submission(Call("add", task_id=task_id), "n").id == task_id


@pytest.mark.parametrize("task_id", [" a", "a ", "a\nb", "\x1b[31m", "é" * 101, "x" * 201, "\ud800", "a\u202eb"])
def test_what_is_no_id_is_refused(task_id: str) -> None:
    with pytest.raises(BadArguments, match="is no task id"):
        submission(Call("add", task_id=task_id), "n")


def test_ids_of_rejected_messages_cannot_be_chosen() -> None:
    with pytest.raises(BadArguments, match="is no task id"):
        submission(Call("add", task_id="rejected-0-1"), "n")
    assert "is no task id" in rejected(b'{"task-id":"rejected-0-1","task":"add","args":[]}')


# -- a client's submissions


def test_a_submission_is_text_that_two_programs_write_alike() -> None:
    made = submission(Call("add", (1, "é"), {"b": 1, "a": Decimal("1.50")}, "id", 2, 1.5), "client#1")
    assert made == Submission("id", "add", '[1,"\\u00e9"]', '{"a":1.50,"b":1}', "2", "1.5", "client#1")
    assert decode(made.value()) == {
        "task-id": "id", "task": "add", "args": [1, "é"], "kwargs": {"a": Decimal("1.50"), "b": 1}, "max-retries": 2,
        "time-limit": Decimal("1.5"),
    }  # fmt: skip
    assert foreign(made.value()) == Submission("id", "add", made.args, made.kwargs, "2", "1.5", "kafka")


def test_options_that_are_not_given_are_not_sent() -> None:
    made = submission(Call("add"), "n")
    assert (made.max_retries, made.time_limit) == ("", "")
    assert made.value() == f'{{"task-id":"{made.id}","task":"add","args":[],"kwargs":{{}}}}'.encode()


@pytest.mark.parametrize(("limit", "text"), [(0, "0"), (5, "5"), (1234567.5, "1234567.5"), (0.1, "0.1")])
def test_a_time_limit_is_written_as_it_is(limit: float, text: str) -> None:
    assert submission(Call("add", time_limit=limit), "n").time_limit == text


@pytest.mark.parametrize("retries", [-1, 1001, 2.5, True, "3"])
def test_a_wrong_number_of_retries_is_refused(retries: Any) -> None:
    """A worker would have to make a number of it, and could not."""
    with pytest.raises(BadArguments, match="max_retries"):
        submission(Call("add", max_retries=retries), "n")


@pytest.mark.parametrize("limit", [-1, float("nan"), float("inf"), 1e8, True, "3"])
def test_a_wrong_time_limit_is_refused(limit: Any) -> None:
    with pytest.raises(BadArguments, match="time_limit"):
        submission(Call("add", time_limit=limit), "n")


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[2J", "x" * 201])
def test_a_wrong_name_is_refused(name: str) -> None:
    with pytest.raises(BadArguments, match="is no name of a task"):
        submission(Call(name), "n")


@pytest.mark.parametrize("args", [(float("nan"),), (b"x",), ({1, 2},), (object(),)])
def test_wrong_arguments_are_refused_with_the_tasks_name(args: tuple[Any, ...]) -> None:
    with pytest.raises(BadArguments, match="add: the arguments cannot be written as JSON"):
        submission(Call("add", args), "n")


def test_the_limit_is_exactly_a_million_bytes() -> None:
    empty = len(submission(Call("add", ("",), task_id="id"), "n").value())
    fits = submission(Call("add", ("x" * (MESSAGE_LIMIT - empty),), task_id="id"), "n")
    assert len(fits.value()) == MESSAGE_LIMIT
    with pytest.raises(BadArguments, match="1,000,001 bytes"):
        submission(Call("add", ("x" * (MESSAGE_LIMIT - empty + 1),), task_id="id"), "n").value()


def test_parts_are_bounded_and_keep_the_order() -> None:
    def sized(number: int, size: int) -> tuple[Submission, bytes]:
        return submission(Call("add", task_id=str(number)), "n"), b"x" * size

    many = [sized(n, 10) for n in range(PART_TASKS * 2 + 1)]
    assert [len(part) for part in in_parts(many)] == [PART_TASKS, PART_TASKS, 1]
    large = [sized(n, 600_000) for n in range(3)]
    assert [len(part) for part in in_parts(large)] == [1, 1, 1]
    assert [each for part in in_parts(many) for each in part] == many
    assert in_parts([]) == []


# -- what stands in Kafka


def test_the_seeds_message_is_a_task() -> None:
    assert foreign(SEED) == Submission("d5750c0e-ed82", "add", "[1,2]", "{}", "", "", "kafka")


def test_other_fields_are_ignored_and_options_are_read() -> None:
    found = foreign(
        b'{"task-id":"a","task":"add","args":[],"kwargs":null,"max-retries":0,"time-limit":2.5,"status":"queued"}'
    )
    assert (found.max_retries, found.time_limit, found.kwargs) == ("0", "2.5", "{}")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "not JSON"),
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"{", "not JSON"),
        (b'{"task-id":"a","task":"add","args":[NaN]}', "NaN"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b"[1]", "not an object, but list"),
        (b"null", "not an object, but NoneType"),
        (b'"x"', "not an object"),
        (b'{"task":"add","args":[]}', "the field task-id is missing"),
        (b'{"task-id":"a","args":[]}', "the field task is missing"),
        (b'{"task-id":"a","task":"add"}', "the field args is missing"),
        (b'{"task-id":1,"task":"add","args":[]}', "the field task-id is not a text"),
        (b'{"task-id":"a","task":["add"],"args":[]}', "the field task is not a text"),
        (b'{"task-id":"a","task":"add","args":{}}', "the field args is not a list"),
        (b'{"task-id":"a","task":"add","args":[],"kwargs":[]}', "the field kwargs is not an object"),
        (b'{"task-id":"a\\n","task":"add","args":[]}', "the field task-id is not 1 to 200 bytes"),
        (b'{"task-id":"","task":"add","args":[]}', "the field task-id is not 1 to 200 bytes"),
        (b'{"task-id":"\\ud800","task":"add","args":[]}', "the field task-id is not 1 to 200 bytes"),
        (b'{"task-id":"a","task":"\\u001b","args":[]}', "is no name of a task"),
        (b'{"task-id":"a","task":"add","args":[],"max-retries":-1}', "the field max-retries"),
        (b'{"task-id":"a","task":"add","args":[],"max-retries":true}', "the field max-retries"),
        (b'{"task-id":"a","task":"add","args":[],"time-limit":"5"}', "the field time-limit"),
        (b'{"task-id":"a","task":"add","args":[],"time-limit":1e999999999}', "the field time-limit"),
        (b'{"task-id":"a","task":"add","args":["' + b"x" * MESSAGE_LIMIT + b'"]}', "bytes, more than 1,000,000"),
        (b'{"task-id":"a","task":"add","args":[' + b"9" * 5000 + b"]}", "not JSON"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_no_task_is_rejected_with_a_reason(value: bytes | None, reason: str) -> None:
    assert reason in rejected(value)


@given(st.binary(max_size=80) | JSON.map(lambda value: encode(value).encode()), st.binary(max_size=20) | st.none())
def test_reading_never_raises(value: bytes, key: bytes | None) -> None:
    for headers in ([], HEADER, [("epoch", value)]):
        message = read_message(1, key, value, headers)
        assert all(isinstance(each, (str, int)) for each in message.arguments())


def test_our_header_makes_a_message_ours() -> None:
    assert read_message(5, b"a", SEED, HEADER) == Ours(5, len(SEED), "a", Header("0", "1", "7"), SEED)
    garbage = b"garbage"  # its record has it all
    assert read_message(5, b"a", garbage, HEADER) == Ours(5, 7, "a", Header("0", "1", "7"), garbage)
    assert read_message(5, None, SEED, HEADER) == Ours(5, len(SEED), "d5750c0e-ed82", Header("0", "1", "7"), SEED)
    assert Header.read(Header("0", "1", "7").pairs()) == Header("0", "1", "7")


@pytest.mark.parametrize(
    "headers",
    [
        HEADER[:2],
        [*HEADER[:2], ("seq", b"x")],
        [*HEADER[:2], ("seq", b"")],
        [*HEADER[:2], ("seq", None)],
        [*HEADER[:2], ("seq", b"-1")],
        [*HEADER[:2], ("seq", b"9" * 30)],
        [("trace", b"0")],
    ],
)
def test_headers_of_others_make_nothing_ours(headers: list[tuple[str, bytes]]) -> None:
    assert isinstance(read_message(5, b"a", SEED, headers), Foreign)


def test_a_rejected_message_keeps_a_bounded_number_of_bytes() -> None:
    large = Rejected(0, 10**6, b"x" * 10**6, "too large")
    assert len(str(large.arguments()[3])) < KEPT_BYTES * 1.4


@pytest.mark.parametrize("number", ["1e99999999999999999999", "1e-99999999999999999999", "-1E+99999999999999999999"])
def test_a_number_that_no_decimal_holds_is_rejected(number: str) -> None:
    value = f'{{"task-id":"bad","task":"add","args":[{number},2]}}'.encode()
    message = read_message(0, None, value, [])
    assert isinstance(message, Rejected)
    assert "a number is too large or too small" in message.reason
