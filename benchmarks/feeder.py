"""A client in a process of its own that submits for a benchmark: tasks that take no time, or that give back a text.

    python -m benchmarks.feeder COUNT BATCH PAUSE BYTES

COUNT tasks, BATCH in a call, PAUSE seconds from the beginning of one call to that of the next one; COUNT 0: until
SIGTERM. BYTES 0: tasks `nothing`, else tasks `echo` with a text of so many bytes. In the end it prints how many tasks
were accepted, and when it began and ended, in seconds of the machine's monotonic clock.
"""

import itertools
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.measured_queue import MeasuredQueue
from tests.support.programs import RunningProgram
from yadtq import Call, TaskClient

END_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Fed:
    """What a feeder has done: how many tasks, and from when to when."""

    count: int
    began: float
    ended: float


def started(
    queue: MeasuredQueue, name: str, *, count: int = 0, batch: int, pause: float, size: int = 0
) -> RunningProgram:
    """A feeder of this queue; the arguments are those of the program."""
    return queue.start_program(name, "-m", "benchmarks.feeder", *map(str, (count, batch, pause, size)))


def ended(feeder: RunningProgram, seconds: float = END_SECONDS) -> Fed:
    """What a feeder has done, when it has ended by itself or by SIGTERM. RuntimeError when it failed."""
    if feeder.process.wait(seconds) != 0:
        raise RuntimeError(f"{feeder.log.name} ended with {feeder.process.returncode}: {feeder.output[-2000:]}")
    count, began, end = feeder.output.split()
    return Fed(int(count), float(began), float(end))


def stopped(feeder: RunningProgram) -> Fed:
    """Ends a feeder after its current call."""
    feeder.process.terminate()
    return ended(feeder)


def main(arguments: Sequence[str]) -> None:
    """The program."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    count, batch, pause, size = int(arguments[0]), int(arguments[1]), float(arguments[2]), int(arguments[3])
    call = Call("echo", ("x" * size,)) if size else Call("nothing")
    accepted, began = 0, time.monotonic()
    with TaskClient() as client:
        for number in itertools.count(1):
            now = min(batch, count - accepted) if count else batch
            if now == 0 or stopping.is_set():
                break
            accepted += len(client.submit_many(itertools.repeat(call, now)))
            stopping.wait(max(0.0, began + number * pause - time.monotonic()))
        print(accepted, began, time.monotonic(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
