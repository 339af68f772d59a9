"""Row 8: a million messages in Kafka before any worker runs, really submitted, by two clients in processes of their
own, and worked off by two workers, a server beside them; the rate of each tenth is taken from when its first and
last task ended. Then eight workers, and a producer that writes 1,800 tasks a second, some to every partition every
20 ms; and what becomes of reading when a ninth worker joins, when one is told to stop (SIGTERM), and when one is
killed (SIGKILL) and nobody is told: the longest time for which the stored position of any partition stood still,
looked at every 10 ms. What it is with nothing changed is the floor."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from benchmarks import every_partition, feeder
from benchmarks.bench import Bench
from benchmarks.figures import Figure, Goal, at_least, at_most
from tests.support.measured_queue import MeasuredQueue, slow_calls

ROW = 8
MESSAGES, MESSAGES_SMALL = 1_000_000, 5_000
FEEDERS, FEEDER_BATCH = 2, 5_000
WORKERS = 2
MOST_SECONDS = 600.0
TENTHS = 10

CROWD, CROWD_SMALL = 8, 3
LOAD_EACH, LOAD_SECONDS = 3, 0.02  # to each of twelve partitions: 1,800 tasks a second
LOOK_SECONDS = 0.01
TOLD_SECONDS, UNSEEN_SECONDS = 6.0, 12.0  # how long positions are watched after a change
SECONDS_SMALL = 0.5

Look = tuple[float, Mapping[bytes, bytes]]  # when, and the position of each partition


def measure(bench: Bench) -> Iterator[Figure]:
    """The backlog, then the changes."""
    yield from backlog(bench)
    yield from changes(bench)


# -- the backlog


def backlog(bench: Bench) -> Iterator[Figure]:
    """Submits it all, then starts the workers."""
    count = MESSAGES_SMALL if bench.small else MESSAGES
    with bench.queue("backlog") as queue:
        queue.start_server()
        submitted = submit(queue, count)
        bench.say(f"{count:,} messages submitted, {submitted:,.0f}/s")
        queue.wait_until_told()
        queue.begin_timing()
        began = time.time()
        queue.start_workers(WORKERS)
        queue.wait_until_done(MOST_SECONDS)
        rates = rates_of_tenths(queue, count)
        (last,) = queue.ended_at([-1])
        done = queue.client.counts()["success"]
        scripts, slow = queue.script_ms("p99.9"), queue.slow_scripts()
        queue.wait_until_told()
        queue.redis.flushall()  # a million records less to be removed one by one
    name = f"{count:,} messages"
    yield Figure(ROW, f"{name}: submitted", "tasks/s", (submitted,))
    yield Figure(ROW, f"{name}: ended well", "%", (100 * done / count,), at_least(100))
    yield Figure(ROW, f"{name}: worked off, from the start of the workers", "tasks/s", (count / (last - began),))
    yield Figure(ROW, f"{name}: rate of each tenth", "tasks/s", tuple(rates))
    held = f"{name}: a script holds Redis, p99.9"
    yield Figure(ROW, held, "ms", (scripts,), at_most(5), slow_calls(slow))


def submit(queue: MeasuredQueue, count: int) -> float:
    """Tasks a second that several clients submit together."""
    feeders = [
        feeder.started(queue, f"feeder{number}", count=count // FEEDERS, batch=FEEDER_BATCH, pause=0)
        for number in range(FEEDERS)
    ]
    fed = [feeder.ended(each, MOST_SECONDS) for each in feeders]
    return sum(each.count for each in fed) / (max(each.ended for each in fed) - min(each.began for each in fed))


def rates_of_tenths(queue: MeasuredQueue, count: int) -> list[float]:
    """Tasks a second in each tenth of the work."""
    places = [min(count - 1, count * tenth // TENTHS) for tenth in range(TENTHS + 1)]
    instants = queue.ended_at(places)
    return [
        (places[i + 1] - places[i]) / max(0.001, instants[i + 1] - instants[i])  # Redis' clock has milliseconds
        for i in range(TENTHS)
    ]


# -- workers come and go


def changes(bench: Bench) -> Iterator[Figure]:
    """The longest pause of any partition with nothing changed, and with each change, round by round."""
    told = SECONDS_SMALL if bench.small else TOLD_SECONDS
    unseen = told if bench.small else UNSEEN_SECONDS
    kinds: dict[str, tuple[Callable[[MeasuredQueue], object], float, Goal | None]] = {
        "nothing changes": (lambda queue: None, told, None),
        "a worker is added": (MeasuredQueue.add_worker, told, at_most(1)),
        "a worker drains": (drain, told, at_most(1)),
        "a worker is killed": (kill, unseen, at_most(7)),
    }
    pauses: dict[str, list[float]] = {name: [] for name in kinds}
    crowd = CROWD_SMALL if bench.small else CROWD
    with bench.queue("changes") as queue:
        queue.start_server()
        queue.start_workers(crowd)
        load = every_partition.started(queue, LOAD_EACH, LOAD_SECONDS)
        for number in range(1, bench.rounds + 1):
            queue.start_workers(crowd - len(queue.workers))
            watched(queue, told)  # until the load and the group have settled
            for name, (change, seconds, _) in kinds.items():
                change(queue)
                pauses[name].append(longest_pause(watched(queue, seconds)))
            bench.say(f"round {number} of {crowd} workers that come and go")
        fed = feeder.stopped(load)
        queue.wait_until_done()
    for name, (_, _, goal) in kinds.items():
        yield Figure(ROW, f"{crowd} workers, {name}: longest pause of a partition", "s", tuple(pauses[name]), goal)
    yield Figure(ROW, f"{crowd} workers: load meanwhile", "tasks/s", (fed.count / (fed.ended - fed.began),))


def drain(queue: MeasuredQueue) -> None:
    """Tells the oldest worker to stop, and does not wait for it."""
    queue.dismiss().process.terminate()


def kill(queue: MeasuredQueue) -> None:
    """Kills the oldest worker."""
    queue.dismiss().kill()


def watched(queue: MeasuredQueue, seconds: float) -> list[Look]:
    """The stored positions of all partitions, again and again."""
    looks: list[Look] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        looks.append((time.monotonic(), queue.redis.hgetall(queue.keys.positions)))
        time.sleep(LOOK_SECONDS)
    return looks


def longest_pause(looks: Sequence[Look]) -> float:
    """The longest time for which the position of any partition was not seen to change."""
    longest = 0.0
    since = dict.fromkeys(looks[-1][1], looks[0][0])
    known = dict(looks[0][1])
    for at, positions in [*looks, (looks[-1][0], dict.fromkeys(since, b""))]:
        for partition, position in positions.items():
            if position != known.get(partition):
                longest = max(longest, at - since[partition])
                since[partition], known[partition] = at, position
    return longest
