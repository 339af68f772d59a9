"""What changes something: log in, retry, reset. These routes exist only when there is a token.

Each is asked twice, and done by a POST only, which must carry the session's cookie and its form key and come from a
page of ours.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from dashboard.web.audience import Audience
from dashboard.web.rendering import Pages, link
from dashboard.web.sessions import LIFE_SECONDS, Session, Sessions, TooManyTries, WrongToken, same
from dashboard.web.views import VIEWS, Records, path_of
from yadtq import SHOWN, Log, NotRetryable, TaskNotFound, YadtqError

RETURNS = frozenset({"/retry", "/reset", *(path_of(view) for view in VIEWS.values())})
"""Pages to which a login leads back."""
# Under the policy of all other pages a browser would send these forms with the origin 'null', which tells nothing.
FORM_HEADERS = {"Referrer-Policy": "same-origin"}


class Actions:
    """The routes of what changes something, for one queue. audience: those who shall see it."""

    def __init__(self, operator: Records, audience: Audience, pages: Pages, sessions: Sessions, log: Log) -> None:
        self._operator = operator
        self._audience = audience
        self._pages = pages
        self._sessions = sessions
        self._log = log
        # Cookies know no ports: the monitors of two queues on one machine must not log each other out.
        self._cookie = f"yadtq_session_{sha256(pages.queue.encode()).hexdigest()[:8]}"

    def routes(self) -> Iterable[Route]:
        for path, ask, act in (
            ("/login", self._ask_login, self._login),
            ("/retry", self._ask_retry, self._retry),
            ("/reset", self._ask_reset, self._reset),
        ):
            yield Route(path, ask, methods=["GET"])
            yield Route(path, act, methods=["POST"])
        yield Route("/logout", self._logout, methods=["POST"])

    def session(self, request: Request) -> Session | None:
        """The session of who asks."""
        return self._sessions.find(request.cookies.get(self._cookie, ""))

    # -- log in and out

    async def _ask_login(self, request: Request) -> Response:
        return self._form("login", request, {"next": _return(request.query_params.get("next", ""))})

    async def _login(self, request: Request) -> Response:
        form = await _sent(request)
        address = request.client.host if request.client else ""
        values = {"next": _return(form.get("next", ""))}
        try:
            session = self._sessions.log_in(form.get("token", ""), address)
        except (WrongToken, TooManyTries) as error:
            self._log.warning("login", text=f"refused to {address}: {error}")
            late = isinstance(error, TooManyTries)
            answer = self._form("login", request, {**values, "problem": str(error)}, 429 if late else 403)
            if isinstance(error, TooManyTries):
                answer.headers["Retry-After"] = str(error.seconds)
            return answer
        self._log.info("login", text=f"by {address}")
        self._log.flush()
        done = RedirectResponse(values["next"], 303)
        secure = request.headers.get("origin", "").startswith("https:")  # something before us speaks TLS
        done.set_cookie(
            self._cookie, session.key, max_age=int(LIFE_SECONDS), secure=secure, httponly=True, samesite="strict"
        )
        return done

    async def _logout(self, request: Request) -> Response:
        session, _ = await self._allowed(request)
        self._sessions.log_out(session.key)
        done = RedirectResponse("/", 303)
        done.delete_cookie(self._cookie, httponly=True, samesite="strict")
        return done

    # -- retry

    async def _ask_retry(self, request: Request) -> Response:
        task_id = request.query_params.get("id", "")
        if self.session(request) is None:
            return RedirectResponse(link("/login", next=link("/retry", id=task_id)), 303)
        try:
            task = await run_in_threadpool(self._operator.client.get_result, task_id)
        except YadtqError as error:
            raise _refused(error) from error
        if task.status != "failed":
            raise HTTPException(
                409, f"The task is {SHOWN.get(task.status, task.status)}: only a failed one is retried."
            )
        return self._form("retry", request, {"task": task})

    async def _retry(self, request: Request) -> Response:
        _, form = await self._allowed(request)
        task_id = form.get("id", "")
        try:
            await run_in_threadpool(self._operator.client.retry, task_id)
        except YadtqError as error:
            raise _refused(error) from error
        await self._done(request, "retry", task_id, "asked for in the monitor")
        return RedirectResponse(link("/task", id=task_id), 303)

    # -- reset

    async def _ask_reset(self, request: Request) -> Response:
        if self.session(request) is None:
            return RedirectResponse(link("/login", next="/reset"), 303)
        return await self._reset_form(request, "", 200)

    async def _reset(self, request: Request) -> Response:
        _, form = await self._allowed(request)
        if not same(form.get("queue", ""), self._pages.queue):
            return await self._reset_form(request, "That is not the name of the queue: nothing was changed.", 400)
        try:
            removed = await run_in_threadpool(self._operator.client.reset)
        except YadtqError as error:
            raise _refused(error) from error
        await self._done(request, "reset", "", f"asked for in the monitor: {removed} tasks were removed")
        return RedirectResponse("/", 303)

    async def _reset_form(self, request: Request, problem: str, status: int) -> Response:
        try:
            counts = await run_in_threadpool(self._operator.client.counts)
        except YadtqError as error:
            raise _refused(error) from error
        return self._form("reset", request, {"counts": counts, "problem": problem}, status)

    # -- within

    async def _allowed(self, request: Request) -> tuple[Session, dict[str, str]]:
        """The session and the form of who may change something; anybody else gets 403."""
        form = await _sent(request)
        session = self.session(request)
        if session is None or not same(form.get("form_key", ""), session.form_key):
            raise HTTPException(403, "Log in first: nothing was changed.")
        return session, form

    def _form(self, name: str, request: Request, values: Mapping[str, Any], status: int = 200) -> HTMLResponse:
        known = {"problem": "", "session": self.session(request), **values}
        return HTMLResponse(self._pages.page(name, known), status, FORM_HEADERS)

    async def _done(self, request: Request, action: str, task_id: str, text: str) -> None:
        self._log.info(action, task_id, f"{text}, by {request.client.host if request.client else ''}")
        self._log.flush()
        await run_in_threadpool(self._audience.after_change)


def is_ours(headers: Headers) -> bool:
    """Whether a page of ours has sent a form, as far as the browser says; it must say something."""
    site, origin = headers.get("sec-fetch-site", ""), headers.get("origin", "")
    if site not in ("", "same-origin"):
        return False
    if origin in ("", "null"):
        return site == "same-origin"
    return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


async def _sent(request: Request) -> dict[str, str]:
    """The fields of a form that a page of ours has sent; anything else gets 403."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if not is_ours(request.headers) or kind != "application/x-www-form-urlencoded":
        raise HTTPException(403, "Only this monitor's own pages may ask for this: nothing was changed.")
    body = (await request.body()).decode("utf-8", "replace")
    return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=10))


def _refused(error: YadtqError) -> HTTPException:
    status = 404 if isinstance(error, TaskNotFound) else 409 if isinstance(error, NotRetryable) else 503
    return HTTPException(status, str(error))


def _return(text: str) -> str:
    """Where a login leads: to a page of ours, whatever was asked for."""
    wanted = urlsplit(text)
    if wanted.scheme or wanted.netloc or wanted.path not in RETURNS:
        return "/"
    return f"{wanted.path}?{wanted.query}" if wanted.query else wanted.path
