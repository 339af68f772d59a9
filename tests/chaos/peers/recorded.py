"""What every other task queue of the comparison runs: half a second of nothing, with the ledger's lines around it."""

import time

from tests.support.chaos_recorder import recorder
from tests.support.ledger import RETURNED

SECONDS = 0.5


def record(task_id: str) -> None:
    """Runs one task. Its attempt is not known to all of them: it is counted from the ledger."""
    lines = recorder()
    lines.start(task_id, 0)
    time.sleep(SECONDS)
    lines.end(task_id, RETURNED)
