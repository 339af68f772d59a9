"""The sessions of the monitor's web page: how long they live, how many there are, how often may be tried."""

import pytest

from dashboard.web.sessions import (
    LIFE_SECONDS,
    MOST_SESSIONS,
    MOST_TRIES,
    MOST_TRIES_OF_ALL,
    TRIES_SECONDS,
    Sessions,
    TooManyTries,
    WrongToken,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions("token", clock)


def fail(sessions: Sessions, address: str, times: int) -> None:
    for _ in range(times):
        with pytest.raises(WrongToken):
            sessions.log_in("wrong", address)


def test_a_session_ends(sessions: Sessions, clock: Clock) -> None:
    key = sessions.log_in("token", "here").key
    clock.now += LIFE_SECONDS
    assert sessions.find(key)
    clock.now += 1
    assert sessions.find(key) is None


def test_there_are_only_so_many(sessions: Sessions) -> None:
    keys = [sessions.log_in("token", "here").key for _ in range(MOST_SESSIONS + 1)]
    assert sessions.find(keys[0]) is None
    assert all(sessions.find(key) for key in keys[1:])


def test_keys_are_never_the_same(sessions: Sessions) -> None:
    first, second = sessions.log_in("token", "here"), sessions.log_in("token", "here")
    assert len({first.key, first.form_key, second.key, second.form_key}) == 4


def test_tries_of_one_address_are_counted_for_a_minute(sessions: Sessions, clock: Clock) -> None:
    fail(sessions, "there", MOST_TRIES)
    with pytest.raises(TooManyTries):
        sessions.log_in("token", "there")
    assert sessions.log_in("token", "here")
    clock.now += TRIES_SECONDS
    assert sessions.log_in("token", "there")


def test_tries_of_all_addresses_are_counted_too(sessions: Sessions) -> None:
    for number in range(MOST_TRIES_OF_ALL):
        fail(sessions, f"address {number}", 1)
    with pytest.raises(TooManyTries):
        sessions.log_in("token", "here")


def test_who_logs_in_often_is_not_held_up(sessions: Sessions) -> None:
    for _ in range(MOST_TRIES * 2):
        assert sessions.log_in("token", "here")
