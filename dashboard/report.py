"""What `--once` and `--json` print: a picture of the queue as text, and as plain data."""

from collections.abc import Iterable
from typing import Any

from dashboard.rows import counted
from shell.descriptions import json_text, worker_data
from yadtq import Snapshot, Worker, WorkerFailure, visible

COUNTED = ("queued", "processing", "success", "failed")
"""Statuses that are always counted, in this order; rejected messages only when there are some."""


def text_of(now: Snapshot) -> str:
    """The workers, a line each, and the number of tasks by status."""
    lines = ["=== WORKERS ===", *(worker_line(worker) for worker in latest(now.workers))]
    counts = {status: now.stats.counts.get(status, 0) for status in COUNTED}
    rejected = now.stats.counts.get("rejected", 0)
    counts |= {"rejected": rejected} if rejected else {}
    return "\n".join([*lines, f"=== TASKS === {counts}"])


def worker_line(worker: Worker) -> str:
    name, seen = visible(worker.worker_id), int(worker.last_seen)
    return f"worker:{name} state {worker.state} last_seen {seen} tasks_executed {worker.tasks_executed}"


def latest(workers: Iterable[Worker]) -> list[Worker]:
    """One worker of each name, sorted by it: among those that live the one that was started last."""
    found: dict[str, Worker] = {}
    for worker in sorted(workers, key=lambda each: (each.state != "offline", each.started_at, each.last_seen)):
        found[worker.worker_id] = worker
    return sorted(found.values(), key=lambda worker: counted(worker.worker_id))


def json_of(now: Snapshot) -> str:
    """The whole picture, as one line of JSON."""
    return json_text(data_of(now))


def data_of(now: Snapshot) -> dict[str, Any]:
    """The whole picture as plain data. Instants are seconds since 1970 by Redis' clock."""
    stats = now.stats
    return {
        "at": now.at,
        "counts": dict(stats.counts),
        "workers": [worker_data(worker) for worker in now.workers],
        "slots": stats.slots,
        "busy": stats.busy,
        "ready": stats.ready,
        "delayed": stats.delayed,
        "unread": stats.unread,
        "lag": None if now.lag is None else {str(partition): unread for partition, unread in now.lag.items()},
        "waiting_seconds": now.waiting_seconds,
        "spans": [[span.start, span.end, span.success, span.failed] for span in now.spans],
        "failures": [failure_data(failure) for failure in now.failures],
        "servers": [
            {
                "id": server.id,
                "state": server.state,
                "last_seen": server.last_seen,
                "started_at": server.started_at,
                "host": server.host,
                "process": server.process,
            }
            for server in now.servers
        ],
        "relay": now.relay,
        "quarantine": now.quarantine,
        "outbox": stats.outbox,
        "epoch": stats.epoch,
        "generation": stats.generation,
        "health": {"kafka": now.health.kafka, "redis": now.health.redis},
    }


def failure_data(failure: WorkerFailure) -> dict[str, Any]:
    """A lost worker, and what became of its tasks."""
    return {
        "worker": failure.worker,
        "worker_id": failure.worker_id,
        "host": failure.host,
        "last_seen": failure.last_seen,
        "at": failure.at,
        "reason": failure.reason,
        "count": failure.count,
        "tasks": [{"id": each.id, "begun": each.begun, "status": each.status} for each in failure.tasks],
    }
