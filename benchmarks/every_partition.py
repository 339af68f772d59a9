"""A producer of its own, no client of YADTQ: it writes no-op tasks to every partition in turn, so that each always has
something to read.

    python -m benchmarks.every_partition PARTITIONS EACH PAUSE

EACH messages to every partition, PAUSE seconds from the beginning of one turn to that of the next one, until SIGTERM.
In the end it prints what a feeder prints.
"""

import json
import secrets
import signal
import sys
import threading
import time
from collections.abc import Sequence

from kafka import KafkaProducer

from tests.support.measured_queue import MeasuredQueue
from tests.support.programs import RunningProgram
from yadtq import Settings

END_SECONDS = 20.0


def started(queue: MeasuredQueue, each: int, pause: float) -> RunningProgram:
    """Such a producer for this queue; the arguments are those of the program."""
    arguments = map(str, (queue.settings.partitions, each, pause))
    return queue.start_program("every-partition", "-m", "benchmarks.every_partition", *arguments)


def main(arguments: Sequence[str]) -> None:
    """The program."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    partitions, each, pause = int(arguments[0]), int(arguments[1]), float(arguments[2])
    settings = Settings.load()
    topic = f"{settings.namespace}_tasks"  # as docs/protocol.md has it, for any producer
    producer = KafkaProducer(bootstrap_servers=settings.kafka_broker, acks="all", linger_ms=2)
    count, began, turn = 0, time.monotonic(), 0
    while not stopping.wait(max(0.0, began + turn * pause - time.monotonic())):
        turn += 1
        for partition in range(partitions):
            for _ in range(each):
                value = json.dumps({"task-id": secrets.token_hex(16), "task": "nothing", "args": []})
                producer.send(topic, value.encode(), partition=partition)
                count += 1
    producer.flush(END_SECONDS)
    print(count, began, time.monotonic(), flush=True)
    producer.close(END_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1:])
