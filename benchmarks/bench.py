"""What each row of the benchmark is given: private servers, queues on them, rounds in which contenders alternate."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import redis

from benchmarks.peers.peer import Peer
from local.kafka_server import KafkaServer
from local.redis_server import RedisServer
from tests.support.measured_queue import MeasuredQueue
from tests.support.servers import remove_queue
from tests.support.waiting import eventually

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Bench:
    """One run.

    servers: a Kafka and a Redis of its own, durable as YADTQ's are by default. folder: for what a row leaves behind.
    small: sizes to try the instrument with. rounds: how often each contender is measured. say: shows how it goes.
    peers: the other task queues to compare with.
    """

    servers: tuple[KafkaServer, RedisServer]
    folder: Path
    small: bool
    rounds: int
    say: Callable[[str], None]
    peers: tuple[Peer, ...] = ()
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count, init=False, repr=False)

    @contextmanager
    def queue(self, name: str, partitions: int = 12, **settings: Any) -> Iterator[MeasuredQueue]:
        """A new queue, removed from both servers afterwards. settings: fields of Settings that its programs have."""
        unique = f"{name}{next(self._numbers)}"
        kafka_port, redis_port = (server.place.port for server in self.servers)
        try:
            with MeasuredQueue(self.servers, self.folder, unique, partitions, **settings) as queue:
                yield queue
        finally:
            remove_queue(unique, f"127.0.0.1:{kafka_port}", ("127.0.0.1", redis_port))
            wait_until_freed(redis_port)

    def install(self, peers: Iterable[Peer]) -> None:
        """Makes the environments that are not there yet, from PyPI."""
        for peer in peers:
            if peer.install():
                self.say(f"installed {peer.package} {peer.version}")

    def alternate(self, contenders: Mapping[str, Callable[[], Value]]) -> dict[str, list[Value]]:
        """Measures each contender once a round, in turn. Returns what each gave, round by round."""
        found: dict[str, list[Value]] = {name: [] for name in contenders}
        for number in range(1, self.rounds + 1):
            for name, measure in contenders.items():
                began = time.monotonic()
                found[name].append(measure())
                self.say(f"round {number}: {name} ({time.monotonic() - began:.0f} s)")
        return found


def wait_until_freed(redis_port: int) -> None:
    """Waits until Redis has freed what was removed: it does so beside its other work, and it counts as its CPU."""
    with redis.Redis("127.0.0.1", redis_port) as connection:
        eventually(lambda: connection.info("memory")["lazyfree_pending_objects"] == 0, 60, "memory freed")
