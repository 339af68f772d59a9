"""What stands before every route: which names are served, and the headers of every answer.

A page on the internet may give its own name the address of this machine, and then read from here as itself (DNS
rebinding). Its requests carry its name, so only names that are known here are served. An address is no name.
"""

from collections.abc import Iterable
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from yadtq import visible

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
SHOWN_NAME = 100  # characters


class Doorkeeper:
    """An ASGI application around another one.

    names: hosts that are served beside localhost and every address of digits; without port, in any case.
    """

    def __init__(self, application: ASGIApp, names: Iterable[str] = ()) -> None:
        self._application = application
        self._names = {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        given = Headers(scope=scope).getlist("host")
        if len(given) == 1 and self.serves(given[0]):
            await self._application(scope, receive, send_with_headers)
            return
        name = visible(", ".join(given), SHOWN_NAME)
        refusal = PlainTextResponse(f"{name!r} is no name of this monitor: allow it with --name.\n", 403)
        await refusal(scope, receive, send_with_headers)

    def serves(self, host: str) -> bool:
        """Whether requests for this Host header, 'name' or 'name:port', are answered."""
        name = host_name(host)
        return name in self._names or _is_address(name)


def host_name(host: str) -> str:
    """The name in 'name:port' or '[address]:port', in small letters; '' when there is none."""
    if host.startswith("["):
        address, closed, _ = host[1:].partition("]")
        return address.lower() if closed else ""
    return host.partition(":")[0].lower()


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
