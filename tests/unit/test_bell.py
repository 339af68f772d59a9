"""The bell: a thread that waits for a server is woken at once, and by nothing else."""

import os
import threading
import time
from collections.abc import Iterator

import pytest

from _yadtq.bell import Bell

LONG, SOON = 60.0, 10.0


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """What a server would be heard through."""
    ends = os.pipe()
    yield ends
    for each in ends:
        os.close(each)


def test_what_is_to_be_read_is_heard(pipe: tuple[int, int]) -> None:
    bell = Bell()
    assert not bell.hears(pipe[0], 0.0)
    os.write(pipe[1], b"x")
    assert bell.hears(pipe[0], LONG)


def test_a_ring_ends_a_wait(pipe: tuple[int, int]) -> None:
    bell, heard = Bell(), list[bool]()
    waiting = threading.Thread(target=lambda: heard.append(bell.hears(pipe[0], LONG)))
    waiting.start()
    bell.ring()
    waiting.join(SOON)
    assert heard == [False]


def test_rings_before_a_wait_end_one(pipe: tuple[int, int]) -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    began = time.monotonic()
    assert not bell.hears(pipe[0], LONG)
    assert time.monotonic() - began < SOON
    assert not bell.hears(pipe[0], 0.01)
    assert time.monotonic() - began >= 0.01


def test_what_came_with_a_ring_is_heard(pipe: tuple[int, int]) -> None:
    bell = Bell()
    bell.ring()
    os.write(pipe[1], b"x")
    assert bell.hears(pipe[0], LONG)


def test_its_descriptor_ends_with_it() -> None:
    before = len(os.listdir("/proc/self/fd"))
    bell = Bell()
    assert len(os.listdir("/proc/self/fd")) == before + 1
    del bell
    assert len(os.listdir("/proc/self/fd")) == before
