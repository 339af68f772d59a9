"""Messages and JSON: what is published to the task topic, and what is read from it, from whoever sent it."""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

import simplejson

from _yadtq.errors import BadArguments

MESSAGE_LIMIT = 1_000_000  # bytes of an encoded message, and of a result
DIGITS_LIMIT = 15  # of each number in a header
ID_LIMIT = 200  # bytes
NAME_LIMIT = 200  # bytes
RETRIES_LIMIT = 1000
TIME_LIMIT_LIMIT = 30 * 86400  # seconds
PART_TASKS = 250  # of one call to Redis
KEPT_BYTES = 100_000  # of a rejected message
RESERVED_PREFIX = "rejected-"
OVERHEAD_BYTES = 100  # of a message in a take, beside its contents

_BYTES_ARE_NO_TEXT: Any = None
_ENCODER = simplejson.JSONEncoder(  # made once: `dumps` makes one for each value
    separators=(",", ":"),
    encoding=_BYTES_ARE_NO_TEXT,
    use_decimal=True,
    allow_nan=False,
    namedtuple_as_object=False,
)


def encode(value: Any) -> str:
    """A JSON value as compact ASCII text, Decimals as written. Raises TypeError or ValueError (NaN, a cycle)."""
    try:
        text: str = _ENCODER.encode(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return text


def decode(text: str | bytes, exact: bool = True) -> Any:
    """JSON text as a value, numbers with a point as Decimal when `exact`. Raises ValueError on anything else."""
    try:
        return simplejson.loads(text, use_decimal=exact, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ArithmeticError:
        raise ValueError("a number is too large or too small to be read") from None


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a JSON value")


def new_id() -> str:
    """128 random bits as 26 small letters and digits."""
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def valid_id(task_id: str) -> bool:
    if task_id.isalnum() and task_id.isascii():  # such are our own
        return len(task_id) <= ID_LIMIT
    return task_id != "" and task_id.isprintable() and len(task_id.encode()) <= ID_LIMIT and task_id == task_id.strip()


@dataclass(frozen=True, slots=True)
class Header:
    """What our own messages carry: the mark of their registration. See rule *mark* in docs/protocol.md."""

    epoch: str
    generation: str
    seq: str

    @classmethod
    def of(cls, epoch: str, mark: str) -> "Header":
        """mark: <generation>-<seq>."""
        generation, _, seq = mark.partition("-")
        return cls(epoch, generation, seq)

    def pairs(self) -> list[tuple[str, bytes]]:
        return [(name, getattr(self, name).encode()) for name in ("epoch", "generation", "seq")]

    @classmethod
    def read(cls, headers: Sequence[tuple[str, bytes | None]]) -> "Header | None":
        """The header of a message of ours; None for any other."""
        found = dict(headers)
        epoch, generation, seq = found.get("epoch"), found.get("generation"), found.get("seq")
        if not (epoch and generation and seq) or len(epoch) + len(generation) + len(seq) > 3 * DIGITS_LIMIT:
            return None
        return _header(epoch, generation, seq)


@lru_cache(maxsize=256)  # what was submitted together has the same one, and lies together in the log
def _header(*values: bytes) -> Header | None:
    texts = [value.decode("ascii", "replace") for value in values]
    return Header(*texts) if all(text.isdecimal() and len(text) <= DIGITS_LIMIT for text in texts) else None


@dataclass(frozen=True, slots=True)
class Submission:
    """A task as it is registered and published: all parts are text, args and kwargs JSON."""

    id: str
    task: str
    args: str
    kwargs: str
    max_retries: str
    time_limit: str
    name: str  # names this one submission, so that a repeated call is known

    def value(self) -> bytes:
        """The message. Raises BadArguments when it is too large."""
        options = "".join(
            f',"{name.replace("_", "-")}":{text}'
            for name, text in (("max_retries", self.max_retries), ("time_limit", self.time_limit))
            if text
        )
        head = f'{{"task-id":{encode(self.id)},"task":{encode(self.task)}'
        value = f'{head},"args":{self.args},"kwargs":{self.kwargs}{options}}}'.encode()
        if len(value) > MESSAGE_LIMIT:
            raise BadArguments(
                f"{self.task}: the message would have {len(value):,} bytes, more than {MESSAGE_LIMIT:,}; "
                "store large data elsewhere and submit where it lies"
            )
        return value


@dataclass(frozen=True, slots=True)
class Call:
    """One task to submit: its name, arguments, and (optionally) an id and limits of its own.

    max_retries: None, the worker's setting. time_limit: seconds; None, the task's or the worker's; 0, none.
    """

    task: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    task_id: str = ""
    max_retries: int | None = None
    time_limit: float | None = None


def submission(call: Call, name: str) -> Submission:
    """A call, checked and written as text. name: of this one submission.

    Raises BadArguments, which says what is wrong with which part.
    """
    if not call.task or not call.task.isprintable() or len(call.task.encode()) > NAME_LIMIT:
        raise BadArguments(f"{call.task!r} is no name of a task: expected 1 to {NAME_LIMIT} bytes of printable text")
    if call.task_id.startswith(RESERVED_PREFIX):
        raise BadArguments(f"{call.task_id!r} is no task id: {RESERVED_PREFIX!r} begins the ids of rejected messages")
    if call.task_id and not valid_id(call.task_id):
        raise BadArguments(f"{call.task_id!r} is no task id: expected 1 to {ID_LIMIT} bytes of printable text")
    if call.max_retries is not None and not _is_number(call.max_retries, RETRIES_LIMIT, int):
        raise BadArguments(
            f"{call.task}: max_retries is {call.max_retries!r}; expected a whole number from 0 to {RETRIES_LIMIT}"
        )
    if call.time_limit is not None and not _is_number(call.time_limit, TIME_LIMIT_LIMIT, int, float):
        raise BadArguments(
            f"{call.task}: time_limit is {call.time_limit!r}; expected seconds from 0 (none) to {TIME_LIMIT_LIMIT}"
        )
    try:
        args_text, kwargs_text = encode(list(call.args)), encode(dict(sorted(call.kwargs.items())))
    except (TypeError, ValueError) as error:
        raise BadArguments(f"{call.task}: the arguments cannot be written as JSON: {error}") from None
    return Submission(
        id=call.task_id or new_id(),
        task=call.task,
        args=args_text,
        kwargs=kwargs_text,
        max_retries="" if call.max_retries is None else str(call.max_retries),
        time_limit="" if call.time_limit is None else f"{call.time_limit:.15g}",
        name=name,
    )


def _is_number(value: Any, most: int, *kinds: type) -> bool:
    return type(value) in kinds and bool(0 <= value <= most)  # a bool is no number here


@dataclass(frozen=True, slots=True)
class Ours:
    """A message that a client of ours published: the record of its task is registered."""

    offset: int
    size: int
    id: str
    header: Header
    value: bytes = b""

    @property
    def weight(self) -> int:
        """Bytes that it costs a take."""
        return len(self.id) + OVERHEAD_BYTES

    def arguments(self) -> tuple[str | int, ...]:
        """For a take, with its contents, because Redis has forgotten the record of its task."""
        try:
            task = _task(self.value)
        except ValueError as error:
            return Rejected(self.offset, self.size, self.value, str(error)[:500]).arguments()
        header = self.header
        contents = Foreign(self.offset, self.size, task).arguments()[4:]
        mark = (header.epoch, header.generation, header.seq)
        return ("whole", self.size, self.offset, *mark, self.id, *contents)


@dataclass(frozen=True, slots=True)
class Foreign:
    """A message of any other producer: a whole task."""

    offset: int
    size: int
    submission: Submission

    @property
    def weight(self) -> int:
        """Bytes that it costs a take."""
        return len(self.submission.args) + len(self.submission.kwargs) + OVERHEAD_BYTES

    def arguments(self) -> tuple[str | int, ...]:
        """For a take."""
        s = self.submission
        return ("task", self.size, self.offset, s.id, s.task, s.args, s.kwargs, s.max_retries, s.time_limit)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that is no task: its bytes and why."""

    offset: int
    size: int
    value: bytes
    reason: str

    @property
    def weight(self) -> int:
        """Bytes that it costs a take."""
        return min(len(self.value), KEPT_BYTES) * 4 // 3 + OVERHEAD_BYTES

    def arguments(self) -> tuple[str | int, ...]:
        """For a take."""
        return ("bad", self.size, self.offset, base64.b64encode(self.value[:KEPT_BYTES]).decode(), self.reason)


Message = Ours | Foreign | Rejected


def read_message(
    offset: int, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]
) -> Message:
    """What a message of the task topic is. Never raises."""
    value = value or b""
    header = Header.read(headers) if headers else None
    try:
        if header is not None and key:
            task_id = key.decode()
            if valid_id(task_id):
                return Ours(offset, len(value), task_id, header, value)
        task = _task(value)
    except ValueError as error:
        return Rejected(offset, len(value), value, str(error)[:500])
    if header is not None:
        return Ours(offset, len(value), task.id, header, value)
    return Foreign(offset, len(value), task)


def _task(value: bytes) -> Submission:
    """The task that a message's value describes. Raises ValueError, which says what is wrong."""
    try:
        body = decode(value.decode("utf-8", "strict"))
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(body, dict):
        raise ValueError(f"not an object, but {type(body).__name__}")
    kwargs = {} if body.get("kwargs") is None else body["kwargs"]
    task_id, task, args = (_field(body, name, kind) for name, kind in (("task-id", str), ("task", str), ("args", list)))
    if not isinstance(kwargs, dict):
        raise ValueError("the field kwargs is not an object")
    if not valid_id(task_id):
        raise ValueError(f"the field task-id is not 1 to {ID_LIMIT} bytes of printable text")
    if len(value) > MESSAGE_LIMIT:
        raise ValueError(f"the message has {len(value):,} bytes, more than {MESSAGE_LIMIT:,}")
    max_retries, time_limit = _option(body, "max-retries", RETRIES_LIMIT), _option(body, "time-limit", TIME_LIMIT_LIMIT)
    return submission(Call(task, tuple(args), kwargs, task_id, max_retries, time_limit), "kafka")


def _field(body: dict[str, Any], name: str, kind: type) -> Any:
    if name not in body:
        raise ValueError(f"the field {name} is missing")
    if not isinstance(body[name], kind):
        raise ValueError(f"the field {name} is not a {'text' if kind is str else 'list'}")
    return body[name]


def _option(body: dict[str, Any], name: str, most: int) -> Any:
    value = body.get(name)
    if value is None:
        return None
    if not _is_number(value, most, int, Decimal):
        raise ValueError(f"the field {name} is not a number from 0 to {most}")
    return int(value) if name == "max-retries" else float(value)


def in_parts(tasks: list[tuple[Submission, bytes]]) -> list[list[tuple[Submission, bytes]]]:
    """Tasks with their messages in parts that one call to Redis may carry."""
    parts: list[list[tuple[Submission, bytes]]] = [[]]
    size = 0
    for each in tasks:
        if parts[-1] and (len(parts[-1]) == PART_TASKS or size + len(each[1]) > MESSAGE_LIMIT):
            parts.append([])
            size = 0
        parts[-1].append(each)
        size += len(each[1])
    return [part for part in parts if part]
