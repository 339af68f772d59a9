"""arq in the comparison: python -m benchmarks.peers.arq_queue submit COUNT

Settings: ten jobs at once, on uvloop. By default it looks for jobs twice a second, and reads 50 at a time: it is made
to look without a pause and to read 1,000. Results are kept for an hour, as by default. hiredis reads Redis' replies.
"""

import asyncio
import os
import sys
from typing import Any, ClassVar

import uvloop  # type: ignore[import-not-found]  # it lives in an environment of its own
from arq import create_pool  # type: ignore[import-not-found]
from arq.connections import RedisSettings  # type: ignore[import-not-found]

SERVER = RedisSettings(port=int(os.environ["PEER_REDIS_PORT"]))
LOGGING = {"version": 1, "root": {"level": "WARNING"}}  # two lines a job else
asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


async def nothing(_: dict[str, Any]) -> None:
    """The job."""


class WorkerSettings:
    """For the program `arq`."""

    functions: ClassVar = [nothing]
    redis_settings = SERVER
    max_jobs = 10
    poll_delay = 0.0
    queue_read_limit = 1000


async def submit(count: int) -> None:
    pool = await create_pool(SERVER)
    for _ in range(count):
        await pool.enqueue_job("nothing")
    await pool.aclose()


if __name__ == "__main__":
    asyncio.run(submit(int(sys.argv[2])))
