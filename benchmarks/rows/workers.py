"""Row 6: 1 to 64 workers of three slots, a server beside them, as `make up` starts them. While all are idle: CPU of
each, parent, guard and children together, in windows of five seconds, by their processes' own clocks; and what each
adds to the commands that programs send to Redis (those within scripts are not counted), beyond what the server sends
with no worker at all. Before that, the rate of no-op tasks with so many workers, and round trips on the idle queue.
Start-up is from starting the process of a worker until a task has started that waited for it. client.py --help is a
process from start to end; the shell is ready when its prompt is on the terminal. Memory is what a process shares with
no other one, after it has run tasks."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pexpect

from benchmarks.bench import Bench
from benchmarks.figures import Figure, at_most
from tests.support.chaos_watcher import children_of, guard_of
from tests.support.measured_queue import MeasuredQueue, cpu_seconds, median_ms, milliseconds, own_bytes
from tests.support.servers import ROOT

ROW = 6
COUNTS, COUNTS_SMALL = (1, 2, 4, 8, 16, 64), (1, 2)
WINDOW_SECONDS, WINDOW_SECONDS_SMALL = 5.0, 0.5
TASKS, TASKS_SMALL = 20_000, 500
TRIPS, TRIPS_SMALL = 100, 10
STARTS = 10  # of a short program, for one sample
MB = 1e6


@dataclass(frozen=True, slots=True)
class Idle:
    """What a second with nothing to do costs: commands to Redis, seconds of CPU of Redis, of all processes of all
    workers, and of their parents alone."""

    commands: float
    redis: float
    workers: float
    parents: float


def measure(bench: Bench) -> Iterator[Figure]:
    """More and more workers on one queue; then how long programs take to start."""
    with bench.queue("workers") as queue:
        queue.start_server()
        idle(bench, queue)  # the server has begun what it does once
        without = statistics.median(each.commands for each in idle(bench, queue))
        for count in COUNTS_SMALL if bench.small else COUNTS:
            queue.start_workers(count - len(queue.workers))
            bench.say(f"{count} workers")
            yield from crowd(bench, queue, without)
            if count == 1:
                yield from memory(queue)
        yield Figure(
            ROW, f"{len(queue.workers)} workers: memory of their own, all", "MB", (sum(queue.worker_bytes()) / MB,)
        )
    yield from starts(bench)


def crowd(bench: Bench, queue: MeasuredQueue, without: float) -> Iterator[Figure]:
    """So many workers, at rest and at work. without: commands a second that no worker sends."""
    count, tasks = len(queue.workers), TASKS_SMALL if bench.small else TASKS
    rates = []
    for _ in range(bench.rounds):
        queue.hold()
        queue.submit("nothing", tasks)
        queue.let_go()
        rates.append(queue.rate(tasks))
    queue.wait_until_told()
    trips = [statistics.median(queue.round_trips(TRIPS_SMALL if bench.small else TRIPS)) for _ in range(bench.rounds)]
    queue.wait_until_told()
    at_rest = idle(bench, queue)
    name = f"{count} worker{'s' if count > 1 else ''}"
    share = tuple(100 * each.workers / count for each in at_rest)
    commands = tuple((each.commands - without) / count for each in at_rest)
    parents = statistics.median(100 * each.parents / count for each in at_rest)
    note = f"{parents:.2f} % are of its parent process, the rest of its guard and children."
    yield Figure(ROW, f"{name}, idle: CPU of each", "% of a core", share, at_most(1), note)
    yield Figure(ROW, f"{name}, idle: commands of each on Redis", "1/s", commands, at_most(3))
    yield Figure(ROW, f"{name}, idle: CPU of Redis", "% of a core", tuple(100 * each.redis for each in at_rest))
    yield Figure(ROW, f"{name}: rate of no-op tasks", "tasks/s", tuple(rates))
    yield Figure(ROW, f"{name}: round trip, p50", "ms", tuple(trips))


def idle(bench: Bench, queue: MeasuredQueue) -> list[Idle]:
    """What goes on while nothing is to do, window by window."""
    seconds = WINDOW_SECONDS_SMALL if bench.small else WINDOW_SECONDS
    return [_window(queue, seconds) for _ in range(bench.rounds)]


def _window(queue: MeasuredQueue, seconds: float) -> Idle:
    began = time.monotonic()
    before = _used(queue)
    time.sleep(seconds)
    took = time.monotonic() - began
    return Idle(*((after - start) / took for start, after in zip(before, _used(queue), strict=True)))


def _used(queue: MeasuredQueue) -> tuple[float, ...]:
    parents = sum(cpu_seconds(worker.process.pid) for worker in queue.workers)
    return queue.commands(), queue.redis_seconds(), queue.worker_seconds(), parents


def memory(queue: MeasuredQueue) -> Iterator[Figure]:
    """Of one worker, and of each of its processes."""
    (worker,) = queue.workers
    parent, guard = worker.process.pid, guard_of(worker.process.pid) or 0
    children = tuple(own_bytes(child) / MB for child in children_of(guard))
    yield Figure(ROW, "memory of its own: a worker's parent", "MB", (own_bytes(parent) / MB,))
    yield Figure(ROW, "memory of its own: its guard", "MB", (own_bytes(guard) / MB,))
    yield Figure(ROW, "memory of its own: each child", "MB", children)


# -- starting


def starts(bench: Bench) -> Iterator[Figure]:
    """From the start of a program until it is of use."""
    with bench.queue("starts") as queue:
        first = tuple(first_task(queue) for _ in range(bench.rounds))
        yield Figure(ROW, "start of a worker to its first task", "s", first, at_most(1.5))
        queue.start_workers(1)
        queue.round_trips(TRIPS_SMALL)  # then its start is over, and disturbs nothing
        shell_ready(queue)  # the first time, everything is read from the disk
        ready = tuple(shell_ready(queue) for _ in range(bench.rounds))
        yield Figure(ROW, "the shell is ready", "ms", ready, at_most(400))
    times = 2 if bench.small else STARTS
    bare = tuple(median_ms(lambda: program("-c", "pass"), times) for _ in range(bench.rounds))
    shown = tuple(median_ms(lambda: program("client.py", "--help"), times) for _ in range(bench.rounds))
    yield Figure(ROW, "client.py --help", "ms", shown, at_most(150))
    yield Figure(ROW, "python -c pass", "ms", bare)


def first_task(queue: MeasuredQueue) -> float:
    """Seconds from the start of a worker's process until a task has started that waited for it."""
    task = queue.client.submit("nothing")
    began = time.time()  # of the same machine as Redis' clock
    queue.add_worker()
    started = queue.client.wait_for_result(task, 60).started_at
    queue.stop_workers()
    return started - began


def shell_ready(queue: MeasuredQueue) -> float:
    """Milliseconds from the start of the shell's process until its prompt is on the terminal."""
    state = {"XDG_STATE_HOME": str(queue.folder), "TERM": "xterm-256color"}
    shell: pexpect.spawn[bytes] | None = None

    def start() -> None:
        nonlocal shell
        environment = os.environ | queue.settings.environment() | state
        shell = pexpect.spawn(sys.executable, ["client.py"], cwd=str(ROOT), env=environment, timeout=30)
        shell.expect_exact(f"{queue.settings.namespace}>")

    took = milliseconds(start)
    if shell is not None:
        shell.close(force=True)
    return took


def program(*arguments: str) -> None:
    """Runs Python with arguments, to its end."""
    subprocess.run([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
