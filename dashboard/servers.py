"""The section about the servers: Kafka, Redis, the coordinators, the way of the events, and what Kafka holds unread."""

from collections.abc import Iterable, Sequence

from dashboard.blocks import Column, Line, Piece, Row, shown, table, text
from dashboard.body import Body, Size
from dashboard.picture import Picture
from dashboard.rows import state
from dashboard.view import Shown, View
from shell.descriptions import age
from yadtq import Server, Snapshot

COORDINATORS = (
    Column("Coordinators", 20, 44),
    Column("state", 8),
    Column("heartbeat", 9, right=True),
    Column("up", 4, right=True),
    Column("process", 8, right=True),
    Column("host", 10, 0, rank=1),
)
LAG_CELL = 22
"""Columns that the lag of one partition takes."""
NO_COORDINATOR = "none; tasks run all the same. Start one: python server.py"


def servers(picture: Picture, now: Snapshot, view: View, size: Size) -> Body:
    """What the queue stands on, and whether it holds."""
    lines = [*facts(now), (), *_coordinators(now, size.columns), (), *lag(now, size.columns)]
    return Body(lines[view.scroll :][: size.lines], Shown(height=size.lines, lines=len(lines)))


def facts(now: Snapshot) -> list[Line]:
    """Name and value, a line each."""
    stats, health = now.stats, now.health
    recovering: Piece = ("warm", "yes: tasks wait until every worker has said what it holds")
    sends: Piece = ("", shown(now.relay)) if now.relay else ("bad", "nobody: start a worker or python server.py")
    unread: Piece = ("warm", "unknown") if stats.unread is None else ("", f"{stats.unread:,} messages")
    pairs: Sequence[tuple[str, Piece]] = (
        ("Kafka", answers(health.kafka)),
        ("Redis", answers(health.redis)),
        ("quarantine", recovering if now.quarantine else ("", "no")),
        ("sends events", sends),
        ("events waiting", ("", f"{stats.outbox:,} for Kafka")),
        ("unread in Kafka", unread),
        ("read, waiting", ("", f"{stats.ready:,} for a free slot, {stats.delayed:,} for their next attempt")),
        ("resets", ("", f"{stats.epoch:,}")),
        ("generation", ("", str(stats.generation))),
    )
    return [(("dim", f"  {name:<17}"), piece) for name, piece in pairs]


def answers(problem: str) -> Piece:
    """Whether a server does."""
    return ("bad", f"unreachable: {shown(problem)}") if problem else ("good", "ok")


def _coordinators(now: Snapshot, columns: int) -> list[Line]:
    if not now.servers:
        return [text("  Coordinators", "title"), text(f"  {NO_COORDINATOR}", "dim")]
    order = {"leading": 0, "standby": 1}
    known = sorted(now.servers, key=lambda each: (order.get(each.state, 2), each.id))
    return table(COORDINATORS, [_coordinator(each, now.at) for each in known], columns, None)


def _coordinator(server: Server, now: float) -> Row:
    up = age(server.started_at, now) if server.state != "offline" else "–"
    cells = (
        ("", shown(server.id)),
        state(server.state),
        ("", f"{age(server.last_seen, now)} ago"),
        ("", up),
        ("", str(server.process)),
        ("", shown(server.host)),
    )
    return Row(None, cells)


def lag(now: Snapshot, columns: int) -> list[Line]:
    """Messages that nobody has read, by partition, as many beside each other as there is room for."""
    title = text("  Messages unread, by partition", "title")
    if now.lag is None:
        return [title, text("  unknown while Kafka does not answer", "warm")]
    if not now.lag:
        return [title, text("  the topic has no partitions yet", "dim")]
    each_line = max(1, (columns - 2) // LAG_CELL)
    pairs = sorted(now.lag.items())
    most = max(1, *now.lag.values())
    return [title, *(_lag_line(pairs[i : i + each_line], most) for i in range(0, len(pairs), each_line))]


def _lag_line(pairs: Iterable[tuple[int, int]], most: int) -> Line:
    pieces: list[Piece] = [("", "  ")]
    for partition, unread in pairs:
        bar = "█" * (-(-unread * 6 // most)) if unread else ""
        pieces += [("dim", f"{partition:>4} "), ("warm" if unread else "", f"{unread:>9,} "), ("warm", f"{bar:<7}")]
    return tuple(pieces)
