"""From answers to text or JSON. The only place that knows of screens: width, colour, alignment.

Every string of an answer is made visible here, so nothing from outside reaches the terminal as it came.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from shell.answers import OK, TASK_FAILED, UNREACHABLE, USAGE, Answer, Column, Leave, Line, Record, Stream, Table
from shell.descriptions import json_text
from shell.parsing import BadInput
from shell.width import ELLIPSIS, cut, width
from yadtq import ServerUnreachable, UsageError, visible

COLOURS = {
    "queued": "36",
    "in-progress": "33",
    "completed": "32",
    "success": "32",
    "failed": "31",
    "rejected": "31",
    "crash": "31",
    "online": "32",
    "draining": "33",
    "offline": "31",
}
COLOURED = ("state", "outcome")
"""Columns whose words have colours."""
GAP = 2
NARROWEST = 8
WIDEST_CELL = 200
"""Where a table that does not go to a screen cuts a cell: View and --json have it in full."""
LONGEST_ERROR = 2_000
"""Characters of an error: it may repeat what was typed, or what a server said."""


@dataclass(frozen=True, slots=True)
class Screen:
    """columns: of the terminal; 0, there is none. colour: whether to use any."""

    columns: int = 0
    colour: bool = False


class Output:
    """Writes answers and errors: text to `out`, problems to `problems`. Remembers the worst exit code."""

    def __init__(self, out: TextIO, problems: TextIO) -> None:
        self._out = out
        self._problems = problems
        self.code = OK

    def show(self, answer: Answer, screen: Screen, as_json: bool = False) -> None:
        """Writes an answer; those of a stream as they come."""
        if isinstance(answer, Stream):
            for line in answer.answers:
                self.show(line, screen, as_json)
            return
        self.code = max(self.code, answer.code)
        problem = isinstance(answer, Line) and answer.problem
        if as_json and not isinstance(answer, Leave) and not (problem and answer.data is None):
            self._write(self._out, [json_line(answer)])
        else:
            self._write(self._problems if problem else self._out, text_lines(answer, screen))

    def failed(self, error: Exception, screen: Screen, typed_at: int | None = None) -> None:
        """Writes an error in one line, for BadInput with its place. typed_at: the line stands above, at this column."""
        self.code = max(self.code, exit_code(error))
        lines = (
            pointed(error, screen, typed_at) if isinstance(error, BadInput) else [visible(str(error), LONGEST_ERROR)]
        )
        self._write(self._problems, lines)

    def _write(self, stream: TextIO, lines: Iterable[str]) -> None:
        stream.write("".join(f"{line}\n" for line in lines))
        stream.flush()


def wants_colour(environment: Mapping[str, str]) -> bool:
    """Whether a terminal is to be coloured: not under NO_COLOR, and not a dumb one."""
    return not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def exit_code(error: Exception) -> int:
    """The exit code that an error stands for."""
    if isinstance(error, BadInput | UsageError):
        return USAGE
    return UNREACHABLE if isinstance(error, ServerUnreachable) else TASK_FAILED


def json_line(answer: Line | Record | Table) -> str:
    """An answer as one line of JSON."""
    if isinstance(answer, Line) and answer.data is None:
        return json_text({"message": answer.text})
    return json_text(answer.data)


def text_lines(answer: Answer, screen: Screen) -> list[str]:
    """An answer as lines for a person."""
    if isinstance(answer, Line):
        return [_line(answer, screen)]
    if isinstance(answer, Record):
        return _record(answer, screen)
    if isinstance(answer, Table):
        return _table(answer, screen)
    return [visible(answer.text)] if isinstance(answer, Leave) and answer.text else []


def pointed(error: BadInput, screen: Screen, typed_at: int | None) -> list[str]:
    """A message, and a caret under the column that it is about.

    At the prompt the line was just typed and the caret goes right under it; elsewhere the line is shown again.
    """
    message = visible(error.message, LONGEST_ERROR)
    if error.column is None or not error.line:
        return [message]
    before, after = visible(error.line[: error.column]), visible(error.line[error.column :])
    columns = screen.columns or WIDEST_CELL
    if typed_at is not None and typed_at + width(before) + width(after) < columns:
        return [" " * (typed_at + width(before)) + "^", message]
    while width(before) > columns * 2 // 3:
        before = "…" + before[max(2, len(before) // 4) :]
    return [message, cut(f"  {before}{after}", columns - 1), " " * (2 + width(before)) + "^"]


def coloured(word: str, text: str, screen: Screen) -> str:
    """The text in the colour of a state word, where there is colour."""
    code = COLOURS.get(word)
    return f"\x1b[{code}m{text}\x1b[0m" if code and screen.colour else text


def _line(line: Line, screen: Screen) -> str:
    text = cut(visible(line.text), screen.columns) if line.brief and screen.columns else visible(line.text)
    return text.replace(line.state, coloured(line.state, line.state, screen), 1) if line.state else text


def _record(record: Record, screen: Screen) -> list[str]:
    indent = max((width(visible(name)) for name, _ in record.fields), default=0) + GAP
    lines = []
    for name, text in record.fields:
        label = visible(name)
        first, *more = (visible(part) for part in text.replace("\r\n", "\n").split("\n"))
        lines.append(label + " " * (indent - width(label)) + coloured(text, first, screen))
        lines += [" " * indent + line for line in more]
    for title, table in record.tables:
        lines += ["", visible(title)] if title else [""] if lines else []
        lines += _table(table, screen)
    return lines


def _table(table: Table, screen: Screen) -> list[str]:
    note = [visible(table.note)] if table.note else []
    if not table.rows:
        return [visible(table.empty), *note]
    from tabulate import tabulate  # noqa: PLC0415 - 50 ms that most commands do not need

    columns, cells = _fitted(table.columns, [[_cell(cell) for cell in row] for row in table.rows], screen.columns)
    titles = [column.title for column in columns]
    lines = ["-" * max(width(row[i]) for row in [titles, *cells]) for i in range(len(columns))]
    shown = [
        [coloured(cell, cell, screen) if title in COLOURED else cell for title, cell in zip(titles, row, strict=True)]
        for row in cells
    ]
    # The titles are rows of their own: as headers tabulate would widen each column by two.
    text = tabulate(
        [titles, lines, *shown],
        tablefmt="plain",
        disable_numparse=True,
        colalign=["right" if column.right else "left" for column in columns],
    )
    return [*(line.rstrip() for line in text.split("\n")), *note]


def _cell(text: str) -> str:
    """A cell, made visible; measuring a megabyte of which twenty columns are shown would take a second."""
    return visible(text) if len(text) <= WIDEST_CELL else visible(text[:WIDEST_CELL]) + ELLIPSIS


def _fitted(columns: Sequence[Column], rows: list[list[str]], screen: int) -> tuple[list[Column], list[list[str]]]:
    """The columns and rows, cut so that a table fits on the screen; columns that can be spared go first."""
    kept = list(range(len(columns)))
    natural = [max([width(column.title), *(width(row[i]) for row in rows)]) for i, column in enumerate(columns)]
    if screen:
        while _least(columns, natural, kept) > screen and any(columns[i].droppable for i in kept):
            kept.remove(max(i for i in kept if columns[i].droppable))
    widths = _widths(columns, natural, kept, screen)
    return [columns[i] for i in kept], [[cut(row[i], widths[i]) for i in kept] for row in rows]


def _least(columns: Sequence[Column], natural: list[int], kept: list[int]) -> int:
    needs = (min(natural[i], NARROWEST) if columns[i].flexible else natural[i] for i in kept)
    return sum(needs) + GAP * (len(kept) - 1)


def _widths(columns: Sequence[Column], natural: list[int], kept: list[int], screen: int) -> dict[int, int]:
    """Widths of the columns: what is left of the screen is shared by the flexible ones, the small ones served first."""
    widths = {i: min(natural[i], WIDEST_CELL) if columns[i].flexible else natural[i] for i in kept}
    flexible = sorted((i for i in kept if columns[i].flexible), key=lambda i: natural[i])
    room = screen - GAP * (len(kept) - 1) - sum(natural[i] for i in kept if not columns[i].flexible)
    while screen and flexible:
        i = flexible.pop(0)
        widths[i] = min(natural[i], max(NARROWEST, room // (len(flexible) + 1)))
        room -= widths[i]
    return widths
