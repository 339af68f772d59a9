"""The routes: what is asked for → a page, a stream, an action."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from dashboard.web.actions import Actions
from dashboard.web.audience import Audience
from dashboard.web.doorkeeper import Doorkeeper
from dashboard.web.live import events
from dashboard.web.readings import Reading, Readings, is_old
from dashboard.web.rendering import Pages, link
from dashboard.web.sessions import Sessions
from dashboard.web.views import SECTIONS, VIEWS, Records, View, path_of
from yadtq import Log

STATIC = Path(__file__).parent / "static"
MOST_BODY = 10_000
"""Bytes of a form."""
STANDSTILL_SECONDS = 60.0
"""Without a look at the queue, after which the monitor is broken."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what. token: '' lets nobody change anything. names: hosts that are served beside localhost."""

    token: str = ""
    names: tuple[str, ...] = ()


class Site:
    """Pages and streams, for one queue."""

    def __init__(self, audience: Audience, readings: Readings, pages: Pages, actions: Actions | None, log: Log) -> None:
        self._audience = audience
        self._readings = readings
        self._pages = pages
        self._actions = actions
        self._log = log

    def routes(self) -> Iterable[Mount | Route]:
        yield Route("/healthz", self._health)
        yield Mount("/static", StaticFiles(directory=STATIC))
        yield Route("/live/{name}", self._live)
        for view in VIEWS.values():
            yield Route(path_of(view), partial(self._show, view=view), name=view.name)

    async def failed(self, request: Request, error: Exception) -> Response:
        """The page that says why something was not done."""
        if not isinstance(error, HTTPException):
            self._log.error("page", text=f"{request.url.path}: {type(error).__name__}: {error}")
            error = HTTPException(500)
        values = {"status": error.status_code, "text": error.detail, "session": self._session(request)}
        return HTMLResponse(self._pages.page("refused", values), error.status_code, error.headers)

    async def _show(self, request: Request, view: View) -> Response:
        picture = await run_in_threadpool(self._audience.came)
        reading = await run_in_threadpool(self._readings.read, view, request.query_params, picture)
        found = reading.values.get("found")
        missing = found is not None and found.task is None
        values = {
            **reading.values,
            "view": view,
            "parts": reading.parts,
            "live": link(f"/live/{view.name}", **reading.values["query"]),
            "session": self._session(request),
        }
        return HTMLResponse(self._pages.page(view.name, values), 404 if missing else 200)

    async def _live(self, request: Request) -> Response:
        view = VIEWS.get(request.path_params["name"])
        if view is None:
            raise HTTPException(404)
        read = partial(self._readings.read, view, request.query_params)

        async def look() -> Reading:
            return await run_in_threadpool(read, self._audience.picture)

        return StreamingResponse(events(self._audience, look), media_type="text/event-stream")

    async def _health(self, _: Request) -> Response:
        """That the monitor itself works; a server that is away is shown on its pages, and no reason to restart it."""
        works = self._audience.idle_seconds() < STANDSTILL_SECONDS
        picture = "old" if is_old(self._audience.picture) else "fresh"
        return JSONResponse({"status": "ok" if works else "stands still", "picture": picture}, 200 if works else 503)

    def _session(self, request: Request) -> object:
        return self._actions.session(request) if self._actions else None


def application(operator: Records, audience: Audience, queue: str, access: Access, log: Log) -> ASGIApp:
    """The web page of a queue."""
    sections = [{"name": name, "title": VIEWS[name].section, "path": path_of(VIEWS[name])} for name in SECTIONS]
    pages = Pages(queue, bool(access.token), sections)
    actions = Actions(operator, audience, pages, Sessions(access.token), log) if access.token else None
    site = Site(audience, Readings(operator, pages), pages, actions, log)
    routes = [*site.routes(), *(actions.routes() if actions else ())]
    starlette = Starlette(
        routes=routes, exception_handlers={HTTPException: site.failed, 500: site.failed}, max_body_size=MOST_BODY
    )
    return Doorkeeper(starlette, access.names)
