"""Operands are checked against the signatures that workers publish."""

from decimal import Decimal

import pytest

from shell.operands import bound, next_parameter, usage
from shell.parsing import BadInput, tokens_of_line
from tests.support.memory_client import signature
from yadtq import Parameter, Signature

DIV = signature("div", "a: int | float", "b: Decimal")
ADD = signature("add", "*numbers: Number | list[Number]")
GREET = signature("greet", "name: str", "greeting?: str", "=loud?: bool")
OPEN = Signature("open", (Parameter("data", "positional", True, ""), Parameter("more", "keywords", True, "")), "")


def call(known: Signature, line: str) -> tuple[tuple[object, ...], dict[str, object]]:
    operands = bound(known, tokens_of_line(line)[1:], line)
    return operands.args, operands.kwargs


def test_the_call_is_shown_in_one_line() -> None:
    assert usage(GREET) == "greet <name> [greeting] [loud=…]"
    assert usage(ADD) == "add [numbers…]"
    assert usage(OPEN) == "open <data> [more: name=value…]"


def test_names_from_outside_are_shown_harmless() -> None:
    assert usage(signature("e\x1bvil", "\x1b[31m")) == r"e\x1bvil <\x1b[31m>"


@pytest.mark.parametrize(
    ("known", "line", "args", "kwargs"),
    [
        (DIV, "div 6 3.0", (6, Decimal("3.0")), {}),
        (DIV, "div 6 b=3", (6,), {"b": 3}),
        (ADD, "add", (), {}),
        (ADD, "add 1 2 3.5", (1, 2, Decimal("3.5")), {}),
        (ADD, "add [1,2]", ([1, 2],), {}),
        (GREET, "greet 123", ("123",), {}),
        (GREET, "greet true hi loud=true", ("true", "hi"), {"loud": True}),
        (OPEN, "open null x=1 y=[2]", (None,), {"x": 1, "y": [2]}),
        (OPEN, "open 123", (123,), {}),
    ],
)
def test_what_fits_is_bound(known: Signature, line: str, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    assert call(known, line) == (args, kwargs)


@pytest.mark.parametrize(
    ("known", "line", "message", "column"),
    [
        (DIV, "div", "a, b are missing: div <a> <b>", 3),
        (DIV, "div 1", "b is missing: div <a> <b>", 5),
        (DIV, "div 1 2 3", "it takes at most 2 operands: div <a> <b>", 8),
        (DIV, "div 1 x", "operand 2 of div must be a number, not the text 'x'", 6),
        (DIV, "div 1 true", "must be a number, not true", 6),
        (DIV, "div 1 null", "must be a number, not null", 6),
        (DIV, "div 1 a=2", "a is given twice", 6),
        (DIV, "div 1 c=2", "div has no parameter c", 6),
        (DIV, "div b=1 2", "cannot follow a named one", 8),
        (ADD, "add 1 {}", "operand 2 of add must be a number or a list, not an object", 6),
        (GREET, "greet [1]", "must be text, not a list", 6),
        (GREET, "greet x loud=1", "loud of greet must be true or false, not 1", 8),
        (signature("none"), "none 1", "it takes no operands: none", 5),
        (signature("key", "=a"), "key", "a is missing: key a=…", 3),
        (signature("whole", "n: int"), "whole 1.0", "must be a whole number, not 1.0", 6),
    ],
)
def test_what_does_not_fit_is_pointed_at(known: Signature, line: str, message: str, column: int) -> None:
    with pytest.raises(BadInput) as caught:
        call(known, line)
    assert message in caught.value.message
    assert caught.value.column == column


@pytest.mark.parametrize("annotation", ["", "Any", "MyType", "int | MyType", "collections.abc.Iterable[int]"])
def test_what_an_annotation_means_is_not_guessed(annotation: str) -> None:
    anything = Signature("f", (Parameter("x", "positional", True, annotation),), "")
    assert call(anything, "f [1]") == (([1],), {})
    assert call(anything, "f word") == (("word",), {})


def test_the_next_operand_is_known_by_its_parameter() -> None:
    def after(line: str) -> str:
        parameter = next_parameter(GREET, tokens_of_line(line)[1:])
        return parameter.name if parameter else ""

    assert [after("greet"), after("greet a loud=true"), after("greet a b")] == ["name", "greeting", ""]
