"""Program: puts the queue through faults and prints what became of the promise.

python -m tests.chaos                      the figures, about a quarter of an hour (make chaos)
python -m tests.chaos --only mixed --seconds 60 --seed 7
python -m tests.chaos --only mixed --schedule FILE      replays a printed schedule
python -m tests.chaos --long               rounds until it is stopped; goes on where it was (make chaos-long)
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.chaos.long import run_long
from tests.support import chaos_rounds
from tests.support.chaos_report import machine
from tests.support.chaos_rounds import MIXED_WORKERS, Result, stamp
from tests.support.faults import read, schedule, written

SECONDS, SEED = 600.0, 1
OUTAGES = (5.0,) * 10
ROUNDS = ("mixed", "outages", "five-hundred")


def say(line: str) -> None:
    print(line, flush=True)


def rounds(given: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Callable[[], Result]]]:
    """The rounds that were asked for, each to be called."""
    seed, seconds = given.seed, given.seconds
    steps = read(Path(given.schedule).read_text(encoding="utf-8")) if given.schedule else None
    steps = steps or schedule(seed, seconds, MIXED_WORKERS)
    say(f"seed {seed}; the schedule of mixed faults (at, fault, worker, for how many seconds):\n{written(steps)}")
    yield "mixed", lambda: chaos_rounds.mixed(folder / "mixed", steps, seconds, seed, say)
    yield "outages", lambda: chaos_rounds.outages(folder / "outages", OUTAGES, seed, say)
    yield "five-hundred", lambda: chaos_rounds.five_hundred(folder / "five-hundred", seed, say)


def show(result: Result) -> None:
    say(f"\n{result.name}")
    for line in result.figures:
        say(f"  {line}")
    for problem in result.problems:
        say(f"  ! {problem}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=SEED, help=f"of everything that is random (default {SEED})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of mixed faults (default {SECONDS:g})")
    parser.add_argument("--schedule", metavar="FILE", help="faults to replay, as they were printed")
    parser.add_argument("--only", choices=ROUNDS, help="one round")
    parser.add_argument("--long", action="store_true", help="many rounds, until it is stopped")
    parser.add_argument("--folder", type=Path, help="for ledgers, logs and servers (default: a new one under /tmp)")
    given = parser.parse_args()
    if given.long:
        return run_long(given.folder or Path(".yadtq/chaos"), say, show)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    results = []
    for name, play in rounds(given, folder / stamp()):
        if given.only in (None, name):
            results.append(play())
            show(results[-1])
    bad = sum(bool(result.problems) for result in results)
    say(f"\n{machine()}: {len(results)} rounds, {bad} with problems")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
