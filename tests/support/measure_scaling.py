"""The figures of docs/scaling.md: python -m tests.support.measure_scaling workers idle

Each word is one table; without one all are made, which takes about five minutes on two cores. The servers are its own.
The tables are printed as they stand in the page, with the machine and the day.
"""

import argparse
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from local.kafka_server import KafkaServer
from local.redis_server import RedisServer
from tests.support.measured_queue import MeasuredQueue, median_ms, private_servers, table

Servers = tuple[KafkaServer, RedisServer]
TINY = 20_000  # tasks that take no time, for one rate
REST_SECONDS = 0.05
REST_FOR = 4  # seconds that tasks which only wait are run for
BESIDE = (1_000, 100_000, 1_000_000)
IDLE_SECONDS = 10.0


def opened(servers: Servers, folder: Path, name: str, partitions: int = 12) -> MeasuredQueue:
    return MeasuredQueue(servers, folder, name, partitions)


def workers(servers: Servers, folder: Path) -> str:
    """The rate with more and more workers: of tasks that take no time, and of tasks that only wait."""
    rows: list[list[object]] = []
    for count in (1, 2, 4, 8):
        with opened(servers, folder, f"workers{count}") as queue:
            queue.start_workers(count)
            queue.hold()
            spent = queue.redis_seconds()
            queue.submit("nothing", TINY)
            queue.let_go()
            tiny = queue.rate(TINY)
            spent = (queue.redis_seconds() - spent) / TINY * 1e6
            possible = count * queue.settings.concurrency / REST_SECONDS
            resting = int(possible * REST_FOR)
            queue.submit("rest", resting, REST_SECONDS)
            rested = queue.rate(resting)
            rows.append([count, round(tiny), round(spent), round(rested), f"{100 * rested / possible:.0f} %"])
    rests = f"tasks of {REST_SECONDS * 1000:.0f} ms/s"
    head = ["Workers", "tasks of no time/s", "CPU of Redis, µs a task", rests, "of what is possible"]
    return table(head, rows)


def partitions(servers: Servers, folder: Path) -> str:
    """The rate of two workers with more and more partitions."""
    rows: list[list[object]] = []
    for count in (1, 12, 48):
        with opened(servers, folder, f"partitions{count}", count) as queue:
            queue.start_workers(2)
            queue.hold()
            spent, began = queue.redis_seconds(), time.monotonic()
            queue.submit("nothing", TINY)
            submitted = TINY / (time.monotonic() - began)
            queue.let_go()
            ran = queue.rate(TINY)
            spent = (queue.redis_seconds() - spent) / TINY * 1e6
            rows.append([count, round(submitted), round(ran), round(spent)])
    return table(["Partitions", "submitted/s", "run/s", "CPU of Redis, µs a task"], rows)


def waiting(servers: Servers, folder: Path) -> str:
    """The same work while very many tasks wait."""
    with opened(servers, folder, "waiting") as queue:
        queue.submit("rest", 1, 0)  # nobody runs it yet: what is copied waits
        queue.fill("registered", 1)
        queue.start_workers(2)
        return _beside(queue, "registered")


def kept(servers: Servers, folder: Path) -> str:
    """The same work beside very many tasks that have ended."""
    with opened(servers, folder, "kept") as queue:
        queue.start_workers(2)
        queue.submit("rest", 1, 0)
        queue.rate(1)
        return _beside(queue, "success")


def _beside(queue: MeasuredQueue, index: str) -> str:
    rows: list[list[object]] = []
    for count in BESIDE:
        queue.fill(index, count)
        queue.hold()
        spent, began = queue.redis_seconds(), time.monotonic()
        queue.submit("nothing", TINY)
        submitted = TINY / (time.monotonic() - began)
        spent = queue.redis_seconds() - spent
        looks = [median_ms(queue.client.stats), median_ms(queue.client.list)]
        spent -= queue.redis_seconds()
        queue.let_go()
        ran = queue.rate(TINY)
        spent += queue.redis_seconds()
        each = round(spent / TINY * 1e6)
        rows.append([count, round(submitted), round(ran), each, *looks, f"{queue.memory() / 1e6:,.0f} MB"])
    queue.redis.flushall()  # a million records less for what is measured next
    return table(
        ["Tasks", "submitted/s", "run/s", "CPU of Redis, µs a task", "all counts, ms", "newest 20, ms", "Redis"], rows
    )


def memory(servers: Servers, folder: Path) -> str:
    """What a task costs in Redis while it waits, and when it has ended."""
    with opened(servers, folder, "memory") as queue:
        queue.start_workers(2)
        queue.hold()
        empty = queue.memory()
        queue.submit("nothing", TINY)
        full = queue.memory()
        queue.let_go()
        queue.rate(TINY)
        ended = queue.memory()
    rows = [["it waits", round((full - empty) / TINY)], ["it has ended", round((ended - empty) / TINY)]]
    return table(["A task without arguments", "bytes of Redis"], rows)


def idle(servers: Servers, folder: Path) -> str:
    """What workers cost that have nothing to do."""
    rows: list[list[object]] = []
    for count in (1, 8):
        with opened(servers, folder, f"idle{count}") as queue:
            queue.start_workers(count)
            queue.submit("nothing", 100 * count)
            queue.rate(100 * count)
            calls, server, own = queue.calls(), queue.redis_seconds(), queue.worker_seconds()
            time.sleep(IDLE_SECONDS)
            figures = queue.calls() - calls, queue.redis_seconds() - server, queue.worker_seconds() - own
            a_second, redis_share, share = (each / IDLE_SECONDS for each in figures)
            held = max(queue.worker_bytes()) / 1e6
            rows.append([count, f"{a_second:.1f}", f"{100 * redis_share:.2f} %", f"{100 * share / count:.2f} %",
                         f"{held:.0f} MB"])  # fmt: skip
    head = ["Workers", "scripts/s, all", "of a core, Redis", "of a core, each worker", "memory of its own, each worker"]
    return table(head, rows)


TABLES: dict[str, Callable[[Servers, Path], str]] = {
    each.__name__: each for each in (workers, partitions, waiting, kept, memory, idle)
}


def machine() -> str:
    """What it was measured on, and when."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    load = os.getloadavg()[0]
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    return f"{when} UTC, {os.cpu_count()} cores ({model}), Python {platform.python_version()}, load before: {load:.1f}"


def main() -> int:
    """Makes the tables that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="table", help=f"{', '.join(TABLES)}; without one, all")
    chosen = parser.parse_args().tables or list(TABLES)
    unknown = [each for each in chosen if each not in TABLES]
    if unknown:
        parser.error(f"no table is named {' '.join(unknown)}: expected {', '.join(TABLES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is stopped
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="yadtq-scaling-") as name, private_servers(Path(name)) as servers:
        for each in chosen:
            began = time.monotonic()
            made = TABLES[each](servers, Path(name))
            print(f"\n{each} ({time.monotonic() - began:.0f} s)\n\n{made}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
