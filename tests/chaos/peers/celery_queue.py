"""Celery in the comparison, in the environment of the other task queues.

    python -m tests.chaos.peers.celery_queue worker NAME SLOTS
    python -m tests.chaos.peers.celery_queue submit COUNT

Its settings are those that lose least: a message is acknowledged when its task has ended, one is fetched for each free
process, and what nobody has acknowledged after as long as a lease of ours is delivered again, looked for every second.
"""

import os
import sys

from celery import Celery  # type: ignore[import-not-found]  # it lives in an environment of its own

from tests.chaos.peers.recorded import record

app = Celery("comparison", broker=f"redis://127.0.0.1:{os.environ['PEER_REDIS_PORT']}/0")
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": float(os.environ["PEER_LEASE_SECONDS"]),
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    },
)
work = app.task(name="work")(record)


def main() -> None:
    if sys.argv[1] == "submit":
        for number in range(int(sys.argv[2])):
            work.apply_async((f"task{number}",))
    else:
        name, slots = sys.argv[2], sys.argv[3]
        app.worker_main(["worker", f"--hostname={name}@here", f"--concurrency={slots}", "--loglevel=WARNING"])


if __name__ == "__main__":
    main()
