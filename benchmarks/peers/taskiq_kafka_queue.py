"""Taskiq on Kafka in the comparison: python -m benchmarks.peers.taskiq_kafka_queue submit COUNT

Settings: a topic of twelve partitions on the Kafka that YADTQ uses too; two worker processes, one a core, of five jobs
at once, on uvloop; messages are written by orjson; results are stored in a Redis of its own, read with hiredis. What it
says to Kafka is as by default (one replica acknowledges); jobs are sent 500 at a time.
"""

import asyncio
import os
import sys

from aiokafka.coordinator.assignors.roundrobin import (  # type: ignore[import-not-found]  # it is not installed here
    RoundRobinPartitionAssignor,
)
from kafka.admin import NewTopic
from taskiq.serializers import ORJSONSerializer  # type: ignore[import-not-found]  # in an environment of its own
from taskiq_aio_kafka import AioKafkaBroker  # type: ignore[import-not-found]
from taskiq_redis import RedisAsyncResultBackend  # type: ignore[import-not-found]

REDIS = f"redis://127.0.0.1:{os.environ['PEER_REDIS_PORT']}"
QUEUE = os.environ["PEER_QUEUE"]
TOGETHER = 500

broker = (
    AioKafkaBroker(os.environ["PEER_KAFKA"], NewTopic(QUEUE, num_partitions=12, replication_factor=1))
    .with_result_backend(RedisAsyncResultBackend(f"{REDIS}/1", serializer=ORJSONSerializer()))
    .with_serializer(ORJSONSerializer())
)
# The assignor is the one that it has by default, from the package that its consumer is made of.
broker.configure_consumer(
    group_id=QUEUE, auto_offset_reset="earliest", partition_assignment_strategy=(RoundRobinPartitionAssignor,)
)


async def run() -> None:
    """The job."""


nothing = broker.task(task_name="nothing")(run)


async def submit(count: int) -> None:
    await broker.startup()
    for first in range(0, count, TOGETHER):
        await asyncio.gather(*(nothing.kiq() for _ in range(min(TOGETHER, count - first))))
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(submit(int(sys.argv[2])))
