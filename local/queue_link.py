"""The manager's connection to its queue: a thread of its own, since a server that is away takes seconds to say so."""

import threading
import time
from collections import deque
from collections.abc import Mapping

import yadtq
from local.crew import Dead

LOOK_SECONDS = 1.0
STALE_SECONDS = 10.0  # an older picture of the queue decides nothing
MOST_WAITING = 1000  # dead workers that wait for Redis; the lease serves those that are forgotten


class QueueLink(threading.Thread):
    """Looks at the queue each second, and tells it which workers are dead."""

    def __init__(self, operator: yadtq.Operator, log: yadtq.Log) -> None:
        super().__init__(name="queue-link", daemon=True)
        self._operator, self._log = operator, log
        self._dead: deque[Dead] = deque(maxlen=MOST_WAITING)
        self._wake = threading.Event()
        self._stopping = False
        self._seen: tuple[yadtq.Snapshot, float] | None = None
        self.problem = ""

    def bury(self, dead: Dead) -> None:
        """Its tasks go back as soon as Redis answers. From any thread; returns at once."""
        self._dead.append(dead)
        self._wake.set()

    def snapshot(self, now: float) -> yadtq.Snapshot | None:
        """What was seen last, unless that is too old. now: of the monotonic clock."""
        seen = self._seen
        return seen[0] if seen and now <= seen[1] + STALE_SECONDS else None

    def workers(self, now: float) -> Mapping[str, yadtq.Worker]:
        """Birth → worker: the latest life of each process that is known."""
        snapshot = self.snapshot(now)
        known = sorted(snapshot.workers, key=lambda worker: worker.started_at) if snapshot else ()
        return {worker.birth: worker for worker in known if worker.birth}

    @property
    def waiting(self) -> int:
        """Dead workers that the queue has not been told of yet."""
        return len(self._dead)

    def stop(self, seconds: float) -> None:
        """Ends the thread, when it has told of the dead; waits so long at most."""
        self._stopping = True
        self._wake.set()
        self.join(seconds)

    def run(self) -> None:
        self._wake.wait(LOOK_SECONDS)  # what a connection needs is loaded when the first workers are on their way
        while not self._stopping or self._dead:
            self._wake.clear()
            try:
                self._tell()
                if not self._stopping:
                    self._seen = self._operator.snapshot(), time.monotonic()
            except yadtq.YadtqError as error:
                self._trouble(str(error))
            else:
                self._trouble("")
            if not (self._stopping and not self._dead):
                self._wake.wait(LOOK_SECONDS)

    def _tell(self) -> None:
        while self._dead:
            self._tell_of(self._dead[0])
            self._dead.popleft()

    def _tell_of(self, dead: Dead) -> None:
        for worker in self._operator.client.workers():
            # Another machine's worker may have its name and number: only the birth is its own.
            if worker.worker_id != dead.name or worker.birth != dead.birth or not dead.birth:
                continue
            if worker.state != "offline" and self._operator.bury(worker.id, dead.reason):
                self._log.info("bury", text=f"{worker.id}: {dead.reason}; its tasks are back in the queue")

    def _trouble(self, problem: str) -> None:
        if problem != self.problem:
            tell = self._log.error if problem else self._log.info
            tell("queue", text=f"{problem} (trying again)" if problem else "the queue can be seen again")
        self.problem = problem
