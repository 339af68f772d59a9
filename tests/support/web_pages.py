"""The monitor's web page as a process, and pages of it in a browser that notes whatever is wrong with them."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Request

from local.ports import free_port
from tests.support.programs import RunningProgram
from tests.support.waiting import eventually

TOKEN = "a-token-of-this-test"
WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
AXE = files("axe_playwright_python").joinpath("axe.min.js")
AWAY = "net::ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE)"
"""What a browser writes about a stream whose server is away."""
REFUSED = "status of 400"
"""What it writes about a form that was not taken."""
NOTHING = "(?!)"


@dataclass(slots=True)
class Monitor:
    """monitor.py --web. flags: further ones. address: of its pages."""

    log: Path
    environment: Mapping[str, str]
    port: int = field(default_factory=free_port)
    flags: tuple[str, ...] = ()
    program: RunningProgram | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it, and waits until it listens."""
        arguments = ["monitor.py", "--web", "--port", str(self.port), *self.flags]
        self.program = RunningProgram(arguments, self.log, self.environment)
        self.program.prints("is at http://127.0.0.")

    def stop(self) -> int:
        """SIGTERM; returns its exit code."""
        assert self.program is not None
        return self.program.terminate()


@contextmanager
def visited(browser: Browser, monitor: Monitor, allowed: str = NOTHING, **options: Any) -> Iterator[Page]:
    """A page of its own; in the end nothing may have been wrong in it, and nothing asked for from elsewhere.

    allowed: lines of the browser that are no fault. options: of the browser's context.
    """
    context = browser.new_context(**{"base_url": monitor.address, "viewport": WIDE, **options})
    page = context.new_page()
    wrong: list[str] = []

    def asks(request: Request) -> None:
        if not request.url.startswith((monitor.address + "/", "data:")):
            wrong.append(f"it asked for {request.url}")

    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", asks)
    try:
        yield page
    finally:
        context.close()
    assert not [line for line in wrong if not re.search(allowed, line)]


def is_live(page: Page) -> None:
    """Waits until the page follows the queue."""
    page.wait_for_selector(".pill.live")
    eventually(lambda: page.evaluate("page.stream && page.stream.readyState === EventSource.OPEN"))


def faults(page: Page) -> list[str]:
    """What the rules of axe-core find wrong with a page, for people who do not see, hear or point."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run({resultTypes: ['violations']}).then(found => found.violations)")
    return [f"{each['id']}: {each['help']}: {node['html'][:200]}" for each in found for node in each["nodes"]]


def is_too_wide(page: Page) -> bool:
    """Whether the page can be scrolled sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
