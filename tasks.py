"""The tasks that come with YADTQ. A worker runs them unless YADTQ_TASKS names other modules.

Each is a plain function: `tasks.add(1, 2)` works without any server. What is wrong with the arguments is said with
BadArguments, which is never retried.
"""

from __future__ import annotations  # annotations stay as written: the shell shows them

import base64
import binascii
import time
import zlib
from collections.abc import Callable
from decimal import Context, Decimal, Inexact, Overflow, Underflow
from functools import reduce
from typing import TYPE_CHECKING, Any

from yadtq import BadArguments, SettingError, Settings, task

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

Number = int | Decimal
Numbers = tuple[Number | list[Number], ...]

DIGITS = 4_300  # of a number: as many as Python reads into an int
QUOTIENT_DIGITS = 34  # of a quotient that never ends, and about as many after its point when it is large
TEXT_BYTES = 1_000_000  # that decompress writes at most
LONGEST_SECONDS = 30 * 86_400
PROGRESS_STEPS = 10
HOW_TO_MAKE_A_KEY = (
    "give all workers the same ENCRYPTION_KEY or ENCRYPTION_KEY_FILE, made by "
    "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
)

# Whatever does not fit into so many digits raises Inexact (or Overflow and Underflow, which are kinds of it).
EXACT = Context(prec=DIGITS, Emax=DIGITS - 1, Emin=1 - DIGITS, traps=[Inexact])

# -- arithmetic -------------------------------------------------------------------------------------------------------


@task(exact=True)
def add(*numbers: Number | list[Number]) -> Number:
    """Adds numbers, exactly: add 1 2 3, or add [1,2,3]."""
    return _exactly(lambda: reduce(EXACT.add, _operands(numbers, least=1)))


@task(exact=True)
def sub(*numbers: Number | list[Number]) -> Number:
    """Subtracts all others from the first number, exactly: sub 5 2."""
    return _exactly(lambda: reduce(EXACT.subtract, _operands(numbers, least=2)))


@task(exact=True)
def mul(*numbers: Number | list[Number]) -> Number:
    """Multiplies numbers, exactly: mul 4 5."""
    return _exactly(lambda: reduce(EXACT.multiply, _operands(numbers, least=1)))


@task(exact=True)
def div(*numbers: Number | list[Number]) -> Number:
    """Divides the first number by all others, to 34 digits where it never ends: div 6 3."""
    return _exactly(lambda: _quotient(*_operands(numbers, least=2)))


multiply = task(name="multiply", exact=True)(mul)
divide = task(name="divide", exact=True)(div)


def _exactly(calculate: Callable[[], Decimal]) -> Number:
    """The result as a person writes it: an int where it is whole, else without zeros at its end."""
    try:
        value = calculate()
    except Inexact:
        raise BadArguments(f"a number of more than {DIGITS:,} digits, among the operands or as the result") from None
    if value == value.to_integral_value():
        return int(value)
    return value.normalize(Context(prec=2 * DIGITS))


def _operands(numbers: Numbers, least: int) -> list[Decimal]:
    values: list[Any] = list(numbers)
    if len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    if len(values) < least:
        raise BadArguments(f"at least {least} number{'s are' if least > 1 else ' is'} needed, not {len(values)}")
    return [_operand(place, value) for place, value in enumerate(values, start=1)]


def _operand(place: int, value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise BadArguments(f"operand {place} is {_described(value)}, not a number")
    # A float is what its digits say: 0.1 is a tenth.
    exact = EXACT.create_decimal(repr(value) if isinstance(value, float) else value)
    if not exact.is_finite():
        raise BadArguments(f"operand {place} is {value}, which is no number")
    return exact


def _quotient(dividend: Decimal, *divisors: Decimal) -> Decimal:
    """Rounded once at most, and not at all when it is whole."""
    divisor = reduce(EXACT.multiply, divisors)
    if not divisor:
        raise ZeroDivisionError("division by zero")
    before_the_point = max(0, dividend.adjusted() - divisor.adjusted())
    digits = before_the_point + QUOTIENT_DIGITS
    return Context(prec=digits, Emax=EXACT.Emax, Emin=EXACT.Emin, traps=[Overflow, Underflow]).divide(dividend, divisor)


# -- time -------------------------------------------------------------------------------------------------------------


@task(exact=True)
def sleep(seconds: Number) -> str:
    """Does nothing for so many seconds."""
    time.sleep(_seconds(seconds))
    return f"slept {seconds} s"


@task(exact=True)
def slow_task(seconds: Number = 20) -> str:
    """Does nothing for so many seconds, and prints how far it is."""
    step = _seconds(seconds) / PROGRESS_STEPS
    for done in range(1, PROGRESS_STEPS + 1):
        time.sleep(step)
        print(f"{done * 100 // PROGRESS_STEPS} % of {seconds} s")
    return f"finished after {seconds} s"


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise BadArguments(f"seconds is {_described(value)}, not a number")
    seconds = value if isinstance(value, int) else float(value)
    if not 0 <= seconds <= LONGEST_SECONDS:
        raise BadArguments(f"seconds must be from 0 to {LONGEST_SECONDS:,}")
    return float(seconds)


# -- text -------------------------------------------------------------------------------------------------------------


@task
def compress(text: str) -> str:
    """Makes a text smaller, with zlib; returns base64. decompress undoes it."""
    return base64.b64encode(zlib.compress(_utf8(text))).decode()


@task
def decompress(text: str) -> str:
    """Undoes compress; a text of more than 1,000,000 bytes is refused."""
    unpacking = zlib.decompressobj()
    try:
        unpacked = unpacking.decompress(base64.b64decode(_utf8(text), validate=True), TEXT_BYTES + 1)
        if len(unpacked) <= TEXT_BYTES and not (unpacking.eof and not unpacking.unused_data):
            raise BadArguments("this is not what compress returned: its end is missing, or something follows it")
        if len(unpacked) > TEXT_BYTES:
            raise BadArguments(f"this would become a text of more than {TEXT_BYTES:,} bytes")
        return unpacked.decode()
    except (binascii.Error, zlib.error, UnicodeDecodeError):
        raise BadArguments("this is not what compress returned: expected base64 of a text in zlib's format") from None


@task
def encrypt(text: str) -> str:
    """Encrypts a text with the key of the settings (Fernet). decrypt undoes it."""
    return _fernet().encrypt(_utf8(text)).decode()


@task
def decrypt(token: str) -> str:
    """Undoes encrypt, with the same key."""
    from cryptography.fernet import InvalidToken  # noqa: PLC0415 - 0.1 s that only the tasks that use it pay

    try:
        return _fernet().decrypt(_utf8(token)).decode()
    except InvalidToken:
        raise BadArguments("this was not encrypted with the key of this worker, or was changed since") from None


def _fernet() -> Fernet:
    from cryptography.fernet import Fernet  # noqa: PLC0415 - see decrypt

    key = Settings.load().encryption_key
    if not key:
        raise SettingError(f"this worker has no encryption key: {HOW_TO_MAKE_A_KEY}")
    try:
        return Fernet(key)
    except ValueError:
        raise SettingError(f"ENCRYPTION_KEY is not 32 bytes in URL-safe base64: {HOW_TO_MAKE_A_KEY}") from None


def _utf8(text: Any) -> bytes:
    if not isinstance(text, str):
        raise BadArguments(f"a text is needed, not {_described(text)}")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadArguments("the text holds half a character (a lone surrogate), which cannot be written") from None


def _described(value: Any) -> str:
    """What a value is, for an error: 'the text 'x'', 'true', 'a list'."""
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    kinds: dict[type, str] = {
        list: "a list",
        dict: "an object",
        int: "a number",
        Decimal: "a number",
        float: "a number",
    }
    return kinds.get(type(value), f"a {type(value).__name__}")
