"""Dramatiq in the comparison: python -m benchmarks.peers.dramatiq_queue submit COUNT

Settings: Redis as broker and as result backend, and every result is stored. Two processes, one a core, of five threads.
hiredis reads Redis' replies.
"""

import os
import sys

import dramatiq  # type: ignore[import-not-found]  # it lives in an environment of its own
from dramatiq.brokers.redis import RedisBroker  # type: ignore[import-not-found]
from dramatiq.results import Results  # type: ignore[import-not-found]
from dramatiq.results.backends import RedisBackend  # type: ignore[import-not-found]

REDIS = f"redis://127.0.0.1:{os.environ['PEER_REDIS_PORT']}"

broker = RedisBroker(url=f"{REDIS}/0")
broker.add_middleware(Results(backend=RedisBackend(url=f"{REDIS}/1"), store_results=True))
dramatiq.set_broker(broker)


def run() -> None:
    """The job."""


nothing = dramatiq.actor(run, actor_name="nothing")


def main() -> None:
    for _ in range(int(sys.argv[2])):
        nothing.send()


if __name__ == "__main__":
    main()
