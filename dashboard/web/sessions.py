"""Who has shown the token. Sessions live in memory: when the monitor is started again, everybody logs in again."""

import hmac
import math
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

LIFE_SECONDS = 12 * 3600.0
MOST_SESSIONS = 100
TRIES_SECONDS = 60.0
MOST_TRIES, MOST_TRIES_OF_ALL = 5, 30  # that failed within TRIES_SECONDS, of one address and of all


class WrongToken(Exception):
    """What was given is not the token."""


class TooManyTries(Exception):
    """Too many tries have failed lately. seconds: until the next one is looked at."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many tries have failed: try again in {seconds} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Session:
    """key: what the browser's cookie holds. form_key: what each of its forms must carry. until: monotonic seconds."""

    key: str
    form_key: str
    until: float


class Sessions:
    """Lets in who gives the token, and knows them by a random key for twelve hours. For one thread, the event loop's.

    now: monotonic seconds.
    """

    def __init__(self, token: str, now: Callable[[], float] = time.monotonic) -> None:
        self._token = token
        self._now = now
        self._sessions: dict[str, Session] = {}
        self._failed: deque[tuple[float, str]] = deque()

    def log_in(self, given: str, address: str) -> Session:
        """A new session for who gives the token. address: of who tries. Raises WrongToken or TooManyTries."""
        now = self._now()
        self._count_tries(now, address)
        if not same(given, self._token):
            self._failed.append((now, address))
            raise WrongToken("that is not the token")
        session = Session(secrets.token_urlsafe(32), secrets.token_urlsafe(32), now + LIFE_SECONDS)
        while len(self._sessions) >= MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[session.key] = session
        return session

    def log_out(self, key: str) -> None:
        """Ends a session, if there is one."""
        self._sessions.pop(key, None)

    def find(self, key: str) -> Session | None:
        """The session that a cookie names, while it lives."""
        session = self._sessions.get(key)
        if session is not None and session.until < self._now():
            self.log_out(key)
            return None
        return session

    def _count_tries(self, now: float, address: str) -> None:
        while self._failed and self._failed[0][0] <= now - TRIES_SECONDS:
            self._failed.popleft()
        own = [at for at, who in self._failed if who == address]
        if len(own) >= MOST_TRIES or len(self._failed) >= MOST_TRIES_OF_ALL:
            oldest = own[0] if len(own) >= MOST_TRIES else self._failed[0][0]
            raise TooManyTries(math.ceil(oldest + TRIES_SECONDS - now))


def same(given: str, right: str) -> bool:
    """Whether two secrets are the same, in a time that tells nothing about them, nor about their length."""
    return hmac.compare_digest(_digest(given), _digest(right))


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
