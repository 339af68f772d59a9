"""Pictures of a queue, made by hand for tests."""

from collections.abc import Mapping

from _yadtq.records import Stats, Worker
from _yadtq.snapshots import Server, Snapshot
from _yadtq.states import STATUSES

AT = 1_755_103_784.0


def worker_with(name: str = "worker1", state: str = "online", slots: int = 3, busy: int = 0) -> Worker:
    """A worker that was heard of just now."""
    return Worker(f"{name}~x7yp23ab", name, state, AT, AT - 60, "host", 4711, slots, busy, 0)


def server_with(name: str, state: str) -> Server:
    """A server that was heard of just now."""
    return Server(name, state, AT, AT - 60, "host", 4711)


def snapshot_with(
    workers: tuple[Worker, ...] = (),
    lag: Mapping[int, int] | None = None,
    servers: tuple[Server, ...] = (),
    quarantine: bool = False,
    waiting_seconds: float = 0.0,
    **stats: int,
) -> Snapshot:
    """A picture. lag: None: Kafka does not answer. stats: fields of Stats, and counts by status."""
    live = [worker for worker in workers if worker.state != "offline"]
    return Snapshot(
        at=AT,
        stats=Stats(
            counts={status: stats.get(status, 0) for status in STATUSES},
            workers=len(live),
            slots=sum(worker.slots for worker in live),
            busy=sum(worker.busy for worker in live),
            ready=stats.get("ready", 0),
            delayed=stats.get("delayed", 0),
            unread=None if lag is None else sum(lag.values()),
            outbox=stats.get("outbox", 0),
            epoch=stats.get("epoch", 0),
            generation=1,
        ),
        workers=workers,
        servers=servers,
        failures=(),
        spans=(),
        waiting_seconds=waiting_seconds,
        quarantine=quarantine,
        relay="",
        lag=None if lag is None else dict(lag),
    )
