"""Waits for descriptors to become readable, and says what to do then."""

import select
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple


class _Watched(NamedTuple):
    order: int
    action: Callable[[], object]


class Watch:
    """Any thread may add and remove; one thread waits."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, _Watched] = {}

    def add(self, descriptor: int, order: int, action: Callable[[], object]) -> None:
        """Calls for `action` when the descriptor is readable; of several, the lowest `order` first."""
        self._watched[descriptor] = _Watched(order, action)
        self._epoll.register(descriptor, select.EPOLLIN)

    def remove(self, descriptor: int) -> None:
        """Must come before the descriptor is closed. One that is not watched is no error."""
        if self._watched.pop(descriptor, None):
            self._epoll.unregister(descriptor)

    def wait(self, timeout: float) -> Collection[int]:
        """The descriptors that are readable, after at most `timeout` seconds."""
        return [number for number, _ in self._epoll.poll(timeout)]

    def actions(self, readable: Collection[int]) -> Iterator[Callable[[], object]]:
        """What is to be done then. Actions must bear being called for nothing."""
        known = [(number, self._watched.get(number)) for number in readable]
        found = [(watched.order, number, watched) for number, watched in known if watched]
        for _, number, watched in sorted(found, key=lambda each: each[:2]):
            if self._watched.get(number) is watched:  # an earlier action may have removed it
                yield watched.action

    def close(self) -> None:
        self._epoll.close()
