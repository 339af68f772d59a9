"""Program: plays schedules of simulated clients, workers, faults and time against the real scripts and decisions.

python -m tests.simulation                            1,000 schedules
python -m tests.simulation --schedules 50000 --seed 7 --jobs 2
python -m tests.simulation --replay 4711              the trace of one
python -m tests.simulation --rules [NAME …]           without one rule each: the schedule that finds out
"""

import argparse
import itertools
import multiprocessing
import sys
import time
from collections.abc import Iterator

from tests.simulation.play import Played, play, play_part, search
from tests.simulation.rules import RULES
from tests.simulation.server import started

PART = 250  # schedules that one process plays at a time
MOST_SHOWN = 20
MOST_SEARCHED = 3000  # schedules in which a rule can matter, before it counts as not found


def say(line: str) -> None:
    print(line, flush=True)


def run(first: int, count: int, jobs: int) -> int:
    """Plays many schedules. Returns the exit code."""
    began, done, bad = time.monotonic(), 0, 0
    parts = [range(start, min(start + PART, first + count)) for start in range(first, first + count, PART)]
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for played, problems in pool.imap_unordered(play_part, parts):
            done += played
            for each in problems:
                bad += 1
                if bad <= MOST_SHOWN:
                    say(f"seed {each.seed}: {each.problem}\n    python -m tests.simulation --replay {each.seed}")
    seconds = time.monotonic() - began
    say(
        f"{done} schedules from seed {first} in {seconds:.0f} s, {done / seconds * 60:.0f} a minute, "
        f"{bad} of them with a broken promise"
    )
    return 1 if bad else 0


def replay(seed: int) -> int:
    """Prints the trace of one schedule. Returns the exit code."""
    with started() as server:
        played = play(seed, server, trace=True)
    for line in played.lines:
        say(line)
    say(f"seed {seed}: {played.problem or 'every promise held'}")
    return 1 if played.problem else 0


def without_rules(names: list[str], first: int) -> int:
    """Searches for what goes wrong without each rule. Returns the exit code."""
    for name in names or RULES:
        with started() as server:
            schedules = itertools.islice(search(name, server, itertools.count(first)), MOST_SEARCHED)
            say(f"| {name} | {found_without(name, schedules)} |")
    return 0


def found_without(name: str, schedules: Iterator[Played]) -> str:
    """What went wrong first, as a part of the table in docs/simulation.md."""
    for count, played in enumerate(schedules, 1):
        if played.problem:
            return f"{RULES[name].about} | {count} | {played.problem.partition(': ')[2][:120]}"
    return f"{RULES[name].about} | not in {MOST_SEARCHED} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the first one (default 0)")
    parser.add_argument(
        "--jobs", type=int, default=multiprocessing.cpu_count(), help="processes (default: the processors)"
    )
    parser.add_argument("--replay", type=int, metavar="SEED", help="print the trace of one schedule")
    parser.add_argument("--rules", nargs="*", choices=[*RULES, []], metavar="NAME", help="without one rule each")
    given = parser.parse_args()
    if given.replay is not None:
        return replay(given.replay)
    if given.rules is not None:
        return without_rules(given.rules, given.seed)
    return run(given.seed, given.schedules, given.jobs)


if __name__ == "__main__":
    sys.exit(main())
