"""Makes the pictures of the README from a real run: python -m scripts.pictures

Starts Kafka and Redis (or uses those of YADTQ_TEST_KAFKA and YADTQ_TEST_REDIS), a server and three workers, gives them
work for a while, kills one of them, and takes the pictures of the monitor. They are written to docs/pictures/:

    monitor-terminal.svg    monitor.py in a terminal of 120 × 36
    monitor-web.png         monitor.py --web in a browser
"""

import itertools
import math
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from scripts.terminal_picture import svg
from scripts.web_picture import web_page
from tests.support.programs import RunningProgram, as_environment
from tests.support.servers import (
    KAFKA_VARIABLE,
    REDIS_VARIABLE,
    ROOT,
    kafka_at,
    own_server,
    redis_at,
    remove_queue,
    start_for_run,
)
from tests.support.terminal import Terminal
from tests.support.waiting import eventually
from yadtq import Call, Settings, TaskClient

PICTURES = ROOT / "docs" / "pictures"
QUEUE = "orders"
SIZE = (120, 36)
MINUTES = 7.0
"""Of work before the pictures are taken, so that the curves have a shape; it ends in the middle of a wave."""


def main(minutes: float = MINUTES) -> None:
    """Makes all pictures. minutes: of work before them."""
    PICTURES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        queue_at_work() as (settings, doomed),
        web_page(settings, Path(folder)) as take,
    ):
        terminal = monitor(settings)
        terminal.follow(minutes * 60 * 0.9)
        doomed.kill()
        terminal.follow(minutes * 60 * 0.1 + settings.worker_timeout)
        title = "The monitor in a terminal: curves, workers and tasks"
        (PICTURES / "monitor-terminal.svg").write_text(svg(terminal.cells, title), encoding="utf-8")
        take(PICTURES / "monitor-web.png")
        terminal.type("q")
        terminal.close()


def monitor(settings: Settings) -> Terminal:
    """monitor.py in a terminal."""
    variables = [f"{name}={value}" for name, value in settings.environment().items()]
    program = [sys.executable, str(ROOT / "monitor.py")]
    return Terminal("env", "TERM=xterm-256color", *variables, *program, columns=SIZE[0], lines=SIZE[1])


# -- the run


@contextmanager
def queue_at_work() -> Iterator[tuple[Settings, RunningProgram]]:
    """A queue to which work comes until the end, and one of its workers."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = servers(stack, folder)
        start = starter(stack, folder, settings.environment())
        start("server.py", "server", "--log-folder", str(folder / "logs"))
        workers = [start("worker.py", name) for name in ("worker1", "worker2", "worker3", "worker4")]
        client = stack.enter_context(TaskClient(settings))
        eventually(lambda: len(client.workers()) == len(workers), 60, "four workers")
        over = threading.Event()
        submitter = threading.Thread(target=submit, args=(client, over), daemon=True)
        submitter.start()
        stack.callback(submitter.join)
        stack.callback(over.set)
        yield settings, workers[-1]


def servers(stack: ExitStack, folder: Path) -> Settings:
    """The settings of a queue on servers that run. What it leaves there is deleted in the end."""
    kafka, redis = own_server(KAFKA_VARIABLE), own_server(REDIS_VARIABLE)
    if kafka is None:
        kafka_server = kafka_at(folder)
        start_for_run(kafka_server)
        stack.callback(kafka_server.stop)
        kafka = ("127.0.0.1", kafka_server.place.port)
    if redis is None:
        redis_server = redis_at(folder)
        start_for_run(redis_server)
        stack.callback(redis_server.stop)
        redis = ("127.0.0.1", redis_server.place.port)
    broker = f"{kafka[0]}:{kafka[1]}"
    remove_queue(QUEUE, broker, redis)
    stack.callback(remove_queue, QUEUE, broker, redis)
    return Settings.load(
        {}, kafka_broker=broker, redis_host=redis[0], redis_port=redis[1], namespace=QUEUE, worker_timeout=5
    )


def starter(stack: ExitStack, folder: Path, environment: dict[str, str]) -> Callable[..., RunningProgram]:
    """Starts programs of this checkout, and stops them in the end: start(program, name, *arguments)."""

    def start(program: str, name: str, *arguments: str) -> RunningProgram:
        own = environment | as_environment({"worker_id": name})
        started = RunningProgram([program, *arguments], folder / f"{name}.log", own)
        stack.callback(end, started)
        return started

    return start


def end(program: RunningProgram) -> None:
    if program.process.poll() is None:
        program.terminate(30)


def submit(client: TaskClient, over: threading.Event) -> None:
    """Work that comes in waves of two minutes, with a little of everything."""
    numbers, begun = itertools.count(), time.monotonic()
    while not over.wait(1.0):
        wave = 1 - math.cos((time.monotonic() - begun) / 120 * 2 * math.pi)
        client.submit_many([call(next(numbers)) for _ in range(5 + round(13 * wave))])


def call(number: int) -> Call:
    kinds: list[Call] = [
        Call("add", (number, 2 * number)),
        Call("mul", (number, number)),
        Call("compress", (f"order {number} " * 20,)),
        Call("sleep", (number % 30 / 10,)),
        Call("add", (number, 1, 2)),
        Call("sleep", (number % 13 / 10,)),
    ]
    return Call("div", (number, 0)) if number % 500 == 60 else kinds[number % len(kinds)]


if __name__ == "__main__":
    main(*(float(minutes) for minutes in sys.argv[1:]))
