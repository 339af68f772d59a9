"""Who may read and change what through the monitor's web page: names, headers, token, form keys, origins."""

from collections.abc import Iterator

import pytest

from dashboard.web.doorkeeper import CONTENT_SECURITY_POLICY
from dashboard.web.views import VIEWS, path_of
from tests.support.queue_pictures import task
from tests.support.web_site import FROM_US, QUEUE, TOKEN, WebSite, form_key, web_site

READING = (*(path_of(view) for view in VIEWS.values()), "/healthz", "/static/style.css", "/static/live.js", "/nothing")
ACTING = ("/login", "/retry", "/reset")
FAILED, ENDED = "task0003", "task0002"


@pytest.fixture
def site() -> Iterator[WebSite]:
    """A site with a token, a failed task and one that has succeeded."""
    with web_site(TOKEN, names=("monitor.example",)) as opened:
        opened.operator.memory.put(task(2))
        opened.operator.memory.put(task(3, "failed"))
        yield opened


def status(site: WebSite, task_id: str = FAILED) -> str:
    return site.operator.memory.get_result(task_id).status


# -- headers and names


@pytest.mark.parametrize("path", [*READING, *ACTING])
def test_every_answer_has_the_headers(site: WebSite, path: str) -> None:
    headers = site.browser.get(path).headers
    assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] in ("no-referrer", "same-origin")
    assert headers["X-Frame-Options"] == "DENY"


def test_an_answer_about_a_mistake_of_ours_has_the_headers_and_tells_nothing(site: WebSite) -> None:
    site.operator.page = None  # type: ignore[method-assign,assignment]  # the mistake
    answer = site.browser.get("/tasks")
    assert answer.status_code == 500
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert "NoneType" not in answer.text
    assert "NoneType" in site.log.getvalue()


def test_the_policy_allows_nothing_but_our_own_files() -> None:
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "", "[::1", "a b"]
)
def test_a_name_that_is_not_ours_is_not_served(site: WebSite, host: str) -> None:
    answer = site.browser.get("/", headers={"Host": host})
    assert answer.status_code == 403
    assert "task" not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "[::1]:8080", "10.1.2.3", "monitor.example:443"]
)
def test_our_names_and_addresses_are_served(site: WebSite, host: str) -> None:
    assert site.browser.get("/", headers={"Host": host}).status_code == 200


# -- without a token


@pytest.mark.parametrize("path", [*ACTING, "/logout"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_a_token_no_action_exists(path: str, method: str) -> None:
    with web_site() as site:
        assert site.browser.request(method, path, headers=FROM_US).status_code == 404
        assert "Log in" not in site.browser.get("/").text


@pytest.mark.parametrize("path", READING)
def test_reading_pages_take_no_post(site: WebSite, path: str) -> None:
    assert site.browser.post(path, headers=FROM_US).status_code in (404, 405)


# -- logging in


def test_the_token_opens_a_session_that_scripts_and_other_sites_cannot_use(site: WebSite) -> None:
    answer = site.browser.post("/login", data={"token": TOKEN, "next": "/reset"}, headers=FROM_US)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/reset")
    cookie = answer.headers["Set-Cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie
    assert TOKEN not in site.log.getvalue()
    assert "Log out" in site.browser.get("/").text


@pytest.mark.parametrize("token", ["", TOKEN[:-1], TOKEN + " ", TOKEN.upper(), "é\ud800"])
def test_a_wrong_token_is_refused(site: WebSite, token: str) -> None:
    data = {"token": token.encode("utf-8", "surrogatepass").decode("latin-1")}
    answer = site.browser.post("/login", data=data, headers=FROM_US)
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers
    assert "refused to testclient" in site.log.getvalue()


def test_tries_are_limited(site: WebSite) -> None:
    answers = [site.browser.post("/login", data={"token": "guess"}, headers=FROM_US) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [403] * 5 + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert site.browser.post("/login", data={"token": TOKEN}, headers=FROM_US).status_code == 429


@pytest.mark.parametrize("away", ["//evil.example", "https://evil.example/", "/\\evil.example", "evil", "/login", "/x"])
def test_a_login_leads_to_pages_of_ours_only(site: WebSite, away: str) -> None:
    answer = site.browser.post("/login", data={"token": TOKEN, "next": away}, headers=FROM_US)
    assert answer.headers["Location"] == "/"


def test_whoever_logs_out_can_change_nothing(site: WebSite) -> None:
    key = site.log_in()
    cookies = dict(site.browser.cookies)
    assert site.browser.post("/logout", data={"form_key": key}, headers=FROM_US).status_code == 303
    site.browser.cookies.update(cookies)
    assert site.browser.post("/retry", data={"id": FAILED, "form_key": key}, headers=FROM_US).status_code == 403


# -- acting


def test_a_failed_task_is_retried_after_a_second_question(site: WebSite) -> None:
    site.log_in()
    assert f"/retry?id={FAILED}" in site.browser.get(f"/task?id={FAILED}").text
    question = site.browser.get(f"/retry?id={FAILED}")
    assert "attempt 2" in question.text
    assert status(site) == "failed"
    answer = site.browser.post("/retry", data={"id": FAILED, "form_key": form_key(question.text)}, headers=FROM_US)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/task?id={FAILED}")
    assert status(site) == "queued"
    assert f"action=retry id={FAILED}" in site.log.getvalue()


def test_what_was_asked_for_is_seen_at_once() -> None:
    with web_site(TOKEN, quick_seconds=0.4) as site:
        site.operator.memory.put(task(3, "failed"))
        key = site.log_in()
        site.look()
        assert "failed" in site.browser.get(f"/task?id={FAILED}").text
        site.browser.post("/retry", data={"id": FAILED, "form_key": key}, headers=FROM_US)
        assert "queued</span>" in site.browser.get(f"/task?id={FAILED}").text


@pytest.mark.parametrize(("task_id", "expected"), [(ENDED, 409), ("nobody", 404)])
def test_what_cannot_be_retried_is_said(site: WebSite, task_id: str, expected: int) -> None:
    key = site.log_in()
    assert site.browser.get(f"/retry?id={task_id}").status_code == expected
    data = {"id": task_id, "form_key": key}
    assert site.browser.post("/retry", data=data, headers=FROM_US).status_code == expected


def test_a_reset_wants_the_name_of_the_queue(site: WebSite) -> None:
    key = site.log_in()
    assert "All 2 tasks are removed" in site.browser.get("/reset").text
    wrong = site.browser.post("/reset", data={"queue": "order", "form_key": key}, headers=FROM_US)
    assert wrong.status_code == 400
    assert len(site.operator.memory.all()) == 2
    assert site.browser.post("/reset", data={"queue": QUEUE, "form_key": key}, headers=FROM_US).status_code == 303
    assert site.operator.memory.all() == []
    assert "2 tasks were removed" in site.log.getvalue()


def test_a_server_that_is_away_is_said(site: WebSite) -> None:
    key = site.log_in()
    site.operator.memory.down.add("redis")
    answer = site.browser.post("/retry", data={"id": FAILED, "form_key": key}, headers=FROM_US)
    assert answer.status_code == 503
    assert "redis does not answer" in answer.text


@pytest.mark.parametrize("path", ["/retry?id=task0003", "/reset"])
def test_a_question_is_only_for_who_is_logged_in(site: WebSite, path: str) -> None:
    answer = site.browser.get(path)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/login?next=")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "http://localhost:8080", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {**FROM_US, "Content-Type": "text/plain"},
        {**FROM_US, "Content-Type": "application/json"},
    ],
)
def test_other_sites_can_ask_for_nothing(site: WebSite, headers: dict[str, str]) -> None:
    key = site.log_in()
    given = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    for path, body in (("/retry", f"id={FAILED}&form_key={key}"), ("/reset", f"queue={QUEUE}&form_key={key}")):
        assert site.browser.post(path, content=body, headers=given).status_code == 403
    assert site.browser.post("/login", content=f"token={TOKEN}", headers=given).status_code == 403
    assert status(site) == "failed"


@pytest.mark.parametrize("key", ["", "guess"])
def test_a_form_without_its_key_changes_nothing(site: WebSite, key: str) -> None:
    site.log_in()
    assert site.browser.post("/retry", data={"id": FAILED, "form_key": key}, headers=FROM_US).status_code == 403
    assert status(site) == "failed"


def test_a_key_without_its_session_changes_nothing(site: WebSite) -> None:
    key = site.log_in()
    site.browser.cookies.clear()
    assert site.browser.post("/retry", data={"id": FAILED, "form_key": key}, headers=FROM_US).status_code == 403
    assert status(site) == "failed"


def test_a_form_has_a_bound(site: WebSite) -> None:
    key = site.log_in()
    data = {"id": "x" * 20_000, "form_key": key}
    assert site.browser.post("/retry", data=data, headers=FROM_US).status_code == 413
