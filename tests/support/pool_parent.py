"""A worker's process in small: starts a pool whose children are busy, says who they are, and waits to be killed.

python -m tests.support.pool_parent MARKS LIVE_SECONDS: prints the guard's process number once all children hold the
interpreter's lock in a handler, and later each Lost. The handlers write the children's process numbers to MARKS.
"""

import json
import queue
import sys
import time
from pathlib import Path

from _yadtq.jobs import Job, Lost, PoolMessage
from _yadtq.pool import Pool
from tests.support.pools import handlers, into, marks

CHILDREN = 2


def main() -> None:
    path, live_seconds = Path(sys.argv[1]), float(sys.argv[2])
    inbox: queue.Queue[PoolMessage] = queue.Queue()
    pool = Pool(handlers(), CHILDREN, into(inbox))
    pool.start()
    pool.confirm(time.clock_gettime(time.CLOCK_BOOTTIME) + live_seconds)
    arguments = json.dumps([str(path), 600])
    pool.submit([Job(f"c{number}", f"t{number}", "hold_gil", arguments, "{}", 1) for number in range(CHILDREN)])
    while not marks(path, CHILDREN):
        pool.tick()
    print(pool._started().guarding.pid, flush=True)
    while True:
        message = inbox.get()
        if isinstance(message, Lost):
            print(f"lost: {message.reason}", flush=True)


if __name__ == "__main__":
    main()
