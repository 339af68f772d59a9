"""Whether tasks wait although workers have room for them: then something between Kafka and the workers is broken."""

from _yadtq.log import Log
from _yadtq.snapshots import Snapshot

PATIENCE_SECONDS = 15.0  # a rebalance of the group takes less


class LagWatch:
    """Told of each picture of the queue; says when such a standstill begins, and when it is over."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._since: float | None = None  # tasks wait and workers are idle, without progress
        self._least = 0
        self._said = False

    def note(self, now: float, snapshot: Snapshot) -> None:
        """now: monotonic seconds."""
        waiting = snapshot.stats.ready + (snapshot.stats.unread or 0)
        idle = sum(worker.slots - worker.busy for worker in snapshot.workers if worker.state == "online")
        stands = waiting > 0 and idle > 0 and not snapshot.quarantine
        if not stands or self._since is None or waiting < self._least:
            if self._said:
                self._log.info("lag", text=f"it is over: {waiting} tasks wait, and workers have {idle} free slots")
            self._since, self._least, self._said = (now if stands else None), waiting, False
        elif not self._said and now - self._since > PATIENCE_SECONDS:
            self._said = True
            self._log.warning("lag", text=_line(snapshot, now - self._since, idle))


def _line(snapshot: Snapshot, seconds: float, idle: int) -> str:
    behind = {partition: count for partition, count in sorted((snapshot.lag or {}).items()) if count}
    where = ", ".join(f"{partition}: {count}" for partition, count in list(behind.items())[:20])
    unread = f"{sum(behind.values())} messages are unread (partition {where})" if behind else "none is unread"
    return (
        f"tasks have waited for {seconds:.0f} s while workers have {idle} free slots: "
        f"{snapshot.stats.ready} are ready, {unread}; look at the logs of the workers, and whether they reach Kafka"
    )
