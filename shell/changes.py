"""The commands that change what is there, and the one that leaves: Retry, Reset, Exit."""

from shell.answers import Answer, Leave, Line
from shell.descriptions import short, task_data
from shell.parsing import BadInput
from shell.session import Session
from yadtq import SHOWN


def retry(session: Session, id: str, **_: object) -> Answer:
    """Queues a failed task again; its history stays."""
    task = session.client.retry(session.task_id(id))
    session.own.add(task.id)
    state = SHOWN[task.status]
    return Line(f"{short(task.id)}  {state}", task_data(task), state)


def reset(session: Session, yes: bool, **_: object) -> Answer:
    """Removes every task, after a confirmation."""
    if not yes:
        if not session.asker.can_confirm:
            raise BadInput("Reset removes every task and nobody is here to confirm it; say so: Reset --yes")
        if not _confirmed(session):
            return Line("nothing was removed", {"removed": 0})
    removed = session.client.reset()
    session.own.forget(*session.own.running())
    return Line(f"removed {removed:,} task{'' if removed == 1 else 's'}", {"removed": removed})


def leave(session: Session, **_: object) -> Answer:
    """Ends the session; its tasks go on."""
    count = len(session.own.running()) if session.asker.can_confirm else 0
    if not count:
        return Leave()
    return Leave(f"still running: {count} task{'' if count == 1 else 's'} of this session; nothing was cancelled")


def _confirmed(session: Session) -> bool:
    counts = session.client.counts()
    total, running = sum(counts.values()), counts.get("processing", 0)
    question = f"remove all {total:,} tasks, {running:,} of them in progress? (yes/no) "
    try:
        return session.asker.ask(question, [("yes", ""), ("no", "")], lambda text: None).strip().lower() == "yes"
    except EOFError:
        return False
