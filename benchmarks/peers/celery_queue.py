"""Celery in the comparison: python -m benchmarks.peers.celery_queue submit COUNT | round-trips COUNT

Settings: Redis as broker and as result backend, and every result is stored. Fast, as its guide advises for many short
tasks: messages are fetched ahead (a prefetch multiplier of 100), no rate limits, no events, and nothing said to other
workers. Acknowledged early, as by default. hiredis reads Redis' replies.
"""

import json
import os
import sys
import time

from celery import Celery  # type: ignore[import-not-found]  # it lives in an environment of its own

REDIS = f"redis://127.0.0.1:{os.environ['PEER_REDIS_PORT']}"

app = Celery("comparison", broker=f"{REDIS}/0", backend=f"{REDIS}/1")
app.conf.update(
    task_ignore_result=False,
    worker_prefetch_multiplier=100,
    worker_disable_rate_limits=True,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


def run() -> None:
    """The job."""


nothing = app.task(name="nothing")(run)


def submit(count: int) -> None:
    for _ in range(count):
        nothing.delay()


def round_trips(count: int) -> list[float]:
    """Milliseconds from the call to the result in the client, one after the other."""
    took = []
    for _ in range(count):
        began = time.perf_counter()
        nothing.delay().get()
        took.append((time.perf_counter() - began) * 1000)
    return took


def main() -> None:
    if sys.argv[1] == "submit":
        submit(int(sys.argv[2]))
    else:
        print(json.dumps(round_trips(int(sys.argv[2]))))


if __name__ == "__main__":
    main()
