"""The monitor's web page for unit tests: the whole application over a queue in memory, and a client that asks it."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape

from starlette.testclient import TestClient

from dashboard.web.application import Access, application
from dashboard.web.audience import Audience
from tests.support.memory_operator import MemoryOperator
from tests.support.waiting import eventually
from yadtq import Log

QUEUE = "orders"
TOKEN = "a-token-of-this-test"
ADDRESS = "http://localhost:8080"
FROM_US = {"Origin": ADDRESS, "Sec-Fetch-Site": "same-origin"}


@dataclass(frozen=True, slots=True)
class WebSite:
    """browser: asks, with cookies, and follows no redirect. log: what the program has logged."""

    operator: MemoryOperator
    audience: Audience
    browser: TestClient
    log: io.StringIO

    def look(self) -> None:
        """Waits until the queue was looked at as it is now."""
        asked = self.operator.asked["snapshot"]
        self.audience.came()
        eventually(lambda: self.operator.asked["snapshot"] >= asked + 2, 5)

    def text(self, path: str) -> str:
        """A page as it is now, without escapes."""
        self.look()
        return unescape(self.browser.get(path).text)

    def log_in(self) -> str:
        """Logs in, and returns the form key."""
        answer = self.browser.post("/login", data={"token": TOKEN}, headers=FROM_US)
        assert answer.status_code == 303, answer.text
        return form_key(self.browser.get("/").text)


@contextmanager
def web_site(
    token: str = "", names: tuple[str, ...] = (), down: str = "", quick_seconds: float = 0.05
) -> Iterator[WebSite]:
    """A site; its thread looks at the queue so often. down: a server that does not answer from the beginning."""
    operator, log = MemoryOperator(), io.StringIO()
    operator.memory.down = {down} - {""}
    audience = Audience(operator, QUEUE, quick_seconds)
    audience.start()
    site = application(operator, audience, QUEUE, Access(token, names), Log("INFO", log))
    with TestClient(site, ADDRESS, raise_server_exceptions=False, follow_redirects=False) as browser:
        yield WebSite(operator, audience, browser, log)
    audience.end_streams()
    audience.close()


def form_key(page: str) -> str:
    """The key that the forms of a page carry."""
    return page.partition('name="form_key" value="')[2].partition('"')[0]
