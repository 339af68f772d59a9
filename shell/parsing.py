"""From a line, or a program's arguments, to tokens. Every token knows its column, so that errors can point at it."""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from shell.numbers import BadNumber, whole_number, with_point
from yadtq import visible

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
BARE = re.compile(r"\S+")
ESCAPED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
SURROGATE = re.compile("[\ud800-\udfff]")
LITERAL = re.compile(r"'([^']*)'", re.DOTALL)


class BadInput(Exception):
    """A line that cannot be understood: why, and at which column (from 0; None: no place in particular)."""

    def __init__(self, message: str, line: str = "", column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class Form(Enum):
    """How a token was written."""

    BARE = "bare"
    QUOTED = "quoted"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a line. text: what it says, without quotes. start, value_start: columns of the word and its value.

    name: of name=value, else ''. value: the parsed list or object of a JSON word.
    """

    text: str
    form: Form
    start: int
    value_start: int
    name: str = ""
    value: object = None


def tokens_of_line(line: str) -> list[Token]:
    """Splits a line. Raises BadInput for an unclosed quote, broken JSON, or text that is not UTF-8."""
    _refuse_broken_text(line, line)
    tokens: list[Token] = []
    position = _skip_spaces(line, 0)
    while position < len(line):
        token, position = _token(line, position, named=bool(tokens))
        tokens.append(token)
        position = _skip_spaces(line, position)
    return tokens


def tokens_of_arguments(arguments: Sequence[str]) -> tuple[str, list[Token]]:
    """The tokens of words that a system shell has split already, and the line that errors point into."""
    line = ""
    tokens: list[Token] = []
    for argument in arguments:
        shown = shlex.quote(argument)
        start = len(line) + (1 if line else 0)
        line = f"{line} {shown}" if line else shown
        _refuse_broken_text(argument, line)
        offset = start + (shown != argument)
        tokens.append(_argument(argument, line, start, offset, named=bool(tokens)))
    return line, tokens


def json_value(text: str) -> object:
    """A JSON text as a value, exactly: numbers with a point as Decimal. Raises BadInput."""
    value, end = _decode(text, _skip_spaces(text, 0), text)
    end = _skip_spaces(text, end)
    if end < len(text):
        raise BadInput("there is more after the end of the JSON text", text, end)
    return value


def quoted(word: str) -> str:
    """A word as it is quoted in a message: short, and harmless."""
    return f"'{visible(word[:40])}{'…' if len(word) > 40 else ''}'"


def _token(line: str, start: int, *, named: bool) -> tuple[Token, int]:
    name, position = _name(line, start) if named else ("", start)
    if position == len(line) or line[position].isspace():
        raise BadInput(f"a value is missing after {name}=", line, position)
    if line[position] in "\"'":
        text, end = _quoted(line, position)
        token = Token(text, Form.QUOTED, start, position, name)
    elif line[position] in "[{":
        value, end = _decode(line, position, line)
        token = Token(line[position:end], Form.JSON, start, position, name, value)
    else:
        match = BARE.match(line, position)
        assert match is not None
        end = match.end()
        token = Token(match.group(), Form.BARE, start, position, name)
    if end < len(line) and not line[end].isspace():
        raise BadInput("a space is missing here", line, end)
    return token, end


def _argument(argument: str, line: str, start: int, offset: int, *, named: bool) -> Token:
    """A token from one argument: quotes are gone already, so all of it is the value unless it is JSON."""
    name, position = _name(argument, 0) if named else ("", 0)
    rest = argument[position:]
    value_start = offset + position
    if rest[:1] in ("[", "{"):
        try:
            return Token(rest, Form.JSON, start, value_start, name, json_value(rest))
        except BadInput as error:
            raise BadInput(error.message, line, value_start + (error.column or 0)) from None
    closed = ESCAPED.fullmatch(rest)
    if closed:
        return Token(_unescaped(rest, line, value_start), Form.QUOTED, start, value_start, name)
    return Token(rest, Form.BARE if rest else Form.QUOTED, start, value_start, name)


def _name(line: str, position: int) -> tuple[str, int]:
    match = NAME.match(line, position)
    return (match.group()[:-1], match.end()) if match else ("", position)


def _quoted(line: str, start: int) -> tuple[str, int]:
    if line[start] == "'":
        match = LITERAL.match(line, start)
        if match:
            return match.group(1), match.end()
    else:
        match = ESCAPED.match(line, start)
        if match:
            return _unescaped(match.group(), line, start), match.end()
    raise BadInput("the quote that opens here is never closed", line, start)


def _unescaped(quoted: str, line: str, start: int) -> str:
    """The text of a double-quoted JSON string."""
    try:
        text = json.loads(quoted, strict=False)
    except json.JSONDecodeError as error:
        message = "unknown escape; in double quotes a backslash is written \\\\ (or use single quotes)"
        raise BadInput(message, line, start + error.pos) from None
    _refuse_broken_text(text, line, start)
    return str(text)


def _decode(text: str, start: int, line: str) -> tuple[object, int]:
    """The JSON value that begins at `start`, and where it ends."""
    try:
        return DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise BadInput(f"not JSON: {_lower(error.msg)}", line, min(error.pos, len(text))) from None
    except RecursionError:
        raise BadInput("the JSON text is nested too deeply", line, start) from None
    except BadNumber as error:
        raise BadInput(str(error), line, start) from None


def _not_finite(word: str) -> object:
    raise BadNumber(f"{word} is not a number that JSON can hold")


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _refuse_broken_text(text: str, line: str, start: int = 0) -> None:
    """Bytes that are not UTF-8 arrive as lone surrogates; no JSON text and no file can hold them."""
    match = SURROGATE.search(text)
    if match:
        raise BadInput("this is not valid Unicode text (UTF-8)", line, match.start() if text is line else start)


def _skip_spaces(line: str, position: int) -> int:
    while position < len(line) and line[position].isspace():
        position += 1
    return position


DECODER = json.JSONDecoder(parse_int=whole_number, parse_float=with_point, parse_constant=_not_finite)
