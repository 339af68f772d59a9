"""Huey in the comparison: python -m benchmarks.peers.huey_queue submit COUNT

Settings: Redis, waited on by a blocking read; ten worker processes; no periodic tasks. It keeps no result that is None
unless it is told to, as it is here. hiredis reads Redis' replies.
"""

import os
import sys

from huey import RedisHuey  # type: ignore[import-not-found]  # it lives in an environment of its own

huey = RedisHuey("comparison", host="127.0.0.1", port=int(os.environ["PEER_REDIS_PORT"]), store_none=True)


def run() -> None:
    """The job."""


nothing = huey.task(name="nothing")(run)


def submit(count: int) -> None:
    for _ in range(count):
        nothing()


if __name__ == "__main__":
    from benchmarks.peers import (
        huey_queue,
    )  # a job carries the name of its module, which is not __main__ for the worker

    huey_queue.submit(int(sys.argv[2]))
