"""The server: looks after the queue, and restores one whose Redis has lost its data.

python server.py                looks after the queue until SIGTERM or Ctrl-C
python server.py --rebuild      Redis is empty, or new; the topics of Kafka are as they were

Any number may run, on any machines: one leads, the others take over. No task needs one: what has to be done for the
queue to work, workers do as well.

    Duty                                             How often                Without a server
    ----                                             ---------                ----------------
    leads, or waits on standby                       each second, lease 5 s   –
    puts back what a dead worker held, notes its     each second, after       any worker, with its heartbeat
      failure, marks it offline                        WORKER_TIMEOUT
    finds tasks in progress that nobody owns         each second, in steps    any worker, with its heartbeat
    sends events from Redis to Kafka                 at once                  the worker that is the relay
    ends the life of old results, removes what a     each second, in steps;   the worker that is the relay
      reset left, trims indexes                        each 5 when all is quiet
    publishes what was registered and never was      the same                 the worker that is the relay
    deletes messages from Kafka that nobody needs    each 10 minutes          the worker that is the relay
    leads Redis back after a restart                 when it happens          any worker or client
    tells the log what happened                      at once, from the events logger.py, worker by worker
    looks at both servers, and for a standstill      each 2 seconds           monitor.py shows it
    answers over HTTP: health and metrics            when it is asked         nobody

With --rebuild it reads the event log from its beginning, and makes everything happen again in Redis: records, states,
results, positions, resets. It may be stopped and started again. Workers go on by themselves, as soon as all that still
run have said what they hold.

Exit codes: 0 stopped, done, or nothing to do · 2 wrong use: a flag, a setting, an address that is taken, a log file
that cannot be written · 3 a server does not answer (--rebuild only: else it is tried again).
"""

import argparse
import json
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from yadtq import (
    Coordinator,
    Log,
    LogFile,
    QueueMissing,
    ServerUnreachable,
    SettingError,
    Settings,
    TaskClient,
    add_flags,
    given_flags,
)

EXIT_OK, EXIT_USAGE, EXIT_UNREACHABLE = 0, 2, 3
HTTP = "127.0.0.1:8081"
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}
CONNECTIONS, KEEP_ALIVE_SECONDS = 50, 5
HTTP_STOP_SECONDS = 2.0


# -- looking after the queue


def look_after(settings: Settings, address: tuple[str, int] | None) -> int:
    """Runs a coordinator until a signal stops it. address: for HTTP, None for none. Returns the exit code."""
    try:
        file = LogFile(Path(settings.log_folder) / "server.log")
    except OSError as error:
        return refuse(f"{settings.log_folder}: no log can be written there ({error.strerror}): set LOG_FOLDER")
    log = Log(settings.log_level, file)
    coordinator = Coordinator(settings, log)
    try:
        endpoints = Endpoints(coordinator, address) if address else None
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]
        return refuse(f"--http: {shown(address)} cannot be listened on ({reason}): give another one, or 'off'")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: coordinator.stop())
    if endpoints:
        endpoints.start()
        log.info("http", text=f"listening on {shown(endpoints.address)}: /healthz/live /healthz/ready /metrics")
    coordinator.run()
    if endpoints:
        endpoints.stop()
    file.close()
    return EXIT_OK


class Endpoints:
    """Health and metrics over HTTP, read-only, by threads of their own. Raises OSError when the address is taken."""

    def __init__(self, coordinator: Coordinator, address: tuple[str, int]) -> None:
        self._coordinator = coordinator
        self._socket = socket.create_server(address, family=socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        routes = {
            "/healthz": self.live,
            "/healthz/live": self.live,
            "/healthz/ready": self.ready,
            "/metrics": self.metrics,
        }
        app = Starlette(routes=[Route(path, answer, methods=["GET"]) for path, answer in routes.items()])
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                lifespan="off",
                limit_concurrency=CONNECTIONS,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="http", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(HTTP_STOP_SECONDS)
        self._socket.close()

    def live(self, _: Request) -> Response:
        """Whether the process works at all: else it is to be started anew."""
        return told(200 if self._coordinator.alive else 503, live=self._coordinator.alive)

    def ready(self, _: Request) -> Response:
        """Whether it does its work: both servers answer, and its loop has turned in the last seconds."""
        problem = self._coordinator.problem
        if problem:
            return told(503, ready=False, reason=problem)
        return told(200, ready=True, state="leading" if self._coordinator.leads else "standby")

    def metrics(self, _: Request) -> Response:
        """For Prometheus."""
        return Response(self._coordinator.metrics(), headers={**HEADERS, "Content-Type": METRICS_TYPE})


def told(status: int, **fields: object) -> Response:
    """One line of JSON."""
    return Response(json.dumps(fields) + "\n", status, HEADERS, "application/json")


# -- restoring the queue


def rebuild(client: TaskClient, log: Log) -> int:
    """Restores the queue. Returns the exit code."""
    try:
        done = client.rebuild(lambda line: log.info("rebuild", text=line))
    except (ServerUnreachable, QueueMissing) as error:
        log.error("rebuild", text=str(error))
        return EXIT_UNREACHABLE
    if not done:
        log.info("rebuild", text="Redis has the queue: nothing was changed")
        return EXIT_OK
    counts = ", ".join(f"{count} {status}" for status, count in client.counts().items())
    log.info("rebuild", text=f"the queue is restored: {counts}")
    return EXIT_OK


# -- the command line


def http_address(text: str) -> tuple[str, int] | None:
    """host and port of HOST:PORT; None for 'off'."""
    host, _, port = text.rpartition(":")
    if text == "off":
        return None
    if not host or not port.isascii() or not port.isdecimal() or int(port[:6]) > 65535:
        raise argparse.ArgumentTypeError(f"expected HOST:PORT or 'off', not {text!r}")
    return host.strip("[]"), int(port)


def shown(address: tuple[str, int] | None) -> str:
    host, port = address or ("", 0)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def refuse(reason: str) -> int:
    """Says why nothing was begun. Returns the exit code."""
    Log().error("start", text=reason)
    return EXIT_USAGE


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description="Looks after the queue: any number may run, one leads. docs/server.md tells more.",
        epilog="Exit codes: 0 stopped or done, 2 wrong use, 3 a server does not answer (--rebuild). "
        "docs/reliability.md tells what --rebuild can restore.",
    )
    made.add_argument("--rebuild", action="store_true", help="restore the queue in an empty Redis from Kafka, and end")
    made.add_argument(
        "--http",
        type=http_address,
        default=HTTP,
        metavar="HOST:PORT",
        help=f"where health and metrics are answered, to everyone who reaches it; 'off': nowhere (default {HTTP})",
    )
    add_flags(made)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    try:
        settings = Settings.load(None, **given_flags(given))
    except SettingError as error:
        return refuse(str(error))
    if not given.rebuild:
        return look_after(settings, given.http)
    log = Log()
    with TaskClient(settings) as client:
        code = rebuild(client, log)
    log.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
