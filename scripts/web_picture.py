"""A picture of the monitor's web page, taken in a browser."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.browser import opened
from tests.support.web_pages import Monitor, is_live, visited
from yadtq import Settings

SIZE = {"width": 1200, "height": 800}


@contextmanager
def web_page(settings: Settings, folder: Path) -> Iterator[Callable[[Path], None]]:
    """monitor.py --web, which watches from now on; what it yields writes a PNG of its overview to a path."""
    monitor = Monitor(folder / "monitor.log", settings.environment())
    monitor.start()

    def take(path: Path) -> None:
        with opened() as browser, visited(browser, monitor, viewport=SIZE, color_scheme="light") as page:
            page.goto("/")
            is_live(page)
            page.screenshot(path=path, full_page=True)

    yield take
    monitor.stop()
