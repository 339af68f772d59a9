"""A client that submits by the clock: python -m benchmarks.load TASK ARGUMENTS RATE SECONDS

ARGUMENTS: JSON. It submits what is due, all at once, a few hundred times a second; when a call takes long, more is due
at the next one. Prints `started` when its first tasks are accepted.
"""

import json
import sys
import time

from yadtq import Call, Settings, TaskClient

PAUSE_SECONDS = 0.003


def load(client: TaskClient, call: Call, rate: float, seconds: float) -> int:
    """Submits one task at first, then so many a second. Returns how many."""
    client.submit_many([call])
    print("started", flush=True)
    began, sent = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        due = int(passed * rate) - sent
        if due > 0:
            client.submit_many([call] * due)
            sent += due
        time.sleep(PAUSE_SECONDS)
    return sent + 1


if __name__ == "__main__":
    with TaskClient(Settings.load()) as opened:
        load(opened, Call(sys.argv[1], tuple(json.loads(sys.argv[2]))), float(sys.argv[3]), float(sys.argv[4]))
