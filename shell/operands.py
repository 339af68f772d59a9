"""Operands of a task, checked against the signature that the workers publish for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from shell.numbers import BadNumber, number
from shell.parsing import BadInput, Form, Token, quoted
from yadtq import Parameter, Signature, visible

CONSTANTS = {"true": True, "false": False, "null": None}
NUMBERS = frozenset({"whole number", "number"})
# What a handler's annotation lets in; a word that is not here lets everything in.
ACCEPTS = {
    "int": frozenset({"whole number"}),
    "float": NUMBERS,
    "Decimal": NUMBERS,
    "Number": NUMBERS,
    "str": frozenset({"text"}),
    "bool": frozenset({"true or false"}),
    "list": frozenset({"list"}),
    "tuple": frozenset({"list"}),
    "Sequence": frozenset({"list"}),
    "dict": frozenset({"object"}),
    "Mapping": frozenset({"object"}),
    "None": frozenset({"null"}),
}
KINDS = {bool: "true or false", int: "whole number", Decimal: "number", str: "text", list: "list", dict: "object"}
ORDER = ("number", "whole number", "text", "true or false", "list", "object", "null")


@dataclass(frozen=True, slots=True)
class Operands:
    """What a task is called with, as JSON values."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def usage(signature: Signature) -> str:
    """The call in one line: `add <a> [b] [more…] [name=…]`."""
    return " ".join([visible(signature.name), *(_usage(parameter) for parameter in signature.parameters)])


def bound(signature: Signature, tokens: Sequence[Token], line: str, complete: bool = True) -> Operands:
    """The operands that the tokens are. complete: none may be missing any more.

    Raises BadInput: too few, too many, unknown name, wrong kind.
    """
    positional = [p for p in signature.parameters if p.kind == "positional"]
    variadic = next((p for p in signature.parameters if p.kind == "variadic"), None)
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for token in tokens:
        if token.name:
            parameter = _named(signature, token, {p.name for p in positional[: len(args)]} | kwargs.keys(), line)
            kwargs[token.name] = value_of(token, parameter, line, f"{token.name} of {signature.name}")
            continue
        next_one = positional[len(args)] if len(args) < len(positional) else variadic
        if next_one is None:
            raise BadInput(_count(signature, _at_most(len(args))), line, token.start)
        if kwargs:
            raise BadInput("an operand without a name cannot follow a named one", line, token.start)
        args.append(value_of(token, next_one, line, f"operand {len(args) + 1} of {signature.name}"))
    left = positional[len(args) :]
    if not complete:
        return Operands(tuple(args), kwargs)
    _refuse_missing(signature, left, kwargs, line)
    return Operands(tuple(args), kwargs)


def next_parameter(signature: Signature, tokens: Sequence[Token]) -> Parameter | None:
    """The parameter that the next operand without a name would be; None: it would be one too many."""
    count = sum(not token.name for token in tokens)
    positional = [p for p in signature.parameters if p.kind == "positional"]
    variadic = next((p for p in signature.parameters if p.kind == "variadic"), None)
    return positional[count] if count < len(positional) else variadic


def value_of(token: Token, parameter: Parameter | None, line: str, label: str) -> object:
    """The JSON value of one token; a bare word is text where a parameter takes nothing else."""
    accepted = _accepted(parameter.annotation) if parameter else None
    if token.form is Form.BARE and accepted == ACCEPTS["str"]:
        return token.text
    try:
        value = _value(token)
    except BadNumber as error:
        raise BadInput(str(error), line, token.value_start) from None
    found = KINDS.get(type(value), "null")
    if accepted is not None and found not in accepted:
        raise BadInput(f"{visible(label)} must be {_wanted(accepted)}, not {_shown(found, token)}", line, token.start)
    return value


def _value(token: Token) -> object:
    if token.form is Form.QUOTED:
        return token.text
    if token.form is Form.JSON:
        return token.value
    if token.text in CONSTANTS:
        return CONSTANTS[token.text]
    found = number(token.text)
    return token.text if found is None else found


def _named(signature: Signature, token: Token, given: set[str], line: str) -> Parameter:
    if token.name in given:
        raise BadInput(f"{token.name} is given twice", line, token.start)
    for parameter in signature.parameters:
        if parameter.name == token.name and parameter.kind in ("positional", "keyword"):
            return parameter
    more = next((p for p in signature.parameters if p.kind == "keywords"), None)
    if more is not None:
        return more
    message = f"{visible(signature.name)} has no parameter {token.name} (as text, put it in quotes): {usage(signature)}"
    raise BadInput(message, line, token.start)


def _refuse_missing(signature: Signature, left: list[Parameter], kwargs: dict[str, Any], line: str) -> None:
    keywords = [p for p in signature.parameters if p.kind == "keyword"]
    missing = [p.name for p in (*left, *keywords) if p.required and p.name not in kwargs]
    if missing:
        names = visible(", ".join(missing))
        raise BadInput(_count(signature, f"{names} {'is' if len(missing) == 1 else 'are'} missing"), line, len(line))


def _accepted(annotation: str) -> frozenset[str] | None:
    """The kinds of JSON value that an annotation lets in; None: any, also for annotations that are not understood."""
    accepted: frozenset[str] = frozenset()
    for part in _union(annotation):
        kinds = ACCEPTS.get(part.split("[")[0].rpartition(".")[2].strip())
        if kinds is None:
            return None
        accepted |= kinds
    return accepted


def _union(annotation: str) -> list[str]:
    """The members of `int | list[int | str]`, split at the outer bars only."""
    parts, depth = [""], 0
    for char in annotation:
        depth += (char == "[") - (char == "]")
        if char == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts]


def _usage(parameter: Parameter) -> str:
    name = visible(parameter.name)
    if parameter.kind == "variadic":
        return f"[{name}…]"
    if parameter.kind == "keywords":
        return f"[{name}: name=value…]"
    if parameter.kind == "keyword":
        return f"{name}=…" if parameter.required else f"[{name}=…]"
    return f"<{name}>" if parameter.required else f"[{name}]"


def _count(signature: Signature, complaint: str) -> str:
    return f"{complaint}: {usage(signature)}"


def _at_most(count: int) -> str:
    return "it takes no operands" if count == 0 else f"it takes at most {count} operand{'' if count == 1 else 's'}"


def _wanted(accepted: frozenset[str]) -> str:
    covered = {"whole number"} if "number" in accepted else set()
    return " or ".join(_article(kind) for kind in ORDER if kind in accepted - covered)


def _article(kind: str) -> str:
    if kind in ("text", "true or false", "null"):
        return kind
    return f"an {kind}" if kind == "object" else f"a {kind}"


def _shown(found: str, token: Token) -> str:
    if found == "text":
        return f"the text {quoted(token.text)}"
    return visible(token.text[:40]) if token.form is Form.BARE else _article(found)
