"""The program behind `monitor.py --web`: listens, serves until SIGTERM or Ctrl-C, ends."""

import logging
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn

from dashboard.web.application import Access, application
from dashboard.web.audience import Audience
from yadtq import Log, Operator, Settings

EXIT_OK, EXIT_USAGE = 0, 2
LOCAL = ("127.0.0.1", "::1", "localhost")
GRACE_SECONDS = 3
"""For answers under way, when it ends."""
MOST_CONNECTIONS = 1_000


def serve(settings: Settings, host: str, port: int, token: str, names: Sequence[str] = ()) -> int:
    """Serves the pages of a queue until SIGTERM or Ctrl-C. Returns the exit code: 0, or 2 when it cannot listen.

    host, port: where it listens; port 0: any free one. token: what a browser must show to retry and reset; '': nobody
    can. names: hosts under which it is also reached, beside localhost and addresses.
    """
    log = Log()
    try:
        listener = _listen(host, port)
    except OSError as error:
        reason = str(error.strerror or error).partition(" (")[0]
        log.error("start", text=f"cannot listen on {host} port {port}: {reason}: try another --host or --port")
        return EXIT_USAGE
    with Operator(settings) as operator:
        audience = Audience(operator, settings.namespace)
        access = Access(token, (host, *names))
        server = Server(application(operator, audience, settings.namespace, access, log), audience)
        with server.told_by_signals():
            _introduce(log, settings.namespace, host, listener.getsockname()[1])
            audience.start()
            try:
                server.run(sockets=[listener])
            finally:
                audience.close()
    log.info("stop", text="the monitor has ended")
    log.flush()
    return EXIT_OK


def _introduce(log: Log, queue: str, host: str, port: int) -> None:
    shown = f"[{host}]" if ":" in host else host
    log.info("start", text=f"the monitor of {queue} is at http://{shown}:{port}")
    if host not in LOCAL:
        log.warning("start", text=f"it listens on {host}, in clear text: whoever reaches it reads the queue")
    log.flush()


class Server(uvicorn.Server):
    """An HTTP server that ends its streams when it is told to end."""

    def __init__(self, site: object, audience: Audience) -> None:
        logging.getLogger("uvicorn").addHandler(logging.NullHandler())
        super().__init__(
            uvicorn.Config(
                site,  # type: ignore[arg-type]  # any ASGI application
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                proxy_headers=False,
                server_header=False,
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._audience = audience

    @contextmanager
    def told_by_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end it, also before it runs; uvicorn raises them again when all is done."""

        def told(*_: object) -> None:
            self.should_exit = True

        kinds = (signal.SIGTERM, signal.SIGINT)
        before = {kind: signal.signal(kind, told) for kind in kinds}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the streams too, which would never end by themselves."""
        self._audience.end_streams()
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=128)
