"""The commands that submit: a task by its name, and Enter, which asks for it step by step."""

import difflib
import functools
from collections.abc import Iterable, Iterator, Sequence

from shell.answers import TASK_FAILED, Answer, Line, Stream
from shell.descriptions import outcome_text, short, task_data, value_text
from shell.live import DOWN
from shell.operands import Operands, bound, next_parameter
from shell.parsing import BadInput, Token, quoted, tokens_of_line
from shell.session import Manner, Session
from yadtq import SHOWN, Call, ServerUnreachable, Signature, visible


def submit(
    session: Session, task: str, operands: Sequence[Token], line: str, no_wait: bool = False, **_: object
) -> Answer:
    """Submits a task; as the program's only command also waits for it."""
    signature = named_task(session, task, line, max(0, line.find(task)))
    return _submitted(session, signature.name, bound(signature, operands, line), no_wait)


def enter(session: Session, no_wait: bool = False, **_: object) -> Answer:
    """Asks for the operation, then for its operands until an empty line, and submits the task."""
    try:
        signature = _asked_operation(session)
        line = _asked_operands(session, signature) if signature else ""
    except EOFError:
        signature = None
    except BadInput:
        _skip_operands(session)
        raise
    if signature is None:
        return Line("nothing was submitted")
    return _submitted(session, signature.name, bound(signature, tokens_of_line(line)[1:], line), no_wait)


def named_task(
    session: Session, name: str, line: str, column: int | None = None, also: Iterable[str] = ()
) -> Signature:
    """The known task with this name in any case. ServerUnreachable.

    BadInput suggests the nearest, among the tasks and what else the word could have been (`also`: commands).
    """
    known = session.signatures()
    found = find_task(known, name, line, column)
    if found is None and session.live.redis != DOWN:
        known = session.ask_signatures()
        found = find_task(known, name, line, column)
    if found is None:
        raise unknown(name, "command or task" if also else "task", [*also, *known], line, column)
    return found


def find_task(known: dict[str, Signature], name: str, line: str, column: int | None) -> Signature | None:
    """The task of this name: exactly, else in any case. BadInput: several differ only by case."""
    if name in known:
        return known[name]
    same = [task for task in known if task.lower() == name.lower()]
    if len(same) > 1:
        raise BadInput(f"several tasks are called so, type the case too: {visible(', '.join(same))}", line, column)
    return known[same[0]] if same else None


def unknown(name: str, what: str, known: Iterable[str], line: str, column: int | None) -> BadInput:
    """The error for a word that means nothing, with the nearest that does."""
    lower = {word.lower(): word for word in known}
    nearest = difflib.get_close_matches(name.lower(), lower, 1, 0.5)
    hint = f"; did you mean {visible(lower[nearest[0]])}?" if nearest else "; Help lists what there is"
    return BadInput(f"unknown {what} {quoted(name)}{hint}", line, column)


def _asked_operation(session: Session) -> Signature | None:
    words = [(name, signature.about) for name, signature in sorted(session.signatures().items())]
    name = session.asker.ask("operation: ", words, lambda text: _named_or_none(session, text))
    return _named_or_none(session, name)


def _named_or_none(session: Session, name: str) -> Signature | None:
    name = name.strip()
    return named_task(session, name, name, 0) if name else None


def _asked_operands(session: Session, signature: Signature) -> str:
    """Asks for operands one by one, until an empty line; the line that they make."""
    line = signature.name
    words = [(f"{p.name}=", p.annotation) for p in signature.parameters if p.kind in ("positional", "keyword")]
    while True:
        after = next_parameter(signature, tokens_of_line(line)[1:])
        question = f"{visible(after.name)}: " if after else "(Enter submits) "
        try:
            text = session.asker.ask(question, words, functools.partial(_check_operand, session, signature, line))
        except EOFError:
            if session.asker.can_confirm:
                raise
            text = ""
        if not text.strip():
            return line
        line = f"{line} {text.strip()}"


def _check_operand(session: Session, signature: Signature, line: str, text: str) -> None:
    """BadInput when the operands so far and this one cannot be right; a person hears at once that one is missing."""
    line = f"{line} {text.strip()}".rstrip()
    bound(signature, tokens_of_line(line)[1:], line, complete=session.asker.can_confirm and not text.strip())


def _skip_operands(session: Session) -> None:
    """After a mistake in a pipe: the operands that follow must not be taken for commands."""
    if session.asker.can_confirm:
        return
    try:
        while session.asker.ask("", (), lambda text: None).strip():
            pass
    except EOFError:
        return


def _submitted(session: Session, name: str, operands: Operands, no_wait: bool) -> Answer:
    [task_id] = session.client.submit_many([Call(name, operands.args, operands.kwargs)])
    session.own.add(task_id)
    data = {"id": task_id, "status": "queued"}
    if session.manner is Manner.PROMPT:
        return Line(f"{short(task_id)}  {SHOWN['queued']}", data, SHOWN["queued"])
    if session.manner is Manner.PIPE or no_wait or session.no_wait:
        return Line(task_id, data)
    return Stream(_result(session, task_id))


def _result(session: Session, task_id: str) -> Iterator[Line]:
    """The bare result, for the program's only command; why there is none goes to the error output."""
    try:
        for task in session.wait([task_id]):
            if task.status == "success":
                yield Line(value_text(task.result), task_data(task))
            else:
                yield Line(f"{SHOWN[task.status]}: {outcome_text(task)}", task_data(task), "", TASK_FAILED, True)
    except ServerUnreachable as error:
        note = f"{error}. The task was submitted and goes on; look later: python client.py view {task_id}"
        raise ServerUnreachable(error.server, note) from None
