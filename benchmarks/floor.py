"""The floor: what Redis alone needs for the same work.

All that a client and a worker say to Redis is recorded on its way. Then the queue is removed, and one connection says
the same again, call by call, with nothing around it: the same scripts, with the same data, in batches of the same size.
"""

import dataclasses
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.bench import Bench, wait_until_freed
from benchmarks.completions import watch
from tests.support.measured_queue import MeasuredQueue
from tests.support.redis_calls import Call, RecordingProxy, replay
from yadtq import Call as Job
from yadtq import TaskClient

SLOTS = 10
STEP = 5000  # jobs of one call, or keys


@dataclass(frozen=True, slots=True)
class Floor:
    """One replay. submitted, worked: jobs a second. cpu: µs of Redis' core a job, with all that it does for the calls.

    scripts: µs a job from asking to having the answer, by the script's name. held: ms, p99.9 of the calls of scripts.
    """

    submitted: float
    worked: float
    cpu: float
    scripts: Mapping[str, float]
    held: float


class Recording:
    """What was said to Redis for so many jobs: first by the client that submitted them all, then by a worker."""

    def __init__(self, queue: MeasuredQueue, jobs: int, submitting: Sequence[Call], working: Sequence[Call]) -> None:
        self._queue, self._jobs = queue, jobs
        self._submitting, self._working = submitting, working

    @property
    def calls(self) -> float:
        """Calls for each job."""
        return (len(self._submitting) + len(self._working)) / self._jobs

    def replay(self) -> Floor:
        """Says everything again. AssertionError when that has not ended every job."""
        port, jobs = self._queue.settings.redis_port, self._jobs
        self.remove()
        self._queue.begin_timing()
        cpu = self._queue.redis_seconds()
        submitting = replay(port, self._submitting)
        working = replay(port, self._working)
        cpu, held = self._queue.redis_seconds() - cpu, self._queue.script_ms("p99.9")
        done = ended(self._queue)
        assert done == jobs, f"the replay has ended {done:,} of {jobs:,} jobs"
        self.remove()
        scripts = Counter(submitting) + Counter(working)
        return Floor(
            submitted=jobs / sum(submitting.values()),
            worked=jobs / sum(working.values()),
            cpu=cpu / jobs * 1e6,
            scripts={name: seconds / jobs * 1e6 for name, seconds in scripts.items()},
            held=held,
        )

    def remove(self) -> None:
        """Removes the queue from Redis."""
        keys = list(self._queue.redis.scan_iter(f"{{{self._queue.settings.namespace}}}*", 10_000))
        for first in range(0, len(keys), STEP):
            self._queue.redis.unlink(*keys[first : first + STEP])
        wait_until_freed(self._queue.settings.redis_port)


@contextmanager
def recorded(bench: Bench, jobs: int) -> Iterator[Recording]:
    """Submits so many jobs that do nothing and works them off, all through a proxy. Gives what was said."""
    with bench.queue("floor", concurrency=SLOTS) as queue:
        proxy, direct = RecordingProxy(queue.settings.redis_port), queue.settings
        queue.settings = dataclasses.replace(direct, redis_port=proxy.port)
        try:
            with TaskClient(queue.settings) as client:
                submit(client, jobs)
            submitted = len(proxy.calls)
            queue.add_worker()
            watch(lambda: ended(queue), jobs, time.perf_counter())
            queue.wait_until_told()
            calls = proxy.calls[:]
            queue.stop_workers()
        finally:
            proxy.close()
        queue.settings = direct
        recording = Recording(queue, jobs, calls[:submitted], calls[submitted:])
        recording.remove()
        yield recording


def submit(client: TaskClient, jobs: int) -> None:
    """Submits so many jobs that do nothing."""
    for first in range(0, jobs, STEP):
        client.submit_many(Job("nothing") for _ in range(min(STEP, jobs - first)))


def ended(queue: MeasuredQueue) -> int:
    """How many jobs have."""
    return queue.client.counts()["success"]
