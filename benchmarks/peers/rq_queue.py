"""RQ in the comparison: python -m benchmarks.peers.rq_queue submit COUNT | worker SLOTS

Settings: its default worker, which forks a process for each job, ten of them in a worker pool; the job's module is
imported before they fork, as its guide advises. Results are kept for 500 s, as by default. Jobs are submitted in bulk.
"""

import os
import sys

import redis
from rq import Queue  # type: ignore[import-not-found]  # it lives in an environment of its own
from rq.worker_pool import WorkerPool  # type: ignore[import-not-found]

BULK = 500


def run() -> None:
    """The job."""


def submit(queue: Queue, count: int) -> None:
    for first in range(0, count, BULK):
        queue.enqueue_many(
            [Queue.prepare_data("benchmarks.peers.rq_queue.run") for _ in range(min(BULK, count - first))]
        )


def main() -> None:
    connection = redis.Redis("127.0.0.1", int(os.environ["PEER_REDIS_PORT"]))
    if sys.argv[1] == "submit":
        submit(Queue(connection=connection), int(sys.argv[2]))
    else:
        WorkerPool(["default"], connection=connection, num_workers=int(sys.argv[2])).start(logging_level="WARNING")


if __name__ == "__main__":
    main()
