"""The whole page: picture + view + size → lines, what keys are about, and what is to be fetched. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from dashboard import details, lists, overview, servers
from dashboard.blocks import Line, Piece, ends, fitted, shown, text
from dashboard.body import Body, Size
from dashboard.picture import Picture, Wanted
from dashboard.rows import state
from dashboard.view import (
    FAILURES,
    OVERVIEW,
    PREFIX,
    REJECTED,
    SECTIONS,
    SERVERS,
    TASK,
    TASKS,
    WORKER,
    WORKERS,
    Shown,
    View,
)
from shell.descriptions import length, worker_name
from yadtq import SHOWN, STATUSES, Snapshot

SMALLEST = Size(60, 14)
OLD_SECONDS = 3.0
"""From this age on a picture is called old, also when no server has refused anything yet."""

Section = Callable[[Picture, Snapshot, View, Size], Body]
BODIES: dict[str, Section] = {
    OVERVIEW: overview.overview,
    TASKS: lists.tasks,
    WORKERS: lists.workers,
    FAILURES: lists.failures,
    REJECTED: lists.rejected,
    SERVERS: servers.servers,
}
ASKED = {PREFIX: "id begins with", TASK: "name of the task", WORKER: "name of the worker"}
OPENED_HINT = "Esc back  ↑↓ move  Enter open  p pause  ? keys  q quit"
HINT = "? keys  Enter open  / id  n name  w worker  s state  p pause  q quit"


@dataclass(frozen=True, slots=True)
class Screen:
    """lines: exactly as many as the size has, each exactly as wide. shown, wanted: as of its body."""

    lines: tuple[Line, ...]
    shown: Shown
    wanted: Wanted


def draw(picture: Picture, view: View, size: Size, age: float) -> Screen:
    """The screen. age: of the picture's snapshot, seconds."""
    if size.columns < SMALLEST.columns or size.lines < SMALLEST.lines:
        return _too_small(size)
    top = [*header(picture, view, size.columns, age)]
    room = Size(size.columns, size.lines - len(top) - 1)
    body = _body(picture, view, room)
    lines = [*top, *body.lines[: room.lines]]
    lines += [()] * (size.lines - 1 - len(lines)) + [footer(view, body.shown, size.columns)]
    return Screen(tuple(fitted(line, size.columns) for line in lines), body.shown, body.wanted)


def _body(picture: Picture, view: View, room: Size) -> Body:
    if view.helping:
        return details.keys_help(view, room)
    if picture.snapshot is None:
        return Body([(), text("  Nothing is known yet.", "dim")])
    if view.opened:
        return details.opened(picture, picture.snapshot, view, room)
    return BODIES[view.section](picture, picture.snapshot, view, room)


def _too_small(size: Size) -> Screen:
    words = (f"{size.columns}×{size.lines} is too small:", f"{SMALLEST.columns}×{SMALLEST.lines} are needed", "q quit")
    lines = [fitted(text(each), size.columns) for each in words[: size.lines]]
    lines += [fitted((), size.columns)] * (size.lines - len(lines))
    return Screen(tuple(lines), Shown(), Wanted())


# -- the header


def header(picture: Picture, view: View, columns: int, age: float) -> list[Line]:
    """Whose queue it is and how old the picture; servers; counts; sections; and what is wrong."""
    name: Line = (("title", "YADTQ"), ("", f"  queue {shown(picture.queue)}"))
    lines = [ends(name, _age(picture, view, age), columns)]
    now = picture.snapshot
    lines += [_servers(picture, now), _counts(now)] if now else [text("asking the servers …", "dim"), ()]
    lines.append(_tabs(view))
    return [*lines, *_warnings(picture, age, columns)]


def _age(picture: Picture, view: View, age: float) -> Line:
    if picture.snapshot is None:
        return ()
    clock = datetime.fromtimestamp(picture.snapshot.at, UTC).astimezone().strftime("%H:%M:%S")
    old = f"{age:.1f} s" if age < 10 else length(age)
    if view.paused:
        return (("warm", f"PAUSED at {clock}, {old} old"),)
    if picture.trouble or age > OLD_SECONDS:
        return (("bad", f"OLD: of {clock}, {old} old"),)
    return (("good", "live"), ("dim", f"  {clock}, {old} old"))


def _servers(picture: Picture, now: Snapshot) -> Line:
    stats = now.stats
    redis = "unreachable" if picture.away else "not ready" if picture.trouble else "ok"
    pieces: list[Piece] = [("dim", "kafka "), state("unreachable" if now.health.kafka else "ok")]
    pieces += [("dim", "  redis "), state(redis)]
    pieces += [("dim", "  workers "), ("" if stats.workers else "bad", f"{stats.workers:,}")]
    pieces += [("dim", "  busy "), ("", f"{stats.busy:,}/{stats.slots:,}")]
    leading = sum(server.state == "leading" for server in now.servers)
    standby = sum(server.state == "standby" for server in now.servers)
    words = [f"{leading} leading"] * bool(leading) + [f"{standby} standby"] * bool(standby)
    pieces += [("dim", "  coordinators "), ("good" if leading else "", ", ".join(words) or "none")]
    pieces += [("dim", "  events by "), ("", shown(worker_name(now.relay))) if now.relay else ("bad", "nobody")]
    pieces += [("warm", f", {stats.outbox:,} waiting")] if stats.outbox else []
    return tuple(pieces)


def _counts(now: Snapshot) -> Line:
    pieces: list[Piece] = []
    for status in STATUSES:
        count = now.stats.counts.get(status, 0)
        style, word = state(SHOWN[status])
        pieces += [("dim", f"{word} "), (style if count else "", f"{count:,}"), ("", "  ")]
    return tuple(pieces)


def _tabs(view: View) -> Line:
    pieces: list[Piece] = []
    for number, section in enumerate(SECTIONS, 1):
        here = section == view.section
        pieces.append(("tab here" if here else "tab", f"[{number} {section}]" if here else f" {number} {section} "))
    return tuple(pieces)


def _warnings(picture: Picture, age: float, columns: int) -> list[Line]:
    """What an operator has to know now, a line each; () when all is well."""
    lines: list[Line] = []
    if picture.trouble:
        until = "The last picture stays meanwhile." if picture.snapshot else "Trying again …"
        lines += [text(f"! {shown(picture.trouble)}. {until}", "bad")]
    now = picture.snapshot
    if now and now.health.kafka:
        lines += [text(f"! {shown(now.health.kafka)}", "bad")]
    if now and now.quarantine:
        lines += [text("! Redis was restarted: tasks wait until every worker has said what it holds", "warm")]
    return [fitted(line, columns) for line in lines]


# -- the last line


def footer(view: View, seen: Shown, columns: int) -> Line:
    """What is being typed, or which keys there are."""
    if view.typing:
        asked: Line = (("title", f"{ASKED[view.typing]}: "), ("", shown(view.typed)), ("cursor", " "))
        return ends(asked, text("Enter shows them  Esc leaves it", "dim"), columns)
    where = details.position(view, seen)
    hint = OPENED_HINT if view.opened or view.helping else HINT
    return ends(text(hint, "dim"), text(where, "dim"), columns)
