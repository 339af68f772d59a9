"""A worker with tasks of its own: `python workercode.py`. Ctrl-C ends it, after what it runs.

The servers are those of the settings (KAFKA_BROKER, REDIS_HOST, REDIS_PORT; by default on this machine). Others:
create_yadtq(kafka_servers=["kafka.example:9092"], redis_host="redis.example", redis_port=6379)
"""

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # the checkout, in case YADTQ is not installed

from yadtq import TaskWorker, create_yadtq


def add(a: float, b: float) -> float:
    """Adds two numbers."""
    return a + b


def sub(a: float, b: float) -> float:
    """Subtracts b from a."""
    return a - b


def multiply(a: float, b: float) -> float:
    """Multiplies two numbers."""
    return a * b


def divide(a: float, b: float) -> float:
    """Divides a by b. A division by zero fails with that reason, and is not tried again."""
    return a / b


def custom_task(name: str, times: int = 1) -> str:
    """Greets somebody so many times."""
    return " ".join([f"Hello {name}!"] * times)


task_handlers: dict[str, Callable[..., object]] = {
    "add": add,
    "sub": sub,
    "multiply": multiply,
    "divide": divide,
    "custom_task": custom_task,
}

# The processes that run the tasks import this file too: only the program itself may start a worker.
if __name__ == "__main__":
    broker, result_store = create_yadtq()
    sys.exit(TaskWorker(broker=broker, result_store=result_store, task_handlers=task_handlers).run())
