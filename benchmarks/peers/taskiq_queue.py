"""Taskiq on Redis streams in the comparison: python -m benchmarks.peers.taskiq_queue submit COUNT

Settings: two worker processes, one a core, of five jobs at once, on uvloop; messages are written by orjson; results are
stored in Redis, and a message is acknowledged when its result is, as by default. hiredis reads Redis' replies.
"""

import asyncio
import os
import sys

from taskiq.serializers import ORJSONSerializer  # type: ignore[import-not-found]  # in an environment of its own
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker  # type: ignore[import-not-found]

REDIS = f"redis://127.0.0.1:{os.environ['PEER_REDIS_PORT']}"

broker = (
    RedisStreamBroker(f"{REDIS}/0")
    .with_result_backend(RedisAsyncResultBackend(f"{REDIS}/1", serializer=ORJSONSerializer()))
    .with_serializer(ORJSONSerializer())
)


async def run() -> None:
    """The job."""


nothing = broker.task(task_name="nothing")(run)


async def submit(count: int) -> None:
    await broker.startup()  # it also founds the group of readers: what is sent before that is never read
    for _ in range(count):
        await nothing.kiq()
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(submit(int(sys.argv[2])))
