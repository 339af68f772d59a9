"""The faults of the chaos tests, and schedules of them: seeded, printed, and read back to be replayed. Pure.

A schedule is text, one line a step: seconds after the start, the fault's name, the worker's number (0: none), and for
how many seconds it lasts (0: an instant). `#` begins a comment.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

LOOK_SECONDS = 0.1  # between two looks of a story that waits for something
DOWN_SECONDS = 1.0  # until what was killed is started again
KAFKA, REDIS, WORKER, WORKERS, NOTHING = "kafka", "redis", "worker", "workers", ""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault. on: what it needs for itself, so that two faults of one thing wait for each other.

    shortest, longest: seconds that it lasts, before what it takes to mend it.
    """

    about: str
    on: tuple[str, ...]
    shortest: float = 0.0
    longest: float = 0.0


# The lease of the chaos tests' workers is 6 s: what lasts longer costs it.
KINDS = {
    "kill-worker": Kind("SIGKILL of a worker's parent; another one starts under its name", (WORKER,)),
    "kill-child": Kind("SIGKILL of a child, of one that runs a task if there is one", (WORKER,)),
    "kill-guard": Kind("SIGKILL of a worker's guard", (WORKER,)),
    "stop-worker": Kind("SIGSTOP of a worker's parent for longer than its lease, then SIGCONT", (WORKER,), 8, 12),
    "pause-worker": Kind(
        "SIGSTOP of a worker's parent for a moment: nothing may be started again", (WORKER,), 0.5, 1.5
    ),
    "restart-worker": Kind("SIGTERM of a worker; another one starts under its name", (WORKER,)),
    "client-before-publish": Kind("SIGKILL of a client that has registered and not published", (NOTHING,)),
    "client-during-publish": Kind("SIGKILL of a client that publishes, before it has the acknowledgement", (NOTHING,)),
    "kafka-stop": Kind("Kafka is stopped and started again", (KAFKA,), 2, 12),
    "kafka-kill": Kind("Kafka is killed and started again", (KAFKA,), 1, 8),
    "redis-stop": Kind("Redis is stopped and started again", (REDIS,), 1, 10),
    "redis-kill": Kind("Redis is killed and started from its append-only file", (REDIS,), 0, 8),
    "both-kafka-first": Kind("both are killed, Kafka first, and Kafka comes back first", (KAFKA, REDIS), 2, 8),
    "both-redis-first": Kind("both are killed, Redis first, and Redis comes back first", (KAFKA, REDIS), 2, 8),
    "redis-cut": Kind("one worker's connections to Redis are cut, and no new ones served", (WORKER,), 1, 10),
    "redis-mute": Kind("one worker's requests to Redis are accepted and never answered", (WORKER,), 1, 8),
    "redis-slow": Kind("one worker's replies of Redis come 200 ms late", (WORKER,), 4, 10),
    "redis-swallow": Kind("replies of take, settle and beat are lost after the script ran", (WORKER,), 2, 5),
    "kafka-cut": Kind("the connections of every second worker to Kafka are cut", (KAFKA,), 1, 10),
    "kafka-mute": Kind("the requests of every second worker to Kafka are never answered", (KAFKA,), 1, 8),
    "kafka-slow": Kind("the replies of Kafka to every second worker come 200 ms late", (KAFKA,), 4, 10),
    "redis-full": Kind("Redis has reached its maxmemory and refuses writes", (REDIS,), 1, 6),
    "redis-disk-full": Kind("the disk under Redis is full, and it refuses writes", (REDIS,), 1, 6),
    "redis-clock": Kind("the clock of Redis' machine is set a minute forward or back", (REDIS,), 1, 8),
    "clock-jump": Kind("the clock of a worker's machine is set a minute forward or back", (WORKER,), 1, 8),
    "redis-restore": Kind(
        "Redis is killed and started from a copy of its files that is some seconds old", (REDIS,), 1, 6
    ),
    "redis-replica": Kind(
        "Redis is killed, and a replica that lags some seconds behind takes its place", (REDIS,), 1, 6
    ),
    "redis-lost": Kind("Redis loses everything and is rebuilt", (REDIS,), 0, 4),
    "topic-recreated": Kind("the topic of the tasks is deleted and created again", (KAFKA,), 0, 3),
    "topic-truncated": Kind("all messages of the topic of the tasks are deleted", (KAFKA,)),
    "topic-partitions": Kind("the topic of the tasks is given more partitions", (KAFKA,)),
    "scale": Kind("1 worker, then 6, 2, 6, and as many as before", (WORKERS,), 12, 20),
    "rolling": Kind("every worker is restarted by SIGTERM, one after the other", (WORKERS,)),
    "reset": Kind("Reset, under load", (NOTHING,)),
    "kill-server": Kind("SIGKILL of the server", ("server",), 1, 8),
    "kill-logger": Kind("SIGKILL of the logger", ("logger",), 0, 6),
    "kill-monitor": Kind("SIGKILL of the monitor", ("monitor",), 0, 4),
    "kill-manager": Kind("SIGKILL of the manager; its worker leaves, and another one starts", ("manager",), 0, 4),
    "kill-managed": Kind("SIGKILL of a worker of the manager, which puts its tasks back", ("manager",)),
    "delete-leases": Kind("the keys of leases and heartbeats are deleted by hand", (WORKERS,)),
}
ALL = tuple(KINDS)


@dataclass(frozen=True, slots=True)
class Step:
    """One fault of a schedule. at: seconds after its start. worker: number, 0 none. seconds: how long it lasts."""

    at: float
    kind: str
    worker: int = 0
    seconds: float = 0.0

    def needs(self, workers: Iterable[int]) -> frozenset[str]:
        """What the fault has for itself while it lasts."""
        needed: set[str] = set()
        for each in KINDS[self.kind].on:
            if each == WORKER:
                needed.add(f"{WORKER} {self.worker}")
            elif each == WORKERS:
                needed |= {f"{WORKER} {number}" for number in workers}
            elif each:
                needed.add(each)
        return frozenset(needed)


def schedule(seed: int, seconds: float, workers: int, gap: float = 5.0, kinds: Sequence[str] = ALL) -> list[Step]:
    """Faults at random, for so long; every kind comes before any comes again. gap: mean seconds between two."""
    chance = random.Random(seed)
    at = 0.0
    steps: list[Step] = []
    names = _shuffled_for_ever(chance, kinds)
    while True:
        at += chance.uniform(0.2, 1.8) * gap
        if at > seconds:
            return steps
        name = next(names)
        kind = KINDS[name]
        worker = chance.randint(1, workers) if WORKER in kind.on else 0
        lasts = round(chance.uniform(kind.shortest, kind.longest), 1)
        steps.append(Step(round(at, 1), name, worker, lasts))


def _shuffled_for_ever(chance: random.Random, kinds: Sequence[str]) -> Iterator[str]:
    while True:
        names = list(kinds)
        chance.shuffle(names)
        yield from names


def written(steps: Iterable[Step]) -> str:
    """A schedule as text."""
    return "".join(f"{s.at:8.1f} {s.kind:<22} {s.worker} {s.seconds:g}\n" for s in steps)


def read(text: str) -> list[Step]:
    """A schedule from its text. Raises ValueError for a line that is none."""
    steps = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            at, kind, worker, seconds = words
            step = Step(float(at), kind, int(worker), float(seconds))
        except ValueError as error:
            raise ValueError(f"line {number}: {line.strip()!r} is no step (at kind worker seconds): {error}") from None
        if kind not in KINDS:
            raise ValueError(f"line {number}: no fault is named {kind!r}; there are {', '.join(KINDS)}")
        steps.append(step)
    return sorted(steps, key=lambda step: step.at)
