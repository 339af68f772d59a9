"""A client: submits a few tasks to `workercode.py`, and looks until all of them have ended: `python clientcode.py`.

The servers are those of the settings (KAFKA_BROKER, REDIS_HOST, REDIS_PORT; by default on this machine). Others:
create_yadtq(kafka_servers=["kafka.example:9092"], redis_host="redis.example", redis_port=6379)
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # the checkout, in case YADTQ is not installed

from yadtq import TaskClient, YadtqError, create_yadtq


def main() -> None:
    """Submits, then waits. wait_any is woken when a task ends; after 5 s without one it says what is still missing."""
    broker, result_store = create_yadtq()
    with TaskClient(broker=broker, result_store=result_store) as client:
        waiting = {
            client.submit("add", 10, 5),
            client.submit("sub", 10, 5),
            client.submit("multiply", 10, 5),
            client.submit("divide", 10, 5),
            client.submit("divide", 10, 0),
            client.submit("custom_task", "world", times=2),
        }
        print(f"submitted {len(waiting)} tasks")
        while waiting:
            ended = client.wait_any(waiting, timeout=5)
            for task in ended:
                outcome = task.result if task.status == "success" else task.error
                print(f"{task.task} {task.args} {task.status}: {outcome}")
                waiting.remove(task.id)
            if not ended:
                print(f"{len(waiting)} tasks have not ended yet; is a worker running?")


if __name__ == "__main__":
    try:
        main()
    except YadtqError as error:
        sys.exit(str(error))
