"""A queue in Redis that a test drives by hand: its clients, workers, Kafka and time. No process, no waiting."""

import dataclasses
import itertools
import json
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, cast

import redis

from _yadtq.claims import Claim, Outcome, Read, Taken
from _yadtq.messages import Foreign, Header, Message, Ours, Rejected, Submission
from _yadtq.outbox import Outbox
from _yadtq.records import stats_of
from _yadtq.recovery import Recovery
from _yadtq.settings import Settings
from _yadtq.states import STATUSES, TRANSITIONS
from _yadtq.store import Leading, Store
from tests.support.documented_events import documented_fields
from tests.support.event_topic import EventTopic
from tests.support.queue_copy import QueueCopy, State, state_of, with_due_ones_ready

LEASE_SECONDS = 5
FAILURE = '{"type":"ValueError","message":"no","traceback":""}'
# The index that an id is in → the status of its record.
INDEXES = {
    "registered": "queued",
    "ready": "queued",
    "delayed": "queued",
    "processing": "processing",
    "success": "success",
    "failed": "failed",
    "rejected": "rejected",
}
AFTER = {(t.before, t.action): t.after for t in TRANSITIONS}
FIELDS = documented_fields()
NO_TRANSITION = {"share", "refused", "forgotten"}  # what is noted of a task and changes no state


class ScriptQueue:
    """A founded queue. kafka: the messages of each partition, by offset; what stands there has been published.

    topic: the event log. Nothing goes there but by `relay` and `lead`.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings)
        self.redis: Any = redis.Redis(settings.redis_host, settings.redis_port, decode_responses=True)
        self.kafka: dict[int, list[Message]] = {}
        self.topic = EventTopic()
        self.prefix = self.store.keys.prefix
        self._copy = QueueCopy(settings, self.redis)
        self._names = itertools.count(1)
        self._others: list[ScriptQueue] = []
        self.found()

    def found(self, generation: int = 1) -> None:
        """Begins the queue with an empty event log; nothing happens to one that is open."""
        leading = self.store.begin("test", True, generation)
        if isinstance(leading, Leading):
            self.topic.begin(generation, 0, 0)
            self.store.open(dataclasses.replace(leading, generation=generation), {str(generation): "0"})

    def begin_anew(self) -> None:
        """Another queue in the same namespace: nothing of this one is left."""
        self.redis.unlink(*self.dump())
        self._copy.remove()
        self.kafka.clear()
        self.topic.entries.clear()
        self.found()

    @classmethod
    def at(cls, address: tuple[str, int], namespace: str, **given: object) -> "ScriptQueue":
        """A queue with small bounds where they are given. A worker that was not heard of for 5 s is offline."""
        given.setdefault("worker_timeout", LEASE_SECONDS)
        return cls(Settings.load({}, redis_host=address[0], redis_port=address[1], namespace=namespace, **given))

    def limited(self, **given: object) -> "ScriptQueue":
        """The same queue, for programs with other settings."""
        s = self.settings
        other = ScriptQueue.at((s.redis_host, s.redis_port), s.namespace, **given)
        other.kafka = self.kafka
        self._others.append(other)
        return other

    def remove(self) -> None:
        """Deletes the queue and closes all connections to it."""
        keys = list(self.redis.scan_iter(match=f"{self.prefix}*", count=20_000))
        for start in range(0, len(keys), 1000):
            self.redis.unlink(*keys[start : start + 1000])
        self.close()

    def close(self) -> None:
        self._copy.close()
        for other in self._others:
            other.close()
        self.redis.close()
        self.store.close()

    # -- clients

    def task(self, task_id: str, args: str = "[]", task: str = "add", **given: str) -> Submission:
        """A new submission, with a name of its own."""
        fields = {"kwargs": "{}", "max_retries": "", "time_limit": "", "name": f"c~1#{next(self._names)}"} | given
        return Submission(task_id, task, args, **fields)

    def register(self, *tasks: Submission) -> list[str]:
        """The words of the script."""
        return [answer.word for answer in self.store.register(tasks)]

    def publish(self, *tasks: Submission, partition: int = 0) -> list[Submission]:
        """Registers tasks and lets Kafka have their messages."""
        for task, answer in zip(tasks, self.store.register(tasks), strict=True):
            self.send(Ours(0, 100, task.id, answer.header, task.value()), partition)
        return list(tasks)

    def send(self, message: Message, partition: int = 0) -> None:
        """Puts a message into Kafka, whatever it is."""
        log = self.kafka.setdefault(partition, [])
        log.append(dataclasses.replace(message, offset=len(log)))

    def send_foreign(self, task_id: str, args: str = "[]", partition: int = 0, **given: str) -> None:
        self.send(Foreign(0, 100, self.task(task_id, args, **given)), partition)

    def send_bad(self, value: bytes = b"x", reason: str = "not JSON", partition: int = 0) -> None:
        self.send(Rejected(0, len(value), value, reason), partition)

    def withdraw(self, task: Submission, epoch: str = "", generation: str = "") -> str:
        return self.store.withdraw(task, Header(epoch, generation, ""))

    # -- workers

    def worker(self, name: str = "worker1~a1", slots: int = 3) -> "Hand":
        """A worker that has joined."""
        hand = Hand(self, name)
        self.store.join(name, "{}", slots, "")
        self.redis.hdel(f"{self.prefix}worker:{name}", "joining")  # as if the relay had sent it
        return hand

    def read(self, partition: int = 0, began: int | None = None, end: int | None = None, whole: bool = False) -> Read:
        """What a reader brings that begins at `began` (None: where the queue is) and ends before `end`."""
        stored = self.store.positions().get(partition)
        start = began if began is not None else (stored or 0)
        messages = tuple(self.kafka.get(partition, [])[start:end])
        return Read(partition, start, start + len(messages), 1, messages, began is None and stored is None, whole)

    def reads(self) -> list[Read]:
        return [self.read(partition) for partition in sorted(self.kafka)]

    # -- time

    def pass_lease_time(self, seconds: float) -> None:
        """Moves the clock of all leases."""
        self.redis.hincrby(f"{self.prefix}meta", "clock", round(seconds * 1000))

    def make_due(self, task_id: str) -> None:
        """A delayed task may start now."""
        self.redis.zadd(self.key("delayed"), {task_id: 1})

    def lapse(self, worker: str) -> None:
        """The worker's lease is over, and nobody has noticed yet."""
        self.redis.zadd(f"{self.prefix}leases", {worker: 0})

    # -- Redis comes and goes

    def dump(self) -> dict[str, bytes]:
        """All that Redis has of the queue: the content of each key."""
        keys = sorted(self.redis.keys(f"{self.prefix}*"))
        return {key: self.redis.dump(key) for key in keys}

    def restart(self, back_to: dict[str, bytes] | None = None) -> None:
        """The server starts again: with all that it had, or with what `dump` found earlier."""
        if back_to is not None:
            self.redis.unlink(*self.dump())
            for key, content in back_to.items():
                self.redis.restore(key, 0, content)
            self._copy.remove()
        earlier = secrets.token_hex(20)
        meta = f"{self.prefix}meta"
        self.redis.hset(meta, "run", earlier)
        if self.redis.hexists(meta, "attempt_run"):
            self.redis.hset(meta, "attempt_run", earlier)

    def relay(self) -> None:
        """Kafka gets all events that wait, and they leave the outbox."""
        outbox = Outbox(self.store, cast(Any, self.topic))
        while outbox.forward(0.0):
            pass

    def recovery(self) -> Recovery:
        """Somebody who leads Redis back by what the event log has."""
        return Recovery(self.store, cast(Any, self.topic), cast(Any, self.topic))

    def lead(self) -> str:
        """Leads Redis back by what the event log has. Returns open · quarantine, or led: by another one."""
        if not self.recovery().lead():
            return "led"
        return self.redis.hget(f"{self.prefix}meta", "mode") or "open"

    # -- looking

    def key(self, name: str) -> str:
        """The whole name of a key of the current epoch."""
        return f"{self.prefix}{self.redis.hget(f'{self.prefix}meta', 'epoch')}:{name}"

    def record(self, task_id: str) -> dict[str, str]:
        return self.store.records([task_id])[0]

    def status(self, task_id: str) -> str:
        return self.record(task_id).get("status", "")

    def history(self, task_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.record(task_id).get("history", "[]"))
        return found

    def members(self, name: str) -> list[str]:
        """The ids of an index, in its order."""
        key = self.key(name)
        found = self.redis.lrange(key, 0, -1) if name == "ready" else self.redis.zrange(key, 0, -1)
        return [str(each) for each in found]

    def counts(self) -> dict[str, int]:
        return stats_of(self.store.stats(), [], None).counts

    def entries(self) -> list[tuple[str, str]]:
        """Every event so far, in order, wherever it is: its token and its JSON. The numbers are checked."""
        found = {entry.seq: (entry.token, entry.event) for entry in self.topic.counted()}
        for token, fields in self.redis.xrange(f"{self.prefix}events"):
            seq = int(token.partition("-")[2])
            assert found.setdefault(seq, (token, fields["event"]))[0] == token
        assert sorted(found) == list(range(1, len(found) + 1))
        return [found[seq] for seq in sorted(found)]

    def events(self) -> list[dict[str, Any]]:
        """Every event so far, in order."""
        entries = self.entries()
        events = [json.loads(event) for _, event in entries]
        assert [token.partition("-")[2] for token, _ in entries] == [str(e["seq"]) for e in events]
        return events

    def transitions(self, task_id: str = "") -> list[str]:
        """The actions of a task (of all, in order) that the events tell."""
        return [t["action"] for event in self.events() for t in event.get("tasks", []) if task_id in ("", t["id"])]

    def check(self) -> None:
        """What is always true, whatever has happened: all agrees, and follows from the events alone."""
        self._copy.follow(self.entries())
        keys = self._keys()
        original = state_of(self.redis, self.prefix, keys)
        self._agrees(original)
        self._copy.equals(original, keys)

    def state(self) -> State:
        """All but the workers."""
        return state_of(self.redis, self.prefix, self._keys())

    def equals(self, before: State) -> None:
        """Asserts that the queue, led back, is what it was."""
        assert with_due_ones_ready(self.state(), before) == before

    def check_agreement(self) -> None:
        """Indexes, records, counts and the actions of the events agree, whatever a test has written by hand."""
        self._agrees(state_of(self.redis, self.prefix, self._keys()))

    def _agrees(self, state: State) -> None:
        found = [(task_id, name) for name in INDEXES for task_id in state.members(name)]
        where = dict(found)
        assert len(found) == len(where), f"an id is in two indexes: {found}"
        assert where.keys() == state.scores["all"].keys()
        statuses = {task_id: record["status"] for task_id, record in state.records.items()}
        seen = {task_id: status for task_id, status in statuses.items() if status != "withdrawn"}
        assert seen == {task_id: INDEXES[name] for task_id, name in where.items()}
        assert self.counts() == {s: list(seen.values()).count(s) for s in STATUSES}
        assert self._replayed() == seen

    def _keys(self) -> list[str]:
        """The names of all keys, those of the copy among them."""
        found: list[str] = self.redis.keys(f"{self.prefix.removesuffix('}:')}*")
        return found

    def _replayed(self) -> dict[str, str]:
        """The statuses that follow from the events alone: each transition must be one of the table."""
        known: dict[str, str] = {}
        for event in self.events():
            if event.get("action") == "reset":
                known = {}
            for t in event.get("tasks", []):
                assert t.keys() <= FIELDS[t["action"]], t
                if t["action"] in NO_TRANSITION:
                    continue
                after = AFTER[known.get(t["id"], ""), t["action"]]
                known[t["id"]] = after
        return {task_id: status for task_id, status in known.items() if status}


class Hand:
    """One incarnation of a worker. number: of the last take whose reply it has read. edition: of what it reads."""

    def __init__(self, queue: ScriptQueue, name: str) -> None:
        self.queue, self.name, self.number, self.edition = queue, name, 0, ""

    def take(self, free: int = 3, reads: Iterable[Read] | None = None, running: Sequence[Claim] = ()) -> Taken:
        """Reads all that is unread, unless reads are given, and takes up to `free` tasks."""
        taken = self.call_take(self.number + 1, self.number, free, reads, running)
        self.number += 1
        return taken

    def call_take(
        self, number: int, seen: int, free: int = 3, reads: Iterable[Read] | None = None, running: Sequence[Claim] = ()
    ) -> Taken:
        """A take with any numbers."""
        given = self.queue.reads() if reads is None else list(reads)
        return self.queue.store.take(self.name, number, seen, free, _lines(running), given, self.edition)

    def take_one(self) -> Claim:
        """The next task, which must be there."""
        return self.take(1).claims[0]

    def settle(
        self,
        claim: Claim,
        kind: str = "success",
        text: str = "5",
        reason: str = "",
        begun: bool = True,
        delay: float = 60,
    ) -> str:
        """Settles one claim; `delay` is a retry's."""
        if kind in ("failed", "retry") and text == "5":
            text = FAILURE
        outcome = Outcome(claim, kind, 9.5, 9.0 if begun else None, text, reason, delay if kind == "retry" else 0.0)
        return self.queue.store.settle(self.name, [outcome], 10.0)[0]

    def beat(self, running: Sequence[Claim] = (), relay: str = "", state: str = "online") -> tuple[bool, bool, bool]:
        return self.queue.store.beat(self.name, state, 0, _lines(running), "", relay)

    def confirm(self, *claims: Claim) -> list[Claim]:
        """Says that it holds these; returns those that Redis has forgotten."""
        return self.queue.store.confirm(self.name, self.number, claims)

    def leave(self) -> None:
        self.queue.store.leave(self.name)


def _lines(claims: Sequence[Claim]) -> str:
    return "\n".join(claim.name for claim in claims)


def ids(taken: Taken) -> list[str]:
    """The ids of the tasks that a take has given."""
    return [claim.id for claim in taken.claims]
