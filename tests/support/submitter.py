"""A client in a process of its own that submits tasks again and again, until it is told to stop (SIGTERM).

Every call is one line on standard output: when it began and returned (seconds of the machine's monotonic clock), the
ids that it asked for, those that were accepted, and the error's name. Used as:

    python -m tests.support.submitter TASK ARGUMENTS BATCH PAUSE

(arguments as a JSON list, the pause between two calls in seconds)
"""

import json
import secrets
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
            began, accepted, error = time.monotonic(), [], ""
            ids = [secrets.token_hex(8) for _ in range(batch)]
            try:
                accepted = client.submit_many(Call(task, tuple(arguments), task_id=each) for each in ids)
            except (SubmissionRefused, SubmissionUnknown) as problem:
                accepted, error = problem.accepted, type(problem).__name__
            except YadtqError as problem:
                error = type(problem).__name__
            print(json.dumps([began, time.monotonic(), ids, accepted, error]), flush=True)


if __name__ == "__main__":
    main()
