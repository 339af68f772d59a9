"""One call of a handler, without processes: arguments are checked, results encoded, errors told."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from _yadtq.calls import MESSAGE_CHARACTERS, TRACEBACK_CHARACTERS, Callee, ExactJson, PlainJson, Result
from tests.support import pool_tasks


def call(function: Callable[..., Any], args: str = "[]", kwargs: str = "{}", exact: bool = False) -> Result:
    return Callee(function.__name__, function, ExactJson() if exact else PlainJson()).call(args, kwargs)


def failure(function: Callable[..., Any], args: str = "[]", kwargs: str = "{}") -> tuple[str, str, bool]:
    result = call(function, args, kwargs)
    assert result.text is None
    assert result.failure is not None
    return result.failure.type, result.failure.message, result.retryable


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ("[1, 2]", "{}", "3"),
        ("[1]", "", "1"),
        ("[1]", '{"b": 2, "c": 3}', "6"),
        ("[0.1, 0.2]", "{}", "0.30000000000000004"),
        ("[123456789012345678901234567890, 1]", "{}", "123456789012345678901234567891"),
        ('["ä", "ö"]', '{"c": "ü"}', '"äöü"'),
    ],
)
def test_arguments_are_json(args: str, kwargs: str, text: str) -> None:
    assert call(pool_tasks.add, args, kwargs) == Result(text)


@pytest.mark.parametrize(
    ("args", "kwargs", "part"),
    [
        ("[]", "{}", "missing a required argument: 'a'"),
        ("[1, 2, 3]", "{}", "too many positional arguments"),
        ("[1]", '{"x": 1}', "unexpected keyword argument 'x'"),
        ("[1]", '{"a": 1}', "multiple values for argument 'a'"),
        ("[1", "{}", "delimiter"),
        ('{"a": 1}', "{}", "no list of arguments"),
        ("[NaN]", "{}", "NaN is not JSON"),
        ("[" * 100_000 + "]" * 100_000, "{}", "recursion"),
    ],
)
def test_wrong_arguments_are_told_and_not_retried(args: str, kwargs: str, part: str) -> None:
    kind, message, retryable = failure(pool_tasks.add, args, kwargs)
    assert kind == "BadArguments"
    assert part in message
    assert not retryable


def test_wrong_arguments_name_the_signature() -> None:
    assert "add(a: Any, b: Any = 0, *, c: Any = 0) -> Any: " in failure(pool_tasks.add)[1]


def test_a_required_keyword_is_asked_for() -> None:
    def keyword(a: int, *, b: int) -> int:
        return a + b

    assert failure(keyword, "[1]")[0] == "BadArguments"
    assert call(keyword, "[1]", '{"b": 2}').text == "3"


def test_functions_that_do_not_tell_their_signature_work() -> None:
    assert call(max, "[1, 3, 2]").text == "3"


@pytest.mark.parametrize(
    ("function", "kind", "retryable"),
    [
        (pool_tasks.system_exit, "SystemExit", True),
        (pool_tasks.interrupt, "KeyboardInterrupt", True),
        (pool_tasks.recurse, "RecursionError", True),
        (pool_tasks.exhaust, "MemoryError", True),
        (pool_tasks.fail_unreadably, "UnreadableError", True),
        (pool_tasks.nan, "ResultNotJson", False),
        (pool_tasks.unencodable, "ResultNotJson", False),
    ],
)
def test_whatever_a_handler_raises_or_returns_is_an_outcome(
    function: Callable[..., Any], kind: str, retryable: bool
) -> None:
    found, message, may_retry = failure(function)
    assert (found, may_retry) == (kind, retryable)
    assert message or kind in ("KeyboardInterrupt", "MemoryError")


@pytest.mark.parametrize("args", ["[1, 0]", "[1.0, 0]", "[1, 0.0]"])
def test_division_by_zero_is_readable_and_not_retried(args: str) -> None:
    assert failure(pool_tasks.divide, args) == ("ZeroDivisionError", "division by zero", False)


def test_division_by_zero_of_exact_numbers_too() -> None:
    result = call(pool_tasks.divide, "[1.5, 0]", exact=True)
    assert result.failure is not None
    assert (result.failure.type, result.failure.message) == ("ZeroDivisionError", "division by zero")


def test_a_traceback_begins_with_the_handlers_own_frame() -> None:
    result = call(pool_tasks.fail, '["broken"]')
    assert result.failure is not None
    lines = result.failure.traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "in fail" in lines[1]
    assert "calls.py" not in result.failure.traceback
    assert lines[-1] == "ValueError: broken"


def test_long_messages_and_tracebacks_are_cut() -> None:
    result = call(pool_tasks.fail, json.dumps(["x" * 100_000]))
    assert result.failure is not None
    assert len(result.failure.message) == MESSAGE_CHARACTERS
    assert len(result.failure.traceback) == TRACEBACK_CHARACTERS


def test_coroutines_are_run() -> None:
    assert call(pool_tasks.later, "[[1, 2]]").text == "[1,2]"


def test_exact_numbers_stay_exact() -> None:
    assert call(pool_tasks.exact_product, "[0.1, 3]", exact=True).text == "0.3"
    number = "1234567890.123456789012345678"
    assert call(pool_tasks.echo, f"[{number}]", exact=True).text == number
    assert call(pool_tasks.echo, f"[{number}]").text != number


def test_an_exact_nan_is_no_result() -> None:
    result = call(pool_tasks.exact_nan, exact=True)
    assert result.failure is not None
    assert result.failure.type == "ResultNotJson"
    assert call(pool_tasks.echo, '["NaN"]', exact=True).text == '"NaN"'


def test_decimal_is_no_result_of_a_handler_that_is_not_exact() -> None:
    def decimal() -> Decimal:
        return Decimal("1.5")

    assert failure(decimal)[0] == "ResultNotJson"


@pytest.mark.parametrize("exact", [False, True])
def test_half_a_character_pair_can_be_sent(exact: bool) -> None:
    text = call(pool_tasks.surrogate, exact=exact).text
    assert text is not None
    assert text.encode()
    assert json.loads(text) == pool_tasks.surrogate()
