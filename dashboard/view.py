"""Where the person at the page is, and what each key does. Pure: a view and a key give another view.

`KEYS` is the one table of keys: the help page and docs/monitor.md come from it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from dashboard.blocks import Key
from yadtq import STATUSES

OVERVIEW, TASKS, WORKERS, FAILURES, REJECTED, SERVERS = (
    "Overview", "Tasks", "Workers", "Failures", "Rejected", "Servers",
)  # fmt: skip
SECTIONS = (OVERVIEW, TASKS, WORKERS, FAILURES, REJECTED, SERVERS)
PREFIX, TASK, WORKER = "prefix", "task", "worker"
MINUTES, HOUR = 600.0, 3600.0
"""Seconds over which the curves may reach."""
LONGEST_FILTER = 200
"""Characters: no id, name or worker is longer."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which tasks the section Tasks shows; '' all. prefix: how their ids begin."""

    status: str = ""
    task: str = ""
    worker: str = ""
    prefix: str = ""

    @property
    def sought(self) -> bool:
        """Tasks have to be compared one by one, so that nobody knows how many there are."""
        return bool(self.task or self.worker or self.prefix)


@dataclass(frozen=True, slots=True)
class View:
    """Where the person is.

    first: place of the first task of a long list on the screen; before: those of the pages before it, of a list that
    is sought through. cursor: the chosen row; key: what that stands for, so that it stays chosen when rows move (None:
    whatever is there). opened: the pages on top of the section, each on top of the one before. scroll: the first line
    of such a page, or the chosen row, when it has rows. typing: the filter that is being typed, '' none; typed: what
    is there of it so far. reach: of the curves, seconds.
    """

    section: str = OVERVIEW
    filters: Filters = Filters()
    first: int = 0
    before: tuple[int, ...] = ()
    cursor: int = 0
    key: Key | None = None
    opened: tuple[Key, ...] = ()
    scroll: int = 0
    typing: str = ""
    typed: str = ""
    reach: float = MINUTES
    paused: bool = False
    helping: bool = False
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """What is on the screen, as far as keys are about it.

    keys: the rows that can be chosen. paged: the place among them where those of a long list begin, -1 there is none.
    height: rows of a page. next: where the list goes on behind this page, None nowhere. total: tasks of the whole list,
    None when nobody knows. lines: of the text, where it is a page of text.
    """

    keys: tuple[Key, ...] = ()
    paged: int = -1
    height: int = 1
    next: int | None = None
    total: int | None = None
    lines: int = 0


def place(view: View, keys: tuple[Key, ...]) -> int:
    """The chosen row among these; 0 when there are none."""
    same = [row for row, key in enumerate(keys) if key == view.key]
    if same:  # a task that has just moved on may be seen twice
        return min(same, key=lambda row: abs(row - view.cursor))
    return max(0, min(view.cursor, len(keys) - 1))


def press(view: View, key: str, shown: Shown) -> View:
    """The view after a key, which is named as in `KEYS`, or a character."""
    if view.typing:
        return _type(view, TYPING.get(key, key))
    name = BY_KEY.get(key, "")
    if view.helping and name not in ("quit", "move down", "move up"):
        return replace(view, helping=False, scroll=0)
    action = ACTIONS.get(name)
    return action(view, shown) if action is not None else view


def paste(view: View, text: str) -> View:
    """The view after text was pasted: it belongs to a filter that is being typed, or to nothing."""
    return replace(view, typed=(view.typed + text.strip())[:LONGEST_FILTER]) if view.typing else view


# -- filters


def _type(view: View, name: str) -> View:
    """A key while a filter is typed."""
    if name == "back":
        return replace(view, typing="", typed="")
    if name == "open":
        filters = replace(view.filters, **{view.typing: view.typed.strip()})
        return _listed(replace(view, typing="", typed=""), filters)
    if name == "erase":
        return replace(view, typed=view.typed[:-1])
    if name == "erase all":
        return replace(view, typed="")
    typed = view.typed + name if len(name) == 1 and name.isprintable() else view.typed
    return replace(view, typed=typed[:LONGEST_FILTER])


def _listed(view: View, filters: Filters) -> View:
    """The section Tasks from its first page, with these filters."""
    return replace(_section(view, TASKS), filters=filters)


def _ask(kind: str) -> "Action":
    def ask(view: View, shown: Shown) -> View:
        typed = getattr(view.filters, kind) or (_worker_here(view, shown) if kind == WORKER else "")
        return replace(view, typing=kind, typed=typed)

    return ask


def _worker_here(view: View, shown: Shown) -> str:
    """The name of the worker that is open or chosen, '' when it is none."""
    key = view.opened[-1] if view.opened else shown.keys[place(view, shown.keys)] if shown.keys else ("", "")
    return key[1].partition("~")[0] if key[0] in ("worker", "lost") else ""


def _next_status(view: View, _: Shown) -> View:
    words = ("", *STATUSES)
    on_list = view.section == TASKS and not view.opened
    now = words.index(view.filters.status) if on_list else -1
    return _listed(view, replace(view.filters, status=words[(now + 1) % len(words)]))


# -- sections and pages


def _section(view: View, section: str) -> View:
    return replace(view, section=section, first=0, before=(), cursor=0, key=None, opened=(), scroll=0)


def _go(section: str) -> "Action":
    return lambda view, _: _section(view, section)


def _step(by: int) -> "Action":
    def step(view: View, _: Shown) -> View:
        return _section(view, SECTIONS[(SECTIONS.index(view.section) + by) % len(SECTIONS)])

    return step


def _open(view: View, shown: Shown) -> View:
    """Opens the chosen row. What was chosen stays so for the way back."""
    if not shown.keys:
        return view
    if view.opened:
        return replace(view, opened=(*view.opened, shown.keys[min(view.scroll, len(shown.keys) - 1)]), scroll=0)
    row = place(view, shown.keys)
    return replace(view, opened=(shown.keys[row],), scroll=0, key=shown.keys[row], cursor=row)


def _back(view: View, _: Shown) -> View:
    if view.opened:
        return replace(view, opened=view.opened[:-1], scroll=0)
    if view.section == TASKS and view.filters != Filters():
        return _listed(view, Filters())
    return view


# -- moving


def _move(by: int) -> "Action":
    def move(view: View, shown: Shown) -> View:
        if shown.lines:
            return _scrolled(view, shown, view.scroll + by)
        now = place(view, shown.keys)
        if by > 0 and now + by >= len(shown.keys) and shown.paged >= 0:
            return _forward(view, shown)
        if by < 0 and now <= shown.paged and view.first > 0:
            return _backward(view, shown, shown.paged + shown.height - 1)
        return _chosen(view, shown, now + by)

    return move


def _leaf(by: int) -> "Action":
    def leaf(view: View, shown: Shown) -> View:
        if shown.lines:
            return _scrolled(view, shown, view.scroll + by * max(1, shown.height - 1))
        if shown.paged < 0:
            return _chosen(view, shown, place(view, shown.keys) + by * shown.height)
        if by > 0:
            return _forward(view, shown)
        return _backward(view, shown, shown.paged) if view.first > 0 else _chosen(view, shown, 0)

    return leaf


def _begin(view: View, shown: Shown) -> View:
    if shown.lines:
        return replace(view, scroll=0)
    return replace(view, first=0, before=(), cursor=0, key=None)


def _end(view: View, shown: Shown) -> View:
    """The end of the list; of this page only, when nobody knows how long the list is."""
    if shown.lines:
        return _scrolled(view, shown, max(shown.lines, len(shown.keys)))
    if shown.paged < 0 or shown.total is None:
        return _chosen(view, shown, len(shown.keys) - 1)
    first = max(0, shown.total - shown.height)
    return replace(view, first=first, before=(), cursor=shown.paged + shown.height - 1, key=None)


def _scrolled(view: View, shown: Shown, line: int) -> View:
    """An opened page from another line, or with another row chosen."""
    last = len(shown.keys) - 1 if shown.keys else shown.lines - shown.height
    return replace(view, scroll=max(0, min(line, last)))


def _chosen(view: View, shown: Shown, row: int) -> View:
    row = max(0, min(row, len(shown.keys) - 1))
    if not shown.keys or (row == 0 and view.first == 0):  # at the top one follows what comes
        return replace(view, cursor=0, key=None)
    return replace(view, cursor=row, key=shown.keys[row])


def _forward(view: View, shown: Shown) -> View:
    """The next page of a long list, or its last row."""
    if shown.next is None:
        return _chosen(view, shown, len(shown.keys) - 1)
    return replace(view, first=shown.next, before=(*view.before, view.first), cursor=shown.paged, key=None)


def _backward(view: View, shown: Shown, row: int) -> View:
    """The page before, with this row chosen."""
    first = view.before[-1] if view.before else max(0, view.first - shown.height)
    return replace(view, first=first, before=view.before[:-1], cursor=row, key=None)


# -- the table


Action = Callable[[View, Shown], View]


@dataclass(frozen=True, slots=True)
class Binding:
    """keys: as prompt_toolkit names them. written: as a person reads them. about: what they do."""

    keys: tuple[str, ...]
    written: str
    about: str
    name: str
    action: Action


def _toggle_pause(view: View, _: Shown) -> View:
    return replace(view, paused=not view.paused)


def _toggle_reach(view: View, _: Shown) -> View:
    return replace(view, reach=HOUR if view.reach == MINUTES else MINUTES)


def _help(view: View, _: Shown) -> View:
    return replace(view, helping=True, scroll=0)


def _leave(view: View, _: Shown) -> View:
    return replace(view, leaving=True)


def _nothing(view: View, _: Shown) -> View:
    return view


KEYS: tuple[Binding, ...] = (
    *(
        Binding((str(number),), str(number), f"section {section}", section, _go(section))
        for number, section in enumerate(SECTIONS, 1)
    ),
    Binding(("tab", "right"), "Tab →", "the next section", "next section", _step(1)),
    Binding(("s-tab", "left"), "Shift-Tab ←", "the section before", "section before", _step(-1)),
    Binding(("up", "k"), "↑ k", "one row up", "move up", _move(-1)),
    Binding(("down", "j"), "↓ j", "one row down; at the end of a long list its next page", "move down", _move(1)),
    Binding(("pageup",), "PgUp", "a page up", "page up", _leaf(-1)),
    Binding(("pagedown", " "), "PgDn Space", "a page down", "page down", _leaf(1)),
    Binding(("home", "g"), "Home g", "the beginning", "begin", _begin),
    Binding(("end", "G"), "End G", "the end; while a list is filtered, of this page", "end", _end),
    Binding(("enter",), "Enter", "opens the task or worker; ends typing", "open", _open),
    Binding(("escape", "backspace"), "Esc", "back; on the list of tasks: no filters; ends typing", "back", _back),
    Binding(("/",), "/", "tasks whose id begins with what is typed", "filter id", _ask(PREFIX)),
    Binding(("n",), "n", "tasks of one name", "filter name", _ask(TASK)),
    Binding(("w",), "w", "tasks of one worker; of the chosen one, if it is one", "filter worker", _ask(WORKER)),
    Binding(("s",), "s", "tasks of one state, then of the next, then all", "filter state", _next_status),
    Binding(("c",), "c", "curves of the last hour, or of the last ten minutes", "reach", _toggle_reach),
    Binding(("p",), "p", "holds the picture still, and lets it go on", "pause", _toggle_pause),
    Binding(("c-l",), "Ctrl-L", "draws the screen anew", "redraw", _nothing),
    Binding(("?", "h"), "? h", "this list", "help", _help),
    Binding(("q", "c-c"), "q Ctrl-C", "leaves", "quit", _leave),
)
TYPING = {"enter": "open", "escape": "back", "c-c": "back", "backspace": "erase", "c-u": "erase all"}
"""What keys do while a filter is typed; all others stand for themselves."""
BY_KEY = {key: binding.name for binding in KEYS for key in binding.keys}
ACTIONS: dict[str, Action] = {binding.name: binding.action for binding in KEYS}
