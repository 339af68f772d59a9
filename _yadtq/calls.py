"""One call of a handler: JSON texts go in; a JSON text, or why there is none, comes out. Never raises."""

import inspect
import json
import math
import traceback
from collections.abc import Callable, Coroutine
from decimal import Decimal
from types import CodeType, CoroutineType, TracebackType
from typing import Any, NamedTuple, Protocol

from _yadtq.errors import UsageError
from _yadtq.failure import Failure

RESULT_BYTES = 1_000_000
MESSAGE_CHARACTERS = 2000
TRACEBACK_CHARACTERS = 4000
TYPE_CHARACTERS = 200


class Result(NamedTuple):
    """What a call came to: `text` (JSON), or None with the failure."""

    text: str | None
    failure: Failure | None = None
    retryable: bool = False


class Json(Protocol):
    """How values become text and text becomes values."""

    def decode(self, text: str) -> Any: ...

    def encode(self, value: Any) -> str: ...


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class PlainJson:
    """The standard library's JSON; numbers with a point are floats."""

    def __init__(self) -> None:
        self.decode: Callable[[str], Any] = json.JSONDecoder(parse_constant=_refuse_constant).decode
        self._encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode

    def encode(self, value: Any) -> str:
        return "null" if value is None else self._encode(value)


class ExactJson:
    """Numbers with a point are Decimal, both ways."""

    def __init__(self) -> None:
        import simplejson  # noqa: PLC0415 - 20 ms that only exact handlers pay

        self.decode: Callable[[str], Any] = simplejson.JSONDecoder(
            parse_float=Decimal, parse_constant=_refuse_constant
        ).decode
        self._encode: Callable[[Any], str] = simplejson.JSONEncoder(
            use_decimal=True, allow_nan=False, ensure_ascii=False, separators=(",", ":"), namedtuple_as_object=False
        ).encode

    def encode(self, value: Any) -> str:
        text = self._encode(value)
        # Decimal has a NaN and infinities too, and they are written as such.
        if "NaN" in text or "Infinity" in text:
            self.decode(text)
        return text


class Callee:
    """A handler as it is called: its function, what arguments it takes, and its JSON."""

    def __init__(self, name: str, function: Callable[..., Any], form: Json) -> None:
        self.function = function
        self._name = name
        self._form = form
        self._signature = _signature_of(function)
        self._fewest, self._most = _positional(self._signature)
        self._code: CodeType | None = getattr(inspect.unwrap(function), "__code__", None)

    def call(self, args: str, kwargs: str) -> Result:
        """Decodes, checks, calls, encodes."""
        try:
            positional, named = self._arguments(args, kwargs)
        except (ValueError, TypeError, RecursionError, ArithmeticError) as error:
            return Result(None, Failure("BadArguments", _cut(str(error), MESSAGE_CHARACTERS)))
        try:
            value = self.function(*positional, **named)
            if isinstance(value, CoroutineType):
                value = _run(value)
        except BaseException as error:  # SystemExit and KeyboardInterrupt too: the child lives on
            return _failed(error, self._code)
        return _encoded(value, self._form)

    def _arguments(self, args: str, kwargs: str) -> tuple[list[Any], dict[str, Any]]:
        positional = [] if args == "[]" else self._form.decode(args)
        named = self._form.decode(kwargs) if kwargs not in ("", "{}") else {}
        if not isinstance(positional, list) or not isinstance(named, dict):
            raise TypeError(f"{self._name} got no list of arguments, or no table of named ones")
        # The quick look spares the usual call a much slower bind.
        if (named or not self._fewest <= len(positional) <= self._most) and self._signature:
            try:
                self._signature.bind(*positional, **named)
            except TypeError as error:
                raise TypeError(f"{self._name}{self._signature}: {error}") from None
        return positional, named


def _signature_of(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (ValueError, TypeError):
        return None  # some functions written in C do not tell; they check for themselves


def _positional(signature: inspect.Signature | None) -> tuple[int, float]:
    """The numbers of positional arguments that surely fit a call without named ones: from, to. (1, 0): none."""
    fewest, most = 0, 0.0
    for parameter in signature.parameters.values() if signature else ():
        required = parameter.default is parameter.empty
        if parameter.kind is parameter.VAR_POSITIONAL:
            most = math.inf
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            most += 1
            fewest += required
        elif parameter.kind is parameter.KEYWORD_ONLY and required:
            return 1, 0.0
    return fewest, most


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    import asyncio  # noqa: PLC0415 - 50 ms that only coroutine handlers pay

    return asyncio.run(coroutine)


def _encoded(value: Any, form: Json) -> Result:
    try:
        text = form.encode(value)
        size = _size(text)
    except (ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        return Result(None, Failure("ResultNotJson", _cut(f"JSON cannot hold the result: {error}", MESSAGE_CHARACTERS)))
    except BaseException as error:  # raised by the value's own methods
        return Result(None, Failure("ResultNotJson", f"JSON cannot hold the result: {type(error).__name__}"))
    if size is None:  # half a character pair: only the escaped form can be sent on
        text = _escaped(text)
        size = len(text)
    if size > RESULT_BYTES:
        message = f"the result has {size:,} bytes; at most {RESULT_BYTES:,} are kept. Store it, and return where it is"
        return Result(None, Failure("ResultTooLarge", message))
    return Result(text)


def _size(text: str) -> int | None:
    """Bytes of the text in UTF-8; None when it has a lone surrogate."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return None


def _escaped(text: str) -> str:
    """JSON text with each lone surrogate as \\uXXXX: they stand only inside strings."""
    return "".join(f"\\u{ord(each):04x}" if "\ud800" <= each <= "\udfff" else each for each in text)


def _failed(error: BaseException, code: CodeType | None) -> Result:
    if isinstance(error, ZeroDivisionError):
        return Result(None, Failure("ZeroDivisionError", "division by zero", _trace(error, code)))
    kind = _cut(type(error).__qualname__, TYPE_CHARACTERS)
    # A wrong argument or a missing setting does not get better by itself.
    retryable = not isinstance(error, UsageError)
    return Result(None, Failure(kind, _message(error), _trace(error, code)), retryable)


def _message(error: BaseException) -> str:
    try:
        return _cut(str(error), MESSAGE_CHARACTERS)
    except BaseException as second:  # an exception class with a faulty __str__
        return f"(its message cannot be read: {type(second).__name__})"


def _trace(error: BaseException, code: CodeType | None) -> str:
    """The end of the traceback, from the handler's own frame on."""
    own: TracebackType | None = error.__traceback__
    while own and own.tb_frame.f_code is not code:
        own = own.tb_next
    start = own or (error.__traceback__.tb_next if error.__traceback__ else None)
    try:
        text = "".join(traceback.format_exception(type(error), error, start))
    except BaseException as second:  # a faulty __repr__ or __str__ on the way
        return f"(the traceback cannot be shown: {type(second).__name__})"
    return text if len(text) <= TRACEBACK_CHARACTERS else "…" + text[1 - TRACEBACK_CHARACTERS :]


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"
