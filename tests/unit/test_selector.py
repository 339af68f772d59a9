"""The selector of Kafka's clients: as the standard one, but it says nothing of a socket that it does not know."""

import selectors
import socket
from collections.abc import Iterator

import pytest

from _yadtq.selector import QuickSelector


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection."""
    ends = socket.socketpair()
    yield ends
    for each in ends:
        each.close()


def test_it_finds_what_is_registered_also_when_it_was_closed(pair: tuple[socket.socket, socket.socket]) -> None:
    with QuickSelector() as selector:
        key = selector.register(pair[0], selectors.EVENT_READ, "data")
        assert selector.get_key(pair[0]) == selector.get_key(pair[0].fileno()) == key
        pair[1].send(b"x")
        assert [(found.data, events) for found, events in selector.select(1)] == [("data", selectors.EVENT_READ)]
        pair[0].close()
        assert selector.get_key(pair[0]) == key


def test_it_does_not_describe_what_it_does_not_know(pair: tuple[socket.socket, socket.socket]) -> None:
    with QuickSelector() as selector, pytest.raises(KeyError) as raised:
        selector.get_key(pair[0])
    assert "laddr" not in str(raised.value)
    pair[0].close()
    with QuickSelector() as selector, pytest.raises(ValueError, match="descriptor"):
        selector.get_key(pair[0])
