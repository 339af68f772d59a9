"""Hours of chaos, in rounds of some minutes. What was done stands in a file, so that it can go on another day."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.support import chaos_endurance, chaos_peers, chaos_rounds
from tests.support.chaos_rounds import MIXED_WORKERS, Result, Say
from tests.support.faults import schedule, written

ROUND_SECONDS = 900.0
OUTAGES = [*[5.0] * 40, *[30.0] * 8, *[120.0] * 2]
PART = 10  # outages of one round
RESTARTS = 100
LONG_TASK_SECONDS = 60.0
TASKS = 200_000


def run_long(home: Path, say: Say, show: Callable[[Result], None]) -> int:
    """Rounds without end: first the long figures, then mixed faults, with another seed each. Returns 1 after a problem.

    home: holds `done.json` and the folders of rounds that went wrong; remove it to begin again.
    """
    home.mkdir(parents=True, exist_ok=True)
    state = home / "done.json"
    done: list[dict[str, object]] = json.loads(state.read_text(encoding="utf-8")) if state.exists() else []
    if done:
        say(f"going on after {len(done)} rounds that {state} tells of")
    while True:
        number = len(done)
        folder = home / f"round{number}"
        shutil.rmtree(folder, ignore_errors=True)  # one that was interrupted
        result = _round(number, folder, say)
        show(result)
        done.append({"name": result.name, "figures": result.figures, "problems": result.problems})
        new = state.with_suffix(".new")
        new.write_text(json.dumps(done, indent=1), encoding="utf-8")
        new.replace(state)
        if result.problems:
            say(f"round {number} has problems; its folder is {folder}")
            return 1
        shutil.rmtree(folder)


def _round(number: int, folder: Path, say: Say) -> Result:
    parts = [OUTAGES[start : start + PART] for start in range(0, len(OUTAGES), PART)]
    if number < len(parts):
        return chaos_rounds.outages(folder, parts[number], number, say)
    figures: list[Callable[[], Result]] = [
        lambda: chaos_endurance.rolling(folder, RESTARTS, number, say),
        lambda: chaos_endurance.long_task(folder, LONG_TASK_SECONDS, number, say),
        lambda: chaos_endurance.very_many(folder, TASKS, say),
        lambda: chaos_peers.peers(folder, number, say),
    ]
    if number < len(parts) + len(figures):
        return figures[number - len(parts)]()
    steps = schedule(number, ROUND_SECONDS, MIXED_WORKERS)
    say(f"round {number}: mixed faults, seed {number}\n{written(steps)}")
    return chaos_rounds.mixed(folder, steps, ROUND_SECONDS, number, say)
