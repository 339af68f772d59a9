"""A client that dies (SIGKILL) between the registration of a task and its message.

python -m tests.support.dying_client TASK ARGUMENTS ID   (arguments as a JSON list)
"""

import json
import os
import signal
import sys

from _yadtq.broker import Broker
from _yadtq.settings import Settings
from _yadtq.store import Store
from yadtq import TaskClient


class DyingBroker(Broker):
    """Publishes nothing."""

    def publish_tasks(self, tasks: object) -> list[Exception | None]:
        os.kill(os.getpid(), signal.SIGKILL)
        return []


def main() -> None:
    settings = Settings.load()
    client = TaskClient(broker=DyingBroker(settings), result_store=Store(settings))
    client.submit(sys.argv[1], *json.loads(sys.argv[2]), task_id=sys.argv[3])


if __name__ == "__main__":
    main()
