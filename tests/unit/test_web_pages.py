"""What the monitor's pages show of a queue, and that nothing from outside becomes markup."""

import time
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given

from dashboard.web.views import PAGE_TASKS, VIEWS, path_of
from tests.support.hostile import bounded, texts, values
from tests.support.queue_pictures import lost_worker, snapshot, task, worker
from tests.support.waiting import eventually
from tests.support.web_site import WebSite, web_site
from yadtq import Casualty, Failure, Signature, Span, visible

PATHS = [path_of(view) for view in VIEWS.values()]
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}\x1b[31m\u202e"


@pytest.fixture
def site() -> Iterator[WebSite]:
    with web_site() as opened:
        yield opened


@pytest.fixture(scope="module")
def shared() -> Iterator[WebSite]:
    """One site for many examples."""
    with web_site(quick_seconds=0.002) as opened:
        yield opened


class Markup(HTMLParser):
    """Collects the tags of a page with the names of their attributes, and the ids."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[tuple[str, tuple[str, ...]]] = set()
        self.ids: list[str] = []
        self.scripts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add((tag, tuple(sorted(name for name, _ in attrs))))
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag == "script":
            self.scripts.append(dict(attrs).get("src") or "inline")


# -- what they show


def test_the_overview_shows_the_queue(site: WebSite) -> None:
    for number, status in enumerate(("queued", "processing", "success", "failed", "failed")):
        site.operator.memory.put(task(number, status))
    shown = site.text("/")
    for piece in (
        "orders",
        "completed",
        "worker1",
        "add 4 1",
        "lag 3 in 2 partitions",
        "host1-11",
        "leading",
        "1 of 3",
    ):
        assert piece in shown
    assert '<span class="figure">2</span>' in shown


def test_the_curves_reach_back_ten_minutes_or_an_hour(site: WebSite) -> None:
    now = time.time()
    spans = (Span(now - 2000, now - 1990, 7, 0), Span(now - 100, now - 90, 5, 0))
    site.operator.now = snapshot(spans=spans)
    assert "5 completed" in site.text("/")
    assert "12 completed" in site.text("/?last=hour")


def test_tasks_are_filtered_by_all_that_the_form_offers(site: WebSite) -> None:
    for number in range(4):
        status = "failed" if number % 2 else "success"
        site.operator.memory.put(task(number, status, task=f"name{number}", worker_id=f"worker{number}~abcdefgh"))
    site.operator.memory.put(task(9, "failed", id="other", task="name1"))
    assert "name3" in site.text("/tasks")
    shown = site.text("/tasks?status=failed&task=name1&id=task")
    assert "task0001" in shown
    assert "task0003" not in shown
    assert "other" not in shown
    assert "3 of 3 tasks were looked at" in shown
    assert "name2" in site.text("/tasks?worker=worker2~abcdefgh")
    assert "No task matches" in site.text("/tasks?task=nothing")


def test_a_status_may_be_named_as_people_read_it(site: WebSite) -> None:
    site.operator.memory.put(task(1, "processing"))
    site.operator.memory.put(task(2, "queued"))
    shown = site.text("/tasks?status=in-progress")
    assert "add 1 1" in shown
    assert "add 2 1" not in shown


def test_a_long_list_has_pages(site: WebSite) -> None:
    for number in range(PAGE_TASKS + 1):
        site.operator.memory.put(task(number))
    first = site.text("/tasks?status=success")
    assert f"/tasks?status=success&first={PAGE_TASKS}" in first
    second = site.text(f"/tasks?status=success&first={PAGE_TASKS}")
    assert "task0000" in second
    assert "51 to 51 of 51" in second
    assert 'rel="next"' not in second


@pytest.mark.parametrize("first", ["-1", "x", "9" * 30, "٣", "1.5"])
def test_a_page_that_is_no_number_is_the_first(site: WebSite, first: str) -> None:
    site.operator.memory.put(task(1))
    assert "task0001" in site.browser.get("/tasks", params={"first": first}).text


def test_an_unfinished_look_is_said(site: WebSite, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = site.operator.page
    monkeypatch.setattr(
        site.operator, "page", lambda **given: replace(usual(**given), next=12_000, looked_at=12_000, complete=False)
    )
    shown = site.text("/tasks?task=rare")
    assert "Time was over after 12,000 tasks; more may match." in shown
    assert 'href="/tasks?task=rare&first=12000">Go on looking' in shown


def test_a_task_has_a_page_with_its_history(site: WebSite) -> None:
    failed = task(3, "failed", kwargs={"name": "é"}, attempt=2, failures=2)
    site.operator.memory.put(failed)
    shown = site.text("/task?id=task0003")
    for piece in (
        "add 3 1",
        "ZeroDivisionError: division by zero",
        "Traceback\n  File x",
        '"name": "é"',
        "host1-7~abc123",
    ):
        assert piece in shown
    assert "attempt 2" in shown
    assert "Retry" not in shown


def test_a_task_that_does_not_exist_is_said(site: WebSite) -> None:
    answer = site.browser.get("/task?id=nobody")
    assert answer.status_code == 404
    assert "no task has the id nobody" in answer.text


def test_a_large_value_is_cut(site: WebSite) -> None:
    site.operator.memory.put(task(1, result="x" * 1_000_000))
    assert len(site.browser.get("/task?id=task0001").text) < 100_000
    assert len(site.browser.get("/tasks").text) < 20_000


def test_lost_workers_are_shown_with_what_became_of_their_tasks(site: WebSite) -> None:
    site.operator.lost = (lost_worker(count=25, tasks=(Casualty("task0001", True, "success"), Casualty("x", False))),)
    shown = site.text("/failures")
    for piece in ("worker9~qqqqqqqq", "host9", "its lease lapsed", "25 tasks", "had begun", "gone", "23 more"):
        assert piece in shown


def test_rejected_messages_are_shown_with_their_bytes(site: WebSite) -> None:
    reason = Failure("Rejected", "it is not JSON")
    site.operator.memory.put(task(1, "rejected", message=b"\xff{nonsense", error=reason, task="", args=[]))
    shown = site.text("/rejected")
    assert "\\xff{nonsense" in shown
    assert "it is not JSON" in shown
    assert "\\xff{nonsense" in site.text("/task?id=task0001")


@pytest.mark.parametrize("path", PATHS)
def test_an_empty_queue_says_so_everywhere(site: WebSite, path: str) -> None:
    site.operator.now = snapshot(workers=(), servers=(), spans=(), lag={}, relay="", waiting_seconds=0.0)
    assert site.browser.get(path).status_code in (200, 404)


# -- servers that are away


@pytest.mark.parametrize("path", PATHS)
def test_the_last_picture_stays_and_is_marked_as_old(site: WebSite, path: str) -> None:
    site.operator.memory.put(task(1, "failed"))
    path = f"{path}?id=task0001" if path == "/task" else path
    before = site.text(path)
    assert "part-notes" in before
    assert "This is the picture of" not in before
    site.operator.memory.down.add("redis")
    eventually(lambda: site.audience.picture.trouble, 5)
    answer = site.browser.get(path)
    assert answer.status_code == 200
    assert "This is the picture of" in answer.text
    assert "Redis at 127.0.0.1:1 does not answer" in answer.text
    assert ("add 1 1" in answer.text) == ("add 1 1" in before)
    site.operator.memory.down.clear()
    eventually(lambda: "This is the picture of" not in site.browser.get(path).text, 10)


@pytest.mark.parametrize("path", PATHS)
def test_a_redis_that_was_never_there_is_said(path: str) -> None:
    with web_site(down="redis") as site:
        eventually(lambda: site.audience.picture.trouble, 5)
        answer = site.browser.get(path)
        assert answer.status_code == 200
        assert "does not answer" in answer.text


def test_without_kafka_the_rest_is_shown(site: WebSite) -> None:
    site.operator.now = snapshot(lag=None)
    site.operator.memory.down.add("kafka")
    shown = site.text("/")
    assert "lag unknown" in shown
    assert "Kafka does not answer" in shown
    assert "This is the picture of" not in shown


def test_health_is_about_the_monitor_itself() -> None:
    with web_site(down="redis") as site:
        eventually(lambda: site.audience.picture.trouble, 5)
        answer = site.browser.get("/healthz")
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        site.audience._looked_at -= 100
        assert site.browser.get("/healthz").status_code == 503


# -- nothing from outside becomes markup


def fill(site: WebSite, word: str, value: object = None) -> None:
    """A queue in which everything that can come from outside is `word`."""
    failure = Failure(word, word, word)
    for number, status in enumerate(("queued", "processing", "success", "failed", "rejected")):
        made = task(
            number, status, task=word, args=[value, word], kwargs={word: value}, worker_id=word, submitted_by=word,
            error=failure if status in ("failed", "rejected") else None, attempt=1,
            message=word.encode("utf-8", "surrogatepass") if status == "rejected" else b"", submitted_at=time.time(),
        )  # fmt: skip
        site.operator.memory.put(replace(made, result=value) if status == "success" else made)
    strange = worker(
        id=word, worker_id=word, host=word, state=word, running=(word,), tasks=(Signature(word, (), word),)
    )
    now = snapshot(workers=(strange,), relay=word)
    servers = (replace(now.servers[0], id=word, host=word, state=word),)
    site.operator.now = replace(now, servers=servers)
    site.operator.lost = (
        lost_worker(worker=word, worker_id=word, host=word, reason=word, tasks=(Casualty(word, True, word),)),
    )


PAGES_FILLED = (*(path for path in PATHS if path != "/task"), *(f"/task?id=task000{number}" for number in range(5)))


def check(site: WebSite, usual: dict[str, set[tuple[str, tuple[str, ...]]]]) -> None:
    site.look()
    for path in PAGES_FILLED:
        page = site.browser.get(path).text
        found = Markup(page)
        assert found.tags <= usual[path], path
        assert found.scripts == ["/static/live.js"]
        assert len(found.ids) == len(set(found.ids)), path
        assert all(character.isprintable() or character == "\n" for character in page), path


def tags(site: WebSite) -> dict[str, set[tuple[str, tuple[str, ...]]]]:
    return {path: Markup(site.browser.get(path).text).tags for path in PAGES_FILLED}


@pytest.fixture(scope="module")
def usual(shared: WebSite) -> dict[str, set[tuple[str, tuple[str, ...]]]]:
    """The tags of each page when nobody means harm."""
    fill(shared, "word")
    shared.look()
    return tags(shared)


@given(word=texts, value=values)
@bounded
def test_no_text_becomes_markup(
    shared: WebSite, usual: dict[str, set[tuple[str, tuple[str, ...]]]], word: str, value: object
) -> None:
    fill(shared, word, value)
    check(shared, usual)


def test_what_is_hostile_is_seen(site: WebSite) -> None:
    fill(site, HOSTILE)
    shown = site.text("/task?id=task0003")
    assert visible(HOSTILE) in shown
    assert HOSTILE not in shown


@pytest.mark.parametrize("name", ["status", "task", "worker", "id", "first"])
def test_parameters_do_not_become_markup(site: WebSite, name: str) -> None:
    usual = Markup(site.browser.get("/tasks").text).tags | Markup(site.browser.get("/tasks?task=x").text).tags
    answer = site.browser.get("/tasks", params={name: HOSTILE})
    assert answer.status_code == 200
    assert Markup(answer.text).tags <= usual
    assert "<script>alert" not in answer.text
