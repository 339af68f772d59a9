"""The monitor's web page in a real browser, against a real queue with a worker."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import opened
from tests.support.programs import RunningProgram
from tests.support.servers import remove_queue
from tests.support.waiting import eventually
from tests.support.web_pages import AWAY, PHONE, REFUSED, TOKEN, WIDE, Monitor, faults, is_live, is_too_wide, visited
from yadtq import Settings, TaskClient

PATHS = ("/", "/tasks", "/tasks?status=failed", "/workers", "/failures", "/rejected", "/login", "/reset")
HOSTILE = "<img src=x onerror=\"document.title='broken'\">"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser of this file; it ends with it, because its event loop stands in the way of others."""
    with opened() as started:
        yield started


@dataclass(frozen=True, slots=True)
class Site:
    """A queue with a worker, and its page. tasks: status → id of a task that has it; 'strange' is full of markup."""

    monitor: Monitor
    client: TaskClient
    tasks: dict[str, str]

    def count(self, status: str) -> str:
        """What the overview shows for a status."""
        return f"{self.client.counts()[status]:,}"


@pytest.fixture(scope="module")
def site(kafka_broker: str, redis_address: tuple[str, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The queue that most tests of this file look at; it grows from test to test."""
    host, port = redis_address
    name, folder = f"t{secrets.token_hex(5)}", tmp_path_factory.mktemp("site")
    settings = Settings.load({}, kafka_broker=kafka_broker, redis_host=host, redis_port=port, namespace=name)
    environment = settings.environment() | {"WORKER_ID": "worker1", "TASK_MAX_RETRIES": "0"}
    worker = RunningProgram(["worker.py", "--concurrency", "2"], folder / "worker.log", environment)
    monitor = Monitor(folder / "monitor.log", {**environment, "MONITOR_TOKEN": TOKEN})
    monitor.start()
    try:
        with TaskClient(settings) as client:
            worker.prints("action=join")
            yield Site(monitor, client, some_tasks(client))
        assert monitor.stop() == 0
    finally:
        worker.kill()
        remove_queue(name, kafka_broker, redis_address)


def some_tasks(client: TaskClient) -> dict[str, str]:
    ids = {
        "success": client.submit("add", 2, 3),
        "failed": client.submit("div", 1, 0),
        "strange": client.submit(HOSTILE, HOSTILE),
        "processing": client.submit("sleep", 600),
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


def test_what_happens_in_the_queue_appears_within_a_second(browser: Browser, site: Site) -> None:
    with visited(browser, site.monitor) as overview, visited(browser, site.monitor) as listing:
        overview.goto("/")
        listing.goto("/tasks")
        is_live(overview)
        is_live(listing)
        figure = overview.locator(".card.success .figure")
        expect(figure).to_have_text(site.count("success"))
        site.client.submit("compress", "so")
        listing.get_by_text("compress so").wait_for(timeout=1000)
        overview.get_by_text("compress so").wait_for(timeout=1000)
        expect(figure).to_have_text(site.count("success"), timeout=2000)


def test_a_list_is_filtered_and_leads_to_a_task_and_its_history(browser: Browser, site: Site) -> None:
    with visited(browser, site.monitor) as page:
        page.goto("/")
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Tasks").click()
        page.get_by_label("State").select_option("failed")
        page.get_by_label("Name").fill("div")
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        page.get_by_role("link", name="div 1 0").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("div 1 0")
        expect(page.locator(".history li.failed").first).to_contain_text("attempt 1")
        expect(page.get_by_role("main")).to_contain_text("worker1")
        page.goto("/tasks")
        page.get_by_label("Id begins with").fill(site.tasks["success"][:10])
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        expect(page.locator("tbody tr")).to_contain_text("add 2 3")


def test_a_page_that_changes_keeps_what_a_person_does(browser: Browser, site: Site) -> None:
    with visited(browser, site.monitor) as page:
        page.goto("/tasks")
        is_live(page)
        page.get_by_label("Name").fill("half a wo")
        page.get_by_role("link", name="add 2 3").focus()
        site.client.submit("compress", "more")
        page.get_by_text("compress more").wait_for()
        assert page.evaluate("document.activeElement.textContent") == "add 2 3"
        expect(page.get_by_label("Name")).to_have_value("half a wo")
        page.get_by_role("button", name="Pause").click()
        site.client.submit("compress", "later")
        eventually(lambda: "later" in page.evaluate("page.waiting.get('tasks') || ''"))
        expect(page.get_by_text("compress later")).to_have_count(0)
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_text("compress later")).to_have_count(1)


def test_a_monitor_that_is_started_again_is_followed_again(browser: Browser, site: Site) -> None:
    with visited(browser, site.monitor, AWAY) as page:
        page.goto("/tasks")
        is_live(page)
        assert site.monitor.stop() == 0
        page.get_by_text("the monitor does not answer").wait_for()
        expect(page.get_by_text("add 2 3")).to_be_visible()
        site.monitor.start()
        site.client.submit("compress", "again")
        page.get_by_text("compress again").wait_for(timeout=15_000)
        is_live(page)


def test_everything_can_be_read_without_javascript(browser: Browser, site: Site) -> None:
    with visited(browser, site.monitor, java_script_enabled=False) as page:
        page.goto("/")
        expect(page.locator(".card.success .figure")).to_have_text(site.count("success"))
        page.locator(".card.failed").click()
        expect(page.get_by_role("link", name="div 1 0")).to_be_visible()
        expect(page.get_by_role("button", name="Pause")).to_have_count(0)


# -- for everybody


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_every_page_fits_and_has_no_fault(browser: Browser, site: Site, scheme: str, viewport: dict[str, int]) -> None:
    with visited(browser, site.monitor, viewport=viewport, color_scheme=scheme) as page:
        log_in(page)
        for path in (*PATHS, *(f"/task?id={task_id}" for task_id in site.tasks.values())):
            page.goto(path)
            assert not is_too_wide(page), path
            assert faults(page) == [], path
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(245, 246, 248)") == (scheme == "light")


def test_a_keyboard_is_enough(browser: Browser, site: Site) -> None:
    with visited(browser, site.monitor) as page:
        page.goto("/tasks?task=add")
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
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("add 2 3")


def test_what_comes_from_outside_stays_text(browser: Browser, site: Site) -> None:
    with visited(browser, site.monitor) as page:
        for path in (f"/task?id={site.tasks['strange']}", "/tasks", "/failures"):
            page.goto(path)
            is_live(page)
            assert page.locator("img").count() == 0
            assert page.title() != "broken"
            expect(page.locator("body")).to_contain_text(HOSTILE[:20])


# -- what changes something


def test_a_task_is_retried_and_a_reset_wants_the_name(browser: Browser, site: Site) -> None:
    failed = site.client.submit("div", 7, 0)
    site.client.wait_for_result(failed, 30)
    with visited(browser, site.monitor, REFUSED) as page:
        page.goto(f"/task?id={failed}")
        page.get_by_role("link", name="Retry…").click()
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Retry this task?")
        assert site.client.get_result(failed).attempt == 1
        page.get_by_role("button", name="Retry it").click()
        page.wait_for_url("**/task?**")
        expect(page.locator(".history li.failed")).to_have_count(2, timeout=10_000)
        page.get_by_role("link", name="Reset the queue…").click()
        page.get_by_label("To go on, type the queue's name").fill("another")
        with page.expect_response("**/reset") as answer:
            page.get_by_role("button", name="Reset the queue").click()
        assert answer.value.status == 400
        assert site.client.get_result(failed).attempt == 2


def test_a_reset_empties_the_page(
    browser: Browser, settings: Settings, environment: dict[str, str], namespace: str, tmp_path: Path
) -> None:
    monitor = Monitor(tmp_path / "monitor.log", {**environment, "MONITOR_TOKEN": TOKEN})
    monitor.start()
    with TaskClient(settings) as client, visited(browser, monitor) as page:
        client.submit("add", 2, 3)
        log_in(page)
        expect(page.get_by_text("add 2 3")).to_be_visible()
        page.get_by_role("link", name="Reset the queue…").click()
        page.get_by_label("To go on, type the queue's name").fill(namespace)
        page.get_by_role("button", name="Reset the queue").click()
        page.wait_for_url("**/")
        expect(page.get_by_text("No tasks yet")).to_be_visible()
        assert sum(client.counts().values()) == 0
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("link", name="Log in")).to_be_visible()
    assert monitor.stop() == 0
