"""Program: puts the queue through faults and prints what became of the promise.

python -m tests.chaos                      the figures, and 50,000 schedules of the simulation beside them (make chaos)
python -m tests.chaos --only mixed --seconds 60 --seed 7
python -m tests.chaos --only mixed --schedule FILE      replays a printed schedule
python -m tests.chaos --only mixed --faults redis-restore,kill-worker
python -m tests.chaos --only peers         the same tasks and kills for other task queues
python -m tests.chaos --long               rounds until it is stopped; goes on where it was (make chaos-long)
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.chaos.long import LONG_TASK_SECONDS, RESTARTS, TASKS, run_long
from tests.support.chaos_endurance import long_task, rolling, very_many
from tests.support.chaos_peers import peers
from tests.support.chaos_recovery import recovery
from tests.support.chaos_report import machine
from tests.support.chaos_rounds import MIXED_WORKERS, Result, five_hundred, mixed, outages, stamp
from tests.support.chaos_simulation import Simulation
from tests.support.faults import ALL, KINDS, Step, read, schedule, written

SECONDS, SEED = 600.0, 1
SCHEDULES = 50_000
OUTAGES = (5.0,) * 10
USUAL = ("mixed", "outages", "five-hundred", "recovery")  # of `make chaos`; the others come when they are asked for


def say(line: str) -> None:
    print(line, flush=True)


def rounds(given: argparse.Namespace, folder: Path) -> dict[str, Callable[[], Result]]:
    """All rounds by name, each to be called."""
    seed = given.seed
    return {
        "mixed": lambda: mixed(folder / "mixed", _steps(given), given.seconds, seed, say),
        "outages": lambda: outages(folder / "outages", OUTAGES, seed, say),
        "five-hundred": lambda: five_hundred(folder / "five-hundred", seed, say),
        "recovery": lambda: recovery(folder / "recovery", seed, say),
        "very-many": lambda: very_many(folder / "very-many", given.tasks, say),
        "rolling": lambda: rolling(folder / "rolling", RESTARTS, seed, say),
        "long-task": lambda: long_task(folder / "long-task", LONG_TASK_SECONDS, seed, say),
        "peers": lambda: peers(folder / "peers", seed, say),
    }


def _steps(given: argparse.Namespace) -> list[Step]:
    """The schedule of the mixed faults, which is printed."""
    if given.schedule:
        steps = read(Path(given.schedule).read_text(encoding="utf-8"))
    else:
        steps = schedule(given.seed, given.seconds, MIXED_WORKERS, kinds=given.faults)
    say(f"seed {given.seed}; the schedule of faults (at, fault, worker, for how many seconds):\n{written(steps)}")
    return steps


def faults(value: str) -> list[str]:
    """The kinds of faults that a list names. Raises ValueError."""
    names = value.split(",")
    unknown = sorted(set(names) - set(KINDS))
    if unknown:
        raise argparse.ArgumentTypeError(f"no fault is named {unknown[0]!r}; there are {', '.join(KINDS)}")
    return names


def show(result: Result) -> None:
    say(f"\n{result.name}")
    for line in result.figures:
        say(f"  {line}")
    for problem in result.problems:
        say(f"  ! {problem}")


def played(given: argparse.Namespace, folder: Path) -> Iterator[Result]:
    """The results of the rounds, and in the end of the simulation."""
    chosen = rounds(given, folder)
    if given.only:
        yield chosen[given.only]()
        return
    simulation = Simulation(folder / "simulation", given.schedules, given.seed)
    try:
        for name in USUAL:
            yield chosen[name]()
        yield simulation.result()
    finally:
        simulation.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=SEED, help=f"of everything that is random (default {SEED})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of mixed faults (default {SECONDS:g})")
    parser.add_argument("--schedule", metavar="FILE", help="mixed faults to replay, as they were printed")
    parser.add_argument("--faults", type=faults, default=ALL, help="kinds of mixed faults, separated by commas")
    parser.add_argument("--tasks", type=int, default=TASKS, help=f"of the round very-many (default {TASKS})")
    parser.add_argument(
        "--schedules", type=int, default=SCHEDULES, help=f"of the simulation, played beside it (default {SCHEDULES})"
    )
    parser.add_argument("--only", choices=rounds(argparse.Namespace(seed=0), Path()), help="one round")
    parser.add_argument("--long", action="store_true", help="many rounds, until it is stopped")
    parser.add_argument("--folder", type=Path, help="for ledgers, logs and servers (default: a new one under /tmp)")
    given = parser.parse_args()
    if given.long:
        return run_long(given.folder or Path(".yadtq/chaos"), say, show)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    results = []
    for result in played(given, folder / stamp()):
        results.append(result)
        show(result)
    bad = sum(bool(result.problems) for result in results)
    say(f"\n{machine()}: {len(results)} rounds, {bad} with problems")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
