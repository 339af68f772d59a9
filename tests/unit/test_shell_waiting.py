"""A task that a command waits for is shown by that command, and by no notice."""

from shell.notices import Notices
from tests.support.memory_client import MemoryClient
from tests.support.shell_session import session_of


def test_what_a_command_waits_for_is_shown_once() -> None:
    client = MemoryClient()
    session = session_of(client)
    first, second = client.submit("add", 1, 2), client.submit("add", 3, 4)
    session.own.add(first)
    session.own.add(second)
    notices = Notices(client, session.own, lambda: None)

    client.end(first, 3)
    waiting = session.wait({first, second})
    assert next(waiting).id == first
    assert session.own.running() == set()
    notices._look({first, second})  # woken at the same instant as the command
    assert notices.collect() == []

    waiting.close()  # as Ctrl-C does
    assert session.own.running() == {second}
    assert session.own.last == second
    client.end(second, 7)
    notices._look({second})
    (line,) = notices.collect()
    assert "add 3 4 = 7" in line.text
