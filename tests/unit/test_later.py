"""What is made when it is first used, and that a client which only reads does not wait for Kafka's package."""

import subprocess
import sys
import threading
from pathlib import Path

from _yadtq.later import Later

ROOT = Path(__file__).resolve().parents[2]


class Thing:
    """Notes what is done with it."""

    made = closed = 0
    name = "thing"

    def __init__(self) -> None:
        Thing.made += 1

    def close(self) -> None:
        Thing.closed += 1


def test_it_is_made_once_and_closed_only_when_it_was_made() -> None:
    Thing.made = Thing.closed = 0
    later, names = Later(Thing), list[str]()
    later.close()
    assert (Thing.made, Thing.closed) == (0, 0)
    threads = [threading.Thread(target=lambda: names.append(later.name)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    later.close()
    assert names == ["thing"] * 8
    assert (Thing.made, Thing.closed) == (1, 1)


def test_a_client_that_is_only_opened_does_not_import_kafka() -> None:
    code = "import sys, yadtq; yadtq.TaskClient().close(); print('redis' in sys.modules, 'kafka' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
