"""A queue made anew from its events alone: they carry all that its records consist of."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any

from _yadtq.settings import Settings
from _yadtq.store import Leading, Store

SORTED = ("all", "registered", "delayed", "processing", "success", "failed", "rejected")
DUE = 1.0  # the score of a delayed task that a test has made due
NOT_IN_EVENTS = {"waiters"}  # channels of clients that wait: they look again by themselves


@dataclasses.dataclass(frozen=True)
class State:
    """What a queue consists of, without its workers.

    topic: its id, edition, and number of partitions. positions, floors: by partition. forgotten: starts by id of the
    task. scores: of each sorted index. failures: of workers, without the tasks that they held.
    """

    epoch: str
    seq: str
    resets: tuple[str, str]
    topic: list[str | None]
    positions: dict[str, str]
    floors: dict[str, str]
    forgotten: dict[str, str]
    ready: list[str]
    scores: dict[str, dict[str, float]]
    records: dict[str, dict[str, str]]
    failures: list[dict[str, Any]]

    def members(self, index: str) -> Iterable[str]:
        return self.ready if index == "ready" else self.scores[index]


def state_of(redis: Any, prefix: str, keys: Iterable[str]) -> State:
    """What Redis has of a queue. keys: the names of all that there are, its own among them."""
    pipeline = redis.pipeline()
    pipeline.hmget(f"{prefix}meta", "epoch", "seq", "resets", "reset_in", "topic", "edition", "partitions")
    pipeline.hgetall(f"{prefix}positions")
    (epoch, seq, resets, reset_in, *topic), positions, floors = pipeline.hgetall(f"{prefix}floors").execute()
    of_epoch = f"{prefix}{epoch}:"
    for name in SORTED:
        pipeline.zrange(f"{of_epoch}{name}", 0, -1, withscores=True)
    pipeline.lrange(f"{of_epoch}ready", 0, -1).hgetall(f"{of_epoch}forgotten").lrange(f"{prefix}failures", 0, -1)
    *rows, ready, forgotten, failures = pipeline.execute()
    records = _records(redis, f"{of_epoch}task:", keys)
    scores = {name: dict(found) for name, found in zip(SORTED, rows, strict=True)}
    for task_id, score in scores["delayed"].items():
        retry_at = round(float(records[task_id]["retry_at"]) * 1000)
        assert score in (retry_at, DUE)
        scores["delayed"][task_id] = retry_at
    known = [{name: fact for name, fact in json.loads(entry).items() if name != "tasks"} for entry in failures]
    return State(
        epoch, seq, (resets or "", reset_in or ""), topic, positions, floors, forgotten, ready, scores, records, known
    )


def _records(redis: Any, prefix: str, keys: Iterable[str]) -> dict[str, dict[str, str]]:
    ids = sorted(key.removeprefix(prefix) for key in keys if key.startswith(prefix))
    pipeline = redis.pipeline()
    for task_id in ids:
        pipeline.hgetall(f"{prefix}{task_id}")
    return {
        task_id: {name: text for name, text in record.items() if name not in NOT_IN_EVENTS}
        for task_id, record in zip(ids, pipeline.execute(), strict=True)
    }


class QueueCopy:
    """Follows a queue, event by event, under another namespace."""

    def __init__(self, settings: Settings, redis: Any) -> None:
        self.store = Store(dataclasses.replace(settings, namespace=f"{settings.namespace}-copy"))
        self.prefix = self.store.keys.prefix
        self._redis = redis
        self._leading: Leading | None = None
        self._applied = 0

    def follow(self, events: Sequence[tuple[str, str]]) -> None:
        """Makes happen what is new among the events, each with its token."""
        if self._leading is None:
            begun = self.store.begin("copy", True, 1)
            assert isinstance(begun, Leading)
            self._leading = begun
        new = events[self._applied :]
        for start in range(0, len(new), 200):
            self.store.apply(self._leading, False, new[start : start + 200])
        self._applied = len(events)

    def equals(self, original: State, keys: Iterable[str]) -> None:
        """Asserts that the events have made what the original is. keys: as for `state_of`."""
        copied = state_of(self._redis, self.prefix, keys)
        assert with_due_ones_ready(copied, original) == original
        order = int(self._redis.hget(f"{self.prefix}meta", "order"))
        assert order >= max([0.0, *copied.scores["all"].values()]), "an order would be used twice"

    def remove(self) -> None:
        """Deletes it; it begins anew with the next comparison."""
        keys = list(self._redis.scan_iter(match=f"{self.prefix}*", count=20_000))
        if keys:
            self._redis.unlink(*keys)
        self._leading, self._applied = None, 0

    def close(self) -> None:
        self.remove()
        self.store.close()


def with_due_ones_ready(copied: State, original: State) -> State:
    """What is due becomes ready by the next take, and no event tells of that: what is ready there is made so here."""
    due = [task_id for task_id in original.ready if task_id in copied.scores["delayed"]]
    for task_id in due:
        copied.ready.insert(original.ready.index(task_id), task_id)
        del copied.scores["delayed"][task_id], copied.records[task_id]["retry_at"]
    return copied
