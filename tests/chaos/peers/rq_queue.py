"""RQ in the comparison, in the environment of the other task queues.

    python -m tests.chaos.peers.rq_queue worker NAME SLOTS
    python -m tests.chaos.peers.rq_queue submit COUNT

Its settings are those that lose least: jobs may be retried, a job says that it lives every second, and abandoned ones
are looked for every second. That one counts as abandoned a minute later can't be set.
"""

import multiprocessing
import os
import sys

import redis
from rq import Queue, Retry, Worker  # type: ignore[import-not-found]  # it lives in an environment of its own

from tests.chaos.peers.recorded import record


def queue() -> Queue:
    return Queue(connection=redis.Redis("127.0.0.1", int(os.environ["PEER_REDIS_PORT"])))


def serve() -> None:
    """One slot."""
    opened = queue()
    Worker(
        [opened], connection=opened.connection, job_monitoring_interval=1, maintenance_interval=1, worker_ttl=30
    ).work(logging_level="WARNING")


def main() -> None:
    if sys.argv[1] == "submit":
        opened = queue()
        for number in range(int(sys.argv[2])):
            opened.enqueue(record, f"task{number}", retry=Retry(max=5), job_timeout=10)
    else:
        slots = [multiprocessing.Process(target=serve) for _ in range(int(sys.argv[3]))]
        for slot in slots:
            slot.start()
        for slot in slots:
            slot.join()


if __name__ == "__main__":
    main()
