"""A client in a process of its own that submits tasks again and again, until it is told to stop (SIGTERM).

Every call is one line on standard output: when it began and returned (seconds of the machine's monotonic clock), the
ids that it returned, and the error's name. Used as: python -m tests.support.submitter TASK ARGUMENTS BATCH PAUSE
(arguments as a JSON list, the pause between two calls in seconds)
"""

import json
import signal
import sys
import threading
import time

from yadtq import Call, SubmissionRefused, SubmissionUnknown, TaskClient, YadtqError


def main() -> None:
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    task, arguments, batch, pause = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    with TaskClient() as client:
        while not stopping.wait(pause):
            began, ids, error = time.monotonic(), [], ""
            try:
                ids = client.submit_many([Call(task, tuple(arguments))] * batch)
            except (SubmissionRefused, SubmissionUnknown) as problem:
                ids, error = problem.accepted, type(problem).__name__
            except YadtqError as problem:
                error = type(problem).__name__
            print(json.dumps([began, time.monotonic(), ids, error]), flush=True)


if __name__ == "__main__":
    main()
