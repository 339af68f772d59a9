"""The pages that open on top of a section: a task, a worker, a lost worker; and the list of keys."""

from collections.abc import Sequence

from dashboard import rows
from dashboard.blocks import Column, Line, Piece, Row, shown, table, text
from dashboard.body import Body, Size, window
from dashboard.curves import rate_text
from dashboard.picture import Picture, Wanted
from dashboard.view import KEYS, Shown, View
from shell.descriptions import age, instant_text, json_text, length, run_time, short, value_text, worker_name
from shell.width import width
from yadtq import SHOWN, Snapshot, Task, Worker, WorkerFailure, visible

NAME = 15
"""Columns that the names of fields take."""
LONGEST_VALUE = 20_000
"""Characters of one field; the shell's View shows all."""


def opened(picture: Picture, now: Snapshot, view: View, size: Size) -> Body:
    """The page on top."""
    kind, name = view.opened[-1]
    if kind == "task":
        return task(picture, now, name, view, size)
    if kind == "worker":
        found = next((each for each in now.workers if each.id == name), None)
        if found is None:
            return _text([text("This worker is not known any more.", "title")], view, size)
        return worker(picture, found, now, view, size)
    failure = next((each for each in now.failures if each.worker == name), None)
    if failure is None:
        return _text([text("This failure is not among the latest ones any more.", "title")], view, size)
    return lost(failure, now, view, size)


# -- a task


def task(picture: Picture, now: Snapshot, task_id: str, view: View, size: Size) -> Body:
    """All fields of a task, and its attempts."""
    wanted = Wanted(task_id=task_id)
    if picture.task_id != task_id:
        return _text([text(f"Task {shown(task_id)}: looking …", "title")], view, size, wanted)
    found = picture.task
    if found is None:
        problem = picture.task_problem or "it is not there"
        return _text([text(f"Task {shown(task_id)}", "title"), text(f"  {shown(problem)}", "bad")], view, size, wanted)
    title: Line = (("title", f"Task {shown(short(task_id))}  "), rows.state(SHOWN[found.status]))
    lines = [title, *(line for name, words in task_fields(found, now.at) for line in field(name, words, size.columns))]
    if found.attempts:
        started = [instant_text(each.started_at)[11:23] for each in found.attempts]
        drawn = [rows.attempt_row(each, at, now.at) for each, at in zip(found.attempts, started, strict=True)]
        lines += [(), *table(rows.ATTEMPTS, drawn, size.columns, None)]
        lines += [line for each in found.attempts if each.reason
                  for line in field(f"reason {each.number}", each.reason, size.columns)]  # fmt: skip
    if found.error and found.error.traceback:
        lines += [(), *field("traceback", found.error.traceback.rstrip(), size.columns)]
    return _text(lines, view, size, wanted)


def task_fields(found: Task, now: float) -> list[tuple[str, str]]:
    """Names and values for a person, without those that have none."""
    counts = [f"{found.attempt}", *([f"{found.failures} failed"] if found.failures else [])]
    counts += [f"{found.crashes} crashed"] if found.crashes else []
    pairs = [
        ("id", found.id),
        ("task", found.task),
        ("args", json_text(found.args) if found.args else ""),
        ("kwargs", json_text(found.kwargs) if found.kwargs else ""),
        ("result", (value_text(found.result) or '""') if found.status == "success" else ""),
        ("error", str(found.error) if found.error else ""),
        ("message", found.message.decode("utf-8", "backslashreplace")),
        ("attempts", ", ".join(counts)),
        ("next attempt", instant_text(found.retry_at) if found.status == "queued" else ""),
        ("worker", found.worker_id),
        ("submitted by", found.submitted_by),
        ("submitted", _instant(found.submitted_at, now)),
        ("started", _instant(found.started_at, now)),
        ("finished", _instant(found.finished_at, now)),
        ("run time", run_time(found, now)),
    ]
    return [(name, words) for name, words in pairs if words]


def field(name: str, words: str, columns: int) -> list[Line]:
    """A field in as many lines as its value needs."""
    room = max(10, columns - NAME - 2)
    cut = len(words) > LONGEST_VALUE
    parts = [part for line in words[:LONGEST_VALUE].replace("\r\n", "\n").split("\n") for part in wrapped(line, room)]
    parts += [f"… and {len(words) - LONGEST_VALUE:,} characters more: python client.py View shows all"] if cut else []
    names = [name, *[""] * (len(parts) - 1)]
    return [(("dim", f"  {name:<{NAME}}"), ("", part)) for name, part in zip(names, parts, strict=True)]


def wrapped(line: str, room: int) -> list[str]:
    """A line of outside text, made visible, in parts that fit."""
    words = visible(line)
    if words.isascii():
        return [words[start : start + room] for start in range(0, len(words), room)] or [""]
    parts, begun, used = [], "", 0
    for character in words:
        size = width(character)
        if used + size > room:
            parts.append(begun)
            begun, used = "", 0
        begun, used = begun + character, used + size
    return [*parts, begun]


def _instant(instant: float, now: float) -> str:
    return f"{instant_text(instant)} ({age(instant, now)} ago)" if instant else ""


# -- a worker


def worker(picture: Picture, found: Worker, now: Snapshot, view: View, size: Size) -> Body:
    """A worker, and what it runs; its tasks can be opened."""
    live = found.state != "offline"
    rate = rate_text(picture.rates[found.id]) if live and found.id in picture.rates else ""
    names = ", ".join(signature.name for signature in found.tasks)
    pairs = [
        ("incarnation", found.id),
        ("host", f"{found.host}, process {found.process}"),
        ("last heartbeat", _instant(found.last_seen, now.at)),
        ("started", _instant(found.started_at, now.at)),
        ("executed", f"{found.tasks_executed:,} tasks" + (f", {rate} of late" if rate else "")),
        ("running", f"{found.busy} of {found.slots} slots" if live else ""),
        ("runs", names),
    ]
    lines: list[Line] = [(("title", f"Worker {shown(found.worker_id)}  "), rows.state(found.state))]
    lines += [line for name, words in pairs if words for line in field(name, words, size.columns)]
    running = [Row(("task", task_id), (("", shown(task_id)),)) for task_id in found.running]
    return _with_rows(lines, (rows.HELD,), running, view, size)


def lost(failure: WorkerFailure, now: Snapshot, view: View, size: Size) -> Body:
    """A worker that was lost, and what became of its tasks; they can be opened."""
    pairs = [
        ("incarnation", failure.worker),
        ("host", failure.host),
        ("last heartbeat", _instant(failure.last_seen, now.at)),
        ("noticed", _instant(failure.at, now.at)),
        ("silent for", length(failure.at - failure.last_seen) if failure.last_seen else ""),
        ("why", failure.reason),
        ("tasks", f"{failure.count:,}: {rows.became(failure)}" if failure.count else "it held none"),
    ]
    lines: list[Line] = [
        (("title", f"Lost worker {shown(worker_name(failure.worker_id or failure.worker))}  "), rows.state("offline"))
    ]
    lines += [line for name, words in pairs if words for line in field(name, words, size.columns)]
    held = [
        Row(
            ("task", each.id),
            (("", shown(each.id)), ("", "yes" if each.begun else "no"), rows.state(SHOWN.get(each.status, "gone"))),
        )
        for each in failure.tasks
    ]
    return _with_rows(lines, rows.CASUALTIES, held, view, size)


def _with_rows(lines: list[Line], columns: Sequence[Column], held: Sequence[Row], view: View, size: Size) -> Body:
    if not held:
        return _text(lines, view, size)
    keys = tuple(row.key for row in held if row.key)
    chosen = min(view.scroll, len(keys) - 1)
    height = max(1, size.lines - len(lines) - 2)
    drawn = table(columns, window(held, chosen, height), size.columns, keys[chosen])
    return Body([*lines, (), *drawn], Shown(keys, height=height, lines=len(keys)))


# -- keys


def keys_help(view: View, size: Size) -> Body:
    """What each key does."""
    pairs: list[tuple[Piece, Piece]] = [(("title", f"  {each.written:<14}"), ("", each.about)) for each in KEYS]
    notes = (
        "",
        "What is shown is at most a second old, unless the first line says otherwise.",
        "When a server does not answer, the last picture stays, marked OLD, with the reason.",
        "Ages and instants are those of Redis' clock. Nothing here changes the queue.",
    )
    return _text([text("Keys", "title"), *pairs, *(text(f"  {note}") for note in notes)], view, size)


def _text(lines: Sequence[Line], view: View, size: Size, wanted: Wanted | None = None) -> Body:
    """As many lines of a text as there is room for, from where the view is."""
    first = max(0, min(view.scroll, len(lines) - size.lines))
    return Body(
        list(lines[first : first + size.lines]), Shown(height=size.lines, lines=max(1, len(lines))), wanted or Wanted()
    )


def position(view: View, seen: Shown) -> str:
    """Where in a long page of text one is; '' when all of it is seen."""
    if seen.keys or seen.lines <= seen.height:
        return ""
    return f"line {view.scroll + 1}–{min(seen.lines, view.scroll + seen.height)} of {seen.lines}"
