"""What a command answers. Commands never print: render.py turns these values into text or JSON.

`data` is what `--json` writes; strings are raw here and made harmless by render.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

OK, TASK_FAILED, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes: done · a task or a command failed · the caller's mistake · a server does not answer · Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text. state: the word in it that may be coloured. code: the exit code that it stands for.

    problem: it belongs on the error output (at the prompt all is one screen). brief: it may be cut to fit the screen.
    """

    text: str
    data: object = None
    state: str = ""
    code: int = OK
    problem: bool = False
    brief: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. flexible: may be cut to fit the screen. droppable: left out when the screen is narrow."""

    title: str
    right: bool = False
    flexible: bool = False
    droppable: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under titles. empty: said instead when there is no row. note: a line below."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    data: object = None
    note: str = ""
    empty: str = "nothing to show"
    code: int = OK


@dataclass(frozen=True, slots=True)
class Record:
    """Named fields of one thing, then tables that belong to it. A value may have several lines."""

    fields: tuple[tuple[str, str], ...]
    data: object = None
    tables: tuple[tuple[str, Table], ...] = ()
    code: int = OK


@dataclass(frozen=True, slots=True)
class Stream:
    """Answers that come one by one while something is waited for."""

    answers: Iterator[Line] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Leave:
    """The session ends. text: what there is to say about it ('' nothing)."""

    text: str = ""
    code: int = OK


Answer = Line | Table | Record | Stream | Leave
