"""Numbers as people type them and as JSON holds them, exactly: int, or Decimal when there is a point or an exponent."""

import re
from decimal import Decimal, InvalidOperation

DIGITS = 4_000
"""The most digits of a number, and its largest exponent: more is a mistake, or an attack on whoever calculates."""

NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)


class BadNumber(ValueError):
    """A number that cannot be sent."""


def number(word: str) -> int | Decimal | None:
    """The number that a word is, or None. Raises BadNumber: too long, NaN or infinite."""
    if NOT_FINITE.fullmatch(word):
        raise BadNumber(f'{word} is not a number that JSON can hold (as text: "{word}")')
    if not NUMBER.fullmatch(word):
        return None
    return whole_number(word) if word.lstrip("+-").isdigit() else with_point(word)


def whole_number(digits: str) -> int:
    """An int of at most `DIGITS` digits."""
    if len(digits) > DIGITS + 1:
        raise BadNumber(f"a number of more than {DIGITS:,} digits")
    return int(digits)


def with_point(text: str) -> Decimal:
    """A Decimal with exactly these digits."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise BadNumber(f"a number with an exponent beyond {DIGITS:,}") from None
    exponent = value.as_tuple().exponent
    if len(text) > DIGITS + 10 or not isinstance(exponent, int) or not -DIGITS <= value.adjusted() <= DIGITS:
        raise BadNumber(f"a number of more than {DIGITS:,} digits, or with an exponent beyond that")
    return value
