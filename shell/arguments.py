"""What commands take: the kinds of their arguments and options, and how tokens are bound to them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from shell.answers import Answer
from shell.live import Live
from shell.parsing import BadInput, Form, Token, quoted
from yadtq import SHOWN, STORED, visible

Word = tuple[str, str]
"""A word that may be typed, and what it means."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of argument. parse: from text, ValueError says what was expected. words: for completion, without I/O."""

    parse: Callable[[str], Any]
    words: Callable[[Live], Iterable[Word]] = lambda live: ()


@dataclass(frozen=True, slots=True)
class Argument:
    """A word that a command takes by its place. many: also several. default: None, it must be given."""

    name: str
    kind: Kind
    about: str
    default: Any = None
    many: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """--name, followed by a value unless kind is None (then its value is True)."""

    name: str
    about: str
    kind: Kind | None = None
    metavar: str = ""

    @property
    def flag(self) -> str:
        return f"--{self.name.replace('_', '-')}"


@dataclass(frozen=True, slots=True)
class Command:
    """A row of the table in commands.py: everything that there is to know about a command.

    run: called with the session, then the arguments and options by name. takes_operands: what follows its arguments
    are the operands of a task. reads: it looks at tasks, so a pipe first waits for its own.
    """

    name: str
    run: Callable[..., Answer]
    about: str
    example: str
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    other_names: tuple[str, ...] = ()
    takes_operands: bool = False
    reads: bool = False

    @property
    def usage(self) -> str:
        words = [self.name, *(_usage(argument) for argument in self.arguments)]
        words += ["[operands…]"] if self.takes_operands else []
        words += [f"[{option.flag}{' ' + option.metavar if option.kind else ''}]" for option in self.options]
        return " ".join(words)


def text(value: str) -> str:
    if not value:
        raise ValueError("must not be empty")
    return value


def state(value: str) -> str:
    """A stored status, from its name or the name that a person reads."""
    word = value.lower()
    if word in SHOWN:
        return word
    if word in STORED:
        return STORED[word]
    raise ValueError(f"must be one of {', '.join(STORED)}")


def whole(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not value.isascii() or not value.isdigit() or len(value) > 9 or not low <= int(value) <= high:
            raise ValueError(f"must be a whole number from {low:,} to {high:,}")
        return int(value)

    return parse


def seconds(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1e9:
        raise ValueError("must be a number of seconds, 0 or more")
    return number


def bind(command: Command, tokens: Sequence[Token], line: str) -> tuple[dict[str, Any], list[Token]]:
    """The values of a command's arguments and options by name, and the tokens left for the task's operands.

    Raises BadInput: an unknown option, a missing, surplus or wrong argument.
    """
    values: dict[str, Any] = {option.name: False if option.kind is None else None for option in command.options}
    places: list[Token] = []
    rest = list(tokens)
    while rest:
        token = rest.pop(0)
        if is_option(token):
            option, value = _option(command, token, rest, line)
            values[option.name] = value
        else:
            places.append(token)
    left = places[len(command.arguments) :] if command.takes_operands else []
    values |= _places(command, places[: len(places) - len(left)], line)
    return values, left


def is_option(token: Token) -> bool:
    return token.form is Form.BARE and token.text.startswith("--") and len(token.text) > 2


def _option(command: Command, token: Token, rest: list[Token], line: str) -> tuple[Option, Any]:
    name, equals, given = token.text.partition("=")
    option = next((option for option in command.options if option.flag == name.lower()), None)
    if option is None:
        known = ", ".join(option.flag for option in command.options)
        hint = " (as text, put it in quotes)" if command.takes_operands else ""
        raise BadInput(f"{command.name} has no option {visible(name)}{hint}; it has {known}", line, token.start)
    if option.kind is None:
        if equals:
            raise BadInput(f"{option.flag} takes no value", line, token.start)
        return option, True
    if equals:
        return option, _parsed(option.flag, option.kind, given, line, token.start)
    if not rest or is_option(rest[0]):
        raise BadInput(f"{option.flag} needs a value: {option.flag} {option.metavar}", line, len(line))
    value = rest.pop(0)
    return option, _parsed(option.flag, option.kind, value.text, line, value.start)


def _places(command: Command, tokens: list[Token], line: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for argument in command.arguments:
        if argument.many:
            values[argument.name] = tuple(_parsed(argument.name, argument.kind, t.text, line, t.start) for t in tokens)
            tokens = []
        elif tokens:
            token = tokens.pop(0)
            values[argument.name] = _parsed(argument.name, argument.kind, whole_word(token), line, token.start)
        elif argument.default is None:
            raise BadInput(f"{command.name} needs <{argument.name}>: {command.usage}", line, len(line))
        else:
            values[argument.name] = argument.default
    if tokens:
        takes = "no argument" if not command.arguments else f"only {len(command.arguments)}"
        raise BadInput(f"{command.name} takes {takes}: {command.usage}", line, tokens[0].start)
    return values


def whole_word(token: Token) -> str:
    """The text of a word of a command, in which name=value means nothing."""
    return f"{token.name}={token.text}" if token.name else token.text


def _parsed(name: str, kind: Kind, value: str, line: str, column: int) -> Any:
    try:
        return kind.parse(value)
    except ValueError as error:
        raise BadInput(f"{name} {error}, not {quoted(value)}", line, column) from None


def _usage(argument: Argument) -> str:
    if argument.many:
        return f"[{argument.name}…]"
    return f"<{argument.name}>" if argument.default is None else f"[{argument.name}]"


ID = Kind(text, lambda live: [("_", "the last task of this session"), *live.recent])
STATE = Kind(state, lambda live: [(word, "") for word in STORED])
TASK = Kind(text, lambda live: [(signature.name, signature.about) for signature in live.signatures.values()])
SECONDS = Kind(seconds)
