"""The monitor's web page while Redis goes away and comes back. This file has a Redis of its own."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from local.redis_server import RedisServer
from tests.conftest import StartWorker
from tests.support.browser import opened
from tests.support.servers import redis_at
from tests.support.web_pages import Monitor, is_live, visited
from yadtq import Settings, TaskClient


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened() as started:
        yield started


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = redis_at(tmp_path)
    server.start()
    server.wait_ready()
    yield server
    server.stop()


@pytest.fixture
def redis_address(own_redis: RedisServer) -> tuple[str, int]:
    """This file's Redis instead of the run's."""
    return ("127.0.0.1", own_redis.place.port)


@pytest.fixture
def namespace() -> str:
    """The name of a queue that only this test uses. It ends with its Redis."""
    return f"t{secrets.token_hex(5)}"


def test_the_last_picture_stays_while_redis_is_away(
    browser: Browser,
    own_redis: RedisServer,
    settings: Settings,
    environment: dict[str, str],
    worker_process: StartWorker,
    tmp_path: Path,
) -> None:
    monitor = Monitor(tmp_path / "monitor.log", environment)
    monitor.start()
    worker_process().prints("action=join")
    with TaskClient(settings) as client, visited(browser, monitor) as page:
        client.wait_for_result(client.submit("add", 2, 3), 30)
        page.goto("/")
        is_live(page)
        figure = page.locator(".card.success .figure")
        expect(figure).to_have_text("1")
        own_redis.stop()
        note = page.locator(".note.bad")
        expect(note).to_contain_text("This is the picture of", timeout=20_000)
        expect(note).to_contain_text("Redis")
        expect(page.locator(".pill")).to_contain_text("old")
        expect(figure).to_have_text("1")
        for path in ("/", "/tasks", "/workers", "/failures", "/rejected", "/healthz"):
            assert page.request.get(path).status == 200, path
        again = page.context.new_page()
        again.goto("/")
        expect(again.locator(".card.success .figure")).to_have_text("1")
        expect(again.locator(".note.bad")).to_contain_text("This is the picture of")
        own_redis.start()
        own_redis.wait_ready()
        for each in (page, again):
            expect(each.locator(".pill.live")).to_be_visible(timeout=60_000)
            expect(each.locator(".note")).to_have_count(0, timeout=30_000)
        client.submit("compress", "back")
        page.get_by_text("compress back").wait_for(timeout=20_000)
    assert monitor.stop() == 0
