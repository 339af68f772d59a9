"""The browser of the tests. `python -m tests.support.browser` looks for one, and installs one where there is none."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

VARIABLE = "CHROMIUM"
"""Path of the browser to use."""
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Nothing may leave the machine, and a container has neither a display nor, for root, a sandbox.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
INSTALL_SECONDS = 600
WAYS = (
    [sys.executable, "-m", "playwright", "install", "chromium"],
    ["apt-get", "install", "-y", "--no-install-recommends", "chromium"],
    ["sh", "-c", "apt-get update && apt-get install -y --no-install-recommends chromium"],
)


def find(playwright: Playwright) -> str:
    """The path of a browser; '' when there is none."""
    found = (os.environ.get(VARIABLE), *(shutil.which(name) for name in NAMES), playwright.chromium.executable_path)
    return next((path for path in found if path and Path(path).exists()), "")


@contextmanager
def opened() -> Iterator[Browser]:
    """A browser without a window. Without one on this machine the test fails in CI, and is skipped elsewhere."""
    with sync_playwright() as playwright:
        path = find(playwright)
        if not path:
            reason = f"no browser: set {VARIABLE}, or let python -m tests.support.browser install one"
            pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


def install() -> str:
    """Tries the ways to get a browser, one after the other; returns its path, or ''."""
    for way in WAYS:
        if way[0] != sys.executable and os.geteuid() != 0:
            continue
        try:
            subprocess.run(way, capture_output=True, timeout=INSTALL_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        with sync_playwright() as playwright:
            if path := find(playwright):
                return path
    return ""


def main() -> None:
    with sync_playwright() as playwright:
        path = find(playwright)
    if not path:
        print("no browser here: installing one for the tests of the web page", flush=True)
        path = install()
    print(
        f"browser: {path}" if path else f"no browser can be had: the tests that need one are left out; set {VARIABLE}"
    )


if __name__ == "__main__":
    main()
