"""The monitor's web page in a real browser, against a real queue with a worker."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import StartWorker
from tests.support.browser import opened
from tests.support.waiting import eventually
from tests.support.web_pages import AWAY, PHONE, REFUSED, TOKEN, Monitor, faults, is_live, is_too_wide, visited
from yadtq import Settings, TaskClient

PATHS = ("/", "/tasks", "/tasks?status=failed", "/workers", "/failures", "/rejected", "/login")
HOSTILE = "<img src=x onerror=\"document.title='broken'\">"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser of this file; it ends with it, because its event loop stands in the way of others."""
    with opened() as started:
        yield started


@pytest.fixture
def client(settings: Settings) -> Iterator[TaskClient]:
    with TaskClient(settings) as connected:
        yield connected


@pytest.fixture
def monitor(environment: dict[str, str], tmp_path: Path) -> Iterator[Monitor]:
    """The monitor of this test's queue, with a token."""
    started = Monitor(tmp_path / "monitor.log", {**environment, "MONITOR_TOKEN": TOKEN})
    started.start()
    yield started
    assert started.stop() == 0


@pytest.fixture
def tasks(client: TaskClient, worker_process: StartWorker) -> dict[str, str]:
    """Status → id of a task that has it; a worker runs them."""
    worker = worker_process(concurrency=2, task_max_retries=0)
    worker.prints("action=join")
    ids = {
        "success": client.submit("add", 2, 3),
        "failed": client.submit("div", 1, 0),
        "strange": client.submit(HOSTILE, HOSTILE),
        "processing": client.submit("sleep", 60),
    }
    for name in ("success", "failed", "strange"):
        client.wait_for_result(ids[name], 30)
    eventually(lambda: client.get_result(ids["processing"]).status == "processing")
    return ids


def log_in(page: Page) -> None:
    page.goto("/login")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/")


# -- live


def test_what_happens_in_the_queue_appears_within_a_second(
    browser: Browser, monitor: Monitor, client: TaskClient, tasks: dict[str, str]
) -> None:
    with visited(browser, monitor) as overview, visited(browser, monitor) as listing:
        overview.goto("/")
        listing.goto("/tasks")
        is_live(overview)
        is_live(listing)
        figure = overview.locator(".card.success .figure")
        expect(figure).to_have_text("1")
        client.submit("compress", "so")
        acknowledged = time.monotonic()
        listing.get_by_text("compress so").wait_for(timeout=1000)
        overview.get_by_text("compress so").wait_for(timeout=1000)
        expect(figure).to_have_text("2", timeout=2000)
        assert time.monotonic() - acknowledged < 1.5


def test_a_list_is_filtered_and_leads_to_a_task_and_its_history(
    browser: Browser, monitor: Monitor, tasks: dict[str, str]
) -> None:
    with visited(browser, monitor) as page:
        page.goto("/")
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Tasks").click()
        expect(page.locator("tbody tr")).to_have_count(4)
        page.get_by_label("State").select_option("failed")
        page.get_by_label("Name").fill("div")
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        page.get_by_role("link", name="div 1 0").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("div 1 0")
        expect(page.locator(".history li.failed")).to_contain_text("attempt 1")
        expect(page.get_by_role("main")).to_contain_text("worker1")
        page.goto("/tasks")
        page.get_by_label("Id begins with").fill(tasks["success"][:10])
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        expect(page.locator("tbody tr")).to_contain_text("add 2 3")


def test_a_page_that_changes_keeps_what_a_person_does(
    browser: Browser, monitor: Monitor, client: TaskClient, tasks: dict[str, str]
) -> None:
    with visited(browser, monitor) as page:
        page.goto("/tasks")
        is_live(page)
        page.get_by_role("link", name="add 2 3").focus()
        page.get_by_label("Name").fill("half a wo")
        page.get_by_role("link", name="add 2 3").focus()
        client.submit("compress", "so")
        page.get_by_text("compress so").wait_for()
        assert page.evaluate("document.activeElement.textContent") == "add 2 3"
        expect(page.get_by_label("Name")).to_have_value("half a wo")
        page.get_by_role("button", name="Pause").click()
        client.submit("compress", "later")
        eventually(lambda: "later" in page.evaluate("page.waiting.get('tasks') || ''"))
        expect(page.get_by_text("compress later")).to_have_count(0)
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_text("compress later")).to_have_count(1)


def test_a_monitor_that_is_started_again_is_followed_again(
    browser: Browser, monitor: Monitor, client: TaskClient, tasks: dict[str, str]
) -> None:
    with visited(browser, monitor, AWAY) as page:
        page.goto("/tasks")
        is_live(page)
        assert monitor.stop() == 0
        page.get_by_text("the monitor does not answer").wait_for()
        expect(page.locator("tbody tr")).to_have_count(4)
        monitor.start()
        client.submit("compress", "so")
        page.get_by_text("compress so").wait_for(timeout=15_000)
        is_live(page)


def test_everything_can_be_read_without_javascript(browser: Browser, monitor: Monitor, tasks: dict[str, str]) -> None:
    with visited(browser, monitor, java_script_enabled=False) as page:
        page.goto("/")
        expect(page.locator(".card.success .figure")).to_have_text("1")
        page.get_by_role("link", name="failed", exact=False).first.click()
        expect(page.locator("tbody tr")).to_have_count(2)
        expect(page.get_by_role("button", name="Pause")).to_have_count(0)


# -- for everybody


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["wide", "phone"])
def test_every_page_fits_and_has_no_fault(
    browser: Browser, monitor: Monitor, tasks: dict[str, str], scheme: str, size: str
) -> None:
    options: dict[str, Any] = {"color_scheme": scheme, **({"viewport": PHONE} if size == "phone" else {})}
    with visited(browser, monitor, **options) as page:
        log_in(page)
        for path in (*PATHS, *(f"/task?id={task_id}" for task_id in tasks.values()), "/reset"):
            page.goto(path)
            assert not is_too_wide(page), path
            assert faults(page) == [], path
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(245, 246, 248)") == (scheme == "light")


def test_a_keyboard_is_enough(browser: Browser, monitor: Monitor, tasks: dict[str, str]) -> None:
    with visited(browser, monitor) as page:
        page.goto("/tasks")
        is_live(page)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.name") == "status"
        reached = []
        while (name := page.evaluate("document.activeElement.textContent.trim()")) != "add 2 3":
            reached.append(name)
            assert len(reached) < 20, reached
            page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("add 2 3")


def test_what_comes_from_outside_stays_text(browser: Browser, monitor: Monitor, tasks: dict[str, str]) -> None:
    with visited(browser, monitor) as page:
        for path in (f"/task?id={tasks['strange']}", "/tasks", "/", "/failures"):
            page.goto(path)
            is_live(page)
            assert page.locator("img").count() == 0
            assert page.title() != "broken"
            expect(page.locator("body")).to_contain_text(HOSTILE[:20])


# -- what changes something


def test_a_task_is_retried_and_the_queue_reset(
    browser: Browser, monitor: Monitor, client: TaskClient, tasks: dict[str, str]
) -> None:
    with visited(browser, monitor, REFUSED) as page:
        page.goto(f"/task?id={tasks['failed']}")
        page.get_by_role("link", name="Retry…").click()
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Retry this task?")
        assert client.get_result(tasks["failed"]).attempt == 1
        page.get_by_role("button", name="Retry it").click()
        page.wait_for_url("**/task?**")
        expect(page.locator(".history li.failed")).to_have_count(2, timeout=10_000)
        page.get_by_role("link", name="Reset the queue…").click()
        name = page.get_by_label("To go on, type the queue's name")
        name.fill("another")
        with page.expect_response("**/reset") as answer:
            page.get_by_role("button", name="Reset the queue").click()
        assert answer.value.status == 400
        assert sum(client.counts().values()) == 4


def test_a_reset_empties_the_page(
    browser: Browser, monitor: Monitor, client: TaskClient, tasks: dict[str, str], namespace: str
) -> None:
    with visited(browser, monitor) as page:
        log_in(page)
        page.goto("/reset")
        page.get_by_label("To go on, type the queue's name").fill(namespace)
        page.get_by_role("button", name="Reset the queue").click()
        page.wait_for_url("**/")
        expect(page.get_by_text("No tasks yet")).to_be_visible()
        assert sum(client.counts().values()) == 0
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("link", name="Log in")).to_be_visible()
