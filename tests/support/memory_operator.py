"""An Operator without servers: its queue is a MemoryClient, and it counts what it is asked."""

import time
from collections import Counter
from dataclasses import replace

from tests.support.memory_client import MemoryClient
from tests.support.queue_pictures import snapshot
from yadtq import Health, Page, ServerUnreachable, Snapshot, TaskClient, WorkerFailure


class MemoryOperator:
    """What the monitor's pages ask of yadtq.Operator. asked: name of a method → calls. now: what snapshots are made of.

    lost: the workers that were lost. Servers in `memory.down` do not answer.
    """

    def __init__(self) -> None:
        self.memory = MemoryClient()
        self.asked: Counter[str] = Counter()
        self.now: Snapshot = snapshot()
        self.lost: tuple[WorkerFailure, ...] = ()

    @property
    def client(self) -> TaskClient:
        return self.memory

    def snapshot(self, spans: int = 60, failures: int = 20) -> Snapshot:
        self._ask("snapshot")
        health = Health(kafka="Kafka does not answer" if "kafka" in self.memory.down else "")
        stats = replace(self.now.stats, counts=self.memory.counts())
        return replace(self.now, at=time.time(), stats=stats, health=health, failures=self.lost[:failures])

    def page(
        self,
        status: str = "",
        task: str = "",
        worker: str = "",
        prefix: str = "",
        first: int = 0,
        count: int = 50,
        seconds: float = 0.15,
    ) -> Page:
        self._ask("page")
        looked_at = self.memory.list(status, limit=10_000)
        found = [
            each
            for each in looked_at
            if task in ("", each.task) and worker in ("", each.worker_id) and each.id.startswith(prefix)
        ]
        following = first + count if first + count < len(found) else None
        return Page(tuple(found[first : first + count]), following, len(looked_at), complete=True)

    def failures(self, count: int = 100) -> tuple[WorkerFailure, ...]:
        self._ask("failures")
        return self.lost[:count]

    def _ask(self, name: str) -> None:
        self.asked[name] += 1
        if "redis" in self.memory.down:
            raise ServerUnreachable("redis", "Redis at 127.0.0.1:1 does not answer: is it running?")
