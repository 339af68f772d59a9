"""What somebody might send who means harm: texts, JSON, bytes. Each property test tries the same ones in every run."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

Result = TypeVar("Result")

bounded = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
"""For tests with `given`: repeatable, and done in some seconds."""

# What could steer a terminal, begin a new line, turn the direction of writing, hide, or be no text at all.
STEERING = (
    "\x00", "\x07", "\x08", "\x1b", "\x1b[2J", "\x1b]0;title\x07", "\x1b[31m", "\x9b", "\x7f", "\r", "\n", "\r\n", "\v",
    "\f", "\x1c", "\x85", "\u2028", "\u2029", "\u202a", "\u202e", "\u2066", "\u2069", "\u200b", "\u200d", "\u200e",
    "\u00ad", "\ufeff", "\ufff9", "\U000e0001", "\U000e0041", "\ud800", "\udfff", "\u0301", "\u3000", "\u00a0",
    "\ufffe",
)  # fmt: skip
PROGRAMS = (
    "__import__('os').system('false')", "$(false)", "`false`", "; false", "{0.__class__}", "%(x)s", "{{7*7}}",
    "cos\nsystem\n", "!!python/object/apply:os.system", "\\u001b[2J", "../../etc/passwd", "redis.call('FLUSHALL')", "'",
    '"', "\\", "--yes", "#",
)  # fmt: skip

words = (
    st.sampled_from(STEERING)
    | st.sampled_from(PROGRAMS)
    | st.characters()
    | st.sampled_from(("x", "é", "任", "1", " "))
)
lengths = st.sampled_from((1, 1, 1, 1, 300))
texts = st.builds(lambda parts, times: "".join(parts) * times, st.lists(words, max_size=12), lengths)
"""Texts of up to some thousand characters."""

numbers = st.integers(-(10**40), 10**40) | st.floats() | st.sampled_from((10**4000, -1, 0, 2**53 + 1, 1e308))
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
"""JSON values, with what JSON cannot hold among them: floats that are no numbers, lone surrogates."""

DEPTHS = st.sampled_from((1, 30, 900, 1_100, 4_000))
nested = st.builds(
    lambda opening, depth: opening * depth, st.sampled_from(("[", '{"a":', "[[", '[{"":')), st.integers(1, 60_000)
)
raw_numbers = st.sampled_from(
    ("1" * 4_000, "1" * 5_000, "-0", "1e400", "1e-400", "1e999999999", "-1e-999999999",
     "0." + "3" * 9_000, "NaN", "Infinity", "-Infinity", "1E5", "01", "0x10")
)  # fmt: skip


HUGE = {
    "digits": "1" * 900_000,
    "fraction": "0." + "3" * 900_000,
    "exponent": "1e" + "9" * 900_000,
    "lists": "[" * 450_000 + "]" * 450_000,
    "open": "[" * 900_000,
    "objects": '{"":' * 200_000 + "1" + "}" * 200_000,
    "keys": "{" + ",".join(f'"{n}":{n}' for n in range(60_000)) + "}",
    "same keys": "{" + ",".join('"a":1' for _ in range(150_000)) + "}",
    "text": '"' + "\u202e" * 290_000 + '"',
    "escapes": '"' + "\\u001b" * 140_000 + '"',
}
"""JSON, more or less, of almost a million bytes each."""


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Values of messages: tasks with anything in any field, JSON of other kinds, broken JSON, any bytes."""
    kind = draw(st.sampled_from(("task", "task", "names", "names", "raw", "value", "nested", "bytes")))
    if kind == "bytes":
        return bytes(draw(st.binary(max_size=200)) * draw(lengths))
    if kind == "nested":
        return bytes(draw(nested).encode())
    if kind == "value":
        return _json(draw(values))
    if kind == "raw":
        field = draw(st.sampled_from(("args", "max-retries", "time-limit", "task-id")))
        number = draw(raw_numbers)
        return f'{{"task-id":"a","task":"add","args":[],"{field}":{number},"kwargs":{{"a":[{number}]}}}}'.encode()
    fields: dict[str, Any] = {"task-id": "a1", "task": "add", "args": [1], "kwargs": {}}
    if kind == "names":
        fields[draw(st.sampled_from(("task-id", "task")))] = f"a{draw(words)}b"
        return _json(fields)
    fields |= draw(st.dictionaries(st.sampled_from((*fields, "max-retries", "time-limit", "more")), values, max_size=3))
    return _json(fields)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def result_of(call: Callable[[], Result], *refusals: type[Exception]) -> Result | Exception:
    """What a call returns, or the refusal that it raises; anything else that it raises fails the test."""
    try:
        return call()
    except refusals as refusal:
        return refusal


def shown_harmlessly(text: str) -> bool:
    """Whether a text is one line that steers nothing."""
    return text.isprintable() and len(text.splitlines()) <= 1
