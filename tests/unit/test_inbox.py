"""Messages of many threads, in order."""

from _yadtq.inbox import Inbox, Stop
from _yadtq.jobs import Lost, PoolMessage, Printed


def test_a_list_counts_as_its_messages() -> None:
    inbox = Inbox()
    inbox.put("first")
    inbox.put([1, 2])
    inbox.put([])
    inbox.put(3)
    assert inbox.messages(0) == ["first", 1, 2, 3]
    assert inbox.messages(0.001) == []


def test_what_was_meant_for_somebody_else_is_forgotten_and_the_rest_stays() -> None:
    inbox = Inbox()
    stop = Stop()
    inbox.put([Lost("its end"), Printed("", "stdout", "line")])
    inbox.put(stop)
    inbox.forget(PoolMessage)
    assert inbox.messages(0) == [stop]
