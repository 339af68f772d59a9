"""A line becomes tokens, and what is wrong with it is found at its column."""

import json
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shell.numbers import DIGITS, BadNumber, number
from shell.operands import value_of
from shell.parsing import BadInput, Form, json_value, tokens_of_arguments, tokens_of_line


def values(line: str) -> list[object]:
    """The JSON values of the words after the first."""
    return [value_of(token, None, line, "operand") for token in tokens_of_line(line)[1:]]


def wrong(line: str) -> tuple[str, int | None]:
    """Why a line is refused, and at which column."""
    with pytest.raises(BadInput) as caught:
        values(line)
    assert caught.value.line == line
    return caught.value.message, caught.value.column


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("2", 2),
        ("-12", -12),
        ("+7", 7),
        ("100000000000000000000000000001", 100000000000000000000000000001),
        ("2.50", Decimal("2.50")),
        (".5", Decimal("0.5")),
        ("1e-3", Decimal("0.001")),
        ("0.1", Decimal("0.1")),
        ("true", True),
        ("null", None),
        ("word", "word"),
        ("it's", "it's"),
        ("007", "007"),
        ("1_000", "1_000"),
        ('"two words"', "two words"),
        (r'"a\n\"\u00e9"', 'a\n"é'),
        (r"'C:\temp'", r"C:\temp"),
        ('"5"', "5"),
        ('""', ""),
        ("[1, 2.50, [true]]", [1, Decimal("2.50"), [True]]),
        ('{"a": 1}', {"a": 1}),
        ("x=5", 5),
        ('x="a b"', "a b"),
        ("²", "²"),
    ],
)
def test_operands_are_json_values_exactly(typed: str, expected: object) -> None:
    [value] = values(f"task {typed}")
    assert value == expected
    assert type(value) is type(expected)


def test_numbers_with_a_point_keep_their_digits() -> None:
    [value] = values("task 2.500")
    assert str(value) == "2.500"


def test_a_token_knows_its_columns_and_its_name() -> None:
    first, second, third = tokens_of_line('  compress  text="a b" 5')
    assert (first.text, first.start, first.form) == ("compress", 2, Form.BARE)
    assert (second.name, second.text, second.start, second.value_start) == ("text", "a b", 12, 17)
    assert third.start == 23


@pytest.mark.parametrize(
    ("line", "message", "column"),
    [
        ('compress "open', "never closed", 9),
        ("compress 'open", "never closed", 9),
        ("add 1 NaN", "NaN is not a number that JSON can hold", 6),
        ("add -Infinity", "-Infinity is not a number", 4),
        ("add [1, NaN]", "NaN is not a number", 4),
        ("add [1, 2", "not JSON", 9),
        ("add [1 2]", "not JSON", 7),
        ("add {a: 1}", "not JSON", 5),
        ("add x=", "a value is missing after x=", 6),
        ('add "1"2', "a space is missing here", 7),
        (r'compress "\d"', "unknown escape", 10),
        ("compress a\udcff", "not valid Unicode", 10),
        ("add 1e999999999", "exponent", 4),
        ("add 1e99999999999999999999999", "exponent", 4),
        (f"add {'9' * (DIGITS + 2)}", "more than 4,000 digits", 4),
        (f"add {'[' * 100_000}", "nested too deeply", 4),
    ],
)
def test_what_is_wrong_is_pointed_at(line: str, message: str, column: int) -> None:
    said, where = wrong(line)
    assert message in said
    assert where == column


def test_a_number_of_many_digits_is_exact() -> None:
    digits = "7" * DIGITS
    assert values(f"mul {digits} 1") == [int(digits), 1]


@pytest.mark.parametrize("word", ["nan", "NAN", "inf", "-inf", "+Infinity"])
def test_no_word_for_infinity_slips_through_as_text(word: str) -> None:
    with pytest.raises(BadNumber, match="as text"):
        number(word)


def test_arguments_of_a_program_keep_their_spaces() -> None:
    line, tokens = tokens_of_arguments(["compress", "some text", "[1, 2]", 'x="5"', "", "5"])
    assert [t.text for t in tokens] == ["compress", "some text", "[1, 2]", "5", "", "5"]
    assert [value_of(t, None, line, "operand") for t in tokens[1:]] == ["some text", [1, 2], "5", "", 5]
    assert [line[t.start] for t in tokens[:2]] == ["c", "'"]


@pytest.mark.parametrize(("argument", "column"), [("[1,", 8), ("x=[1,", 10)])
def test_json_in_an_argument_is_pointed_at(argument: str, column: int) -> None:
    with pytest.raises(BadInput, match="not JSON") as caught:
        tokens_of_arguments(["add", argument])
    assert caught.value.column == column


@pytest.mark.parametrize(("text", "message"), [("[1] 2", "after the end"), ("", "not JSON"), ("[NaN]", "NaN")])
def test_json_alone(text: str, message: str) -> None:
    assert json_value(' {"a": [1.0]} ') == {"a": [Decimal("1.0")]}
    with pytest.raises(BadInput, match=message):
        json_value(text)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(JSON_VALUES)
def test_every_json_value_comes_through_as_it_is_written(value: object) -> None:
    assert values(f"task {json.dumps(value)}") == [value]
    assert values(f"task {json.dumps([value], ensure_ascii=False)} 1") == [[value], 1]


def column_of_trouble(parse: Callable[[], object]) -> tuple[int | None, str]:
    """The column at which a line is refused, and the line; 0 when it is not."""
    try:
        parse()
    except BadInput as error:
        return error.column, error.line
    return 0, ""


@given(st.text())
def test_no_line_breaks_the_parser(line: str) -> None:
    column, _ = column_of_trouble(lambda: tokens_of_line(line))
    assert column is not None
    assert 0 <= column <= len(line)


@given(st.lists(st.text()))
def test_no_argument_breaks_the_parser(arguments: list[str]) -> None:
    column, line = column_of_trouble(lambda: tokens_of_arguments(arguments))
    assert column is not None
    assert 0 <= column <= len(line)
