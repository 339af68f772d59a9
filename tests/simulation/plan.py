"""What one seed stands for: a small queue, its programs, and the kinds of faults that may meet them."""

import random
from dataclasses import dataclass

from _yadtq.settings import Settings

NAMESPACE = "s"
# Faults of one call, message or run: name → the chance of it, where the plan has it at all.
CALL_FAULTS = {"cut": 0.03, "lost": 0.05, "held": 0.03, "die": 0.004}
MESSAGE_FAULTS = {"refused": 0.05, "unacknowledged": 0.05, "late": 0.06, "twice": 0.05, "die": 0.02}
RUN_FAULTS = {"raise": 0.12, "fail": 0.05, "crash": 0.12}
# What happens to a process or a server, a few times in a schedule.
EVENTS = (
    "kill-worker", "kill-client", "stop-worker", "pause-worker", "terminate-worker", "rebalance", "no-redis",
    "no-kafka", "redis-away", "kafka-away", "delete-leases", "clock-step", "restart",
)  # fmt: skip
# Where Redis may go back in time: it does so once or twice, and the event log lacks what happened last.
POINTS = ("durable", "durable", "durable", "no-events")
LOSSES = ("back", "back", "back", "lose")


@dataclass(frozen=True)
class Plan:
    """One schedule's world. faults: what happens to processes and servers, and when, in seconds.

    chances: of the faults of one call, message or run. fault_seconds: none happens later. batch: jobs handed to a
    child ahead. slow_replies: chance that others act between a script and its answer. run_seconds: of a handler.
    """

    seed: int
    settings: Settings
    workers: int
    clients: int
    submissions: int
    ids: int
    foreign: int
    resets: int
    retries: int
    batch: int
    slow_replies: float
    fault_seconds: float
    faults: tuple[tuple[float, str], ...]
    chances: dict[str, float]
    run_seconds: tuple[float, ...]


def plan_of(seed: int) -> Plan:
    """The plan of a seed. Each draws its own few kinds of faults, so that rare pairs meet."""
    rng = random.Random(f"plan {seed}")
    some = {**CALL_FAULTS, **MESSAGE_FAULTS, **RUN_FAULTS}
    chances = {name: chance * rng.choice((0.5, 1, 3, 6)) for name, chance in some.items() if rng.random() < 0.4}
    submissions = rng.randint(1, 5)
    fault_seconds = rng.choice((0.5, 1.5, 4.0, 10.0))
    return Plan(
        seed=seed,
        settings=_settings(rng),
        workers=rng.choice((1, 2, 2, 3)),
        clients=rng.randint(1, 3),
        submissions=submissions,
        ids=rng.choice((submissions, submissions, max(1, submissions // 2))),
        foreign=rng.choice((0, 0, 1, 2)),
        resets=rng.choice((0, 0, 0, 1, 2)),
        retries=rng.choice((0, 0, 1, 2)),
        batch=rng.choice((0, 0, 1, 2)),
        slow_replies=rng.choice((0.0, 0.3)),
        fault_seconds=fault_seconds,
        faults=_faults(rng, fault_seconds),
        chances=chances,
        run_seconds=rng.choice(((0.0, 0.01), (0.0, 0.5), (0.0, 3.0), (0.01, 9.0), (2.0,))),
    )


def _settings(rng: random.Random) -> Settings:
    return Settings.load(
        {},
        namespace=NAMESPACE,
        worker_id="worker",
        partitions=rng.choice((1, 1, 2, 3)),
        worker_timeout=rng.choice((2, 6, 6)),
        concurrency=rng.choice((1, 1, 2)),
        drain_seconds=rng.choice((0, 2, 25)),
        retry_delay=rng.choice((0, 0.3, 1)),
        task_max_retries=rng.choice((0, 1, 3)),
        task_max_crashes=rng.choice((1, 2, 3)),
        outbox_entries=rng.choice((3, 8, 100_000, 100_000)),
        ready_tasks=rng.choice((1, 2, 10_000)),
        result_ttl=rng.choice((2, 10_000, 10_000, 10_000, 10_000)),
    )


def _faults(rng: random.Random, seconds: float) -> tuple[tuple[float, str], ...]:
    kinds = [name for name in EVENTS if rng.random() < 0.35] or ["kill-worker"]
    names = [rng.choice(kinds) for _ in range(rng.randint(0, 5))]
    if rng.random() < 0.5:
        names += ["durable", *rng.choices(POINTS, k=3), *rng.choices(LOSSES, k=rng.randint(1, 2))]
    if names.count("clock-step") > 1:  # each costs a second of every lease, and its margin covers one
        names = [name for name in names if name != "clock-step"]
    return tuple(sorted((rng.uniform(0, rng.choice((0.3, 1.0)) * seconds), name) for name in names))
