"""The benchmark: python -m benchmarks [--rows 1 3] [--rounds 1] [--small] [--documents]

Measures every row of the table of goals on this machine, with servers of its own, beside other task queues that are
installed from PyPI, each into an environment of its own. A full run takes about half an hour on two cores and writes
benchmarks/results/latest.json and the generated part of docs/performance.md with its pictures; anything less is only
printed.
"""

import argparse
import importlib
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.peers.peer import DURABLE, PEERS
from benchmarks.report import LATEST, Report, about_run, from_json, write_documents
from tests.support.measured_queue import private_servers

# Number of a row → its module in benchmarks/rows.
ROWS = {
    1: "throughput",
    2: "round_trip",
    3: "submitting",
    4: "small_jobs",
    5: "growth",
    6: "workers",
    7: "payloads",
    8: "backlog",
}
ROUNDS = 3


def measured(row: int, bench: Bench) -> list[Figure]:
    """The figures of one row."""
    began = time.monotonic()
    figures: Iterator[Figure] = importlib.import_module(f"benchmarks.rows.{ROWS[row]}").measure(bench)
    found = list(figures)
    tell(f"row {row}, {ROWS[row].replace('_', ' ')}: {time.monotonic() - began:.0f} s")
    return found


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def run(rows: Sequence[int], rounds: int, small: bool) -> tuple[Report, list[int]]:
    """Measures these rows, each with servers that have seen no other one. Returns also the rows that failed."""
    loads: dict[str, float] = {}
    about = about_run(rounds) | {"load_before_row": loads}
    figures: list[Figure] = []
    failed: list[int] = []
    for row in rows:
        loads[str(row)] = round(os.getloadavg()[0], 2)
        try:
            with tempfile.TemporaryDirectory(prefix="yadtq-bench-") as name, private_servers(Path(name)) as servers:
                figures += measured(
                    row, Bench(servers, Path(name), small, rounds, lambda line: tell(f"  {line}"), (*PEERS, *DURABLE))
                )
        except Exception:  # what the other rows take half an hour to find is not lost
            traceback.print_exc()
            tell(f"row {row} was not measured: see above")
            failed.append(row)
    return Report(about, tuple(figures)), failed


def main() -> int:
    """Returns 0; 1 when a row could not be measured, 2 when one does not exist."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", type=int, choices=ROWS, metavar="N", default=list(ROWS), help="1 to 8")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"default: {ROUNDS}")
    parser.add_argument("--small", action="store_true", help="small sizes, to try the instrument")
    parser.add_argument("--documents", action="store_true", help="measures nothing: writes the page from what was kept")
    given = parser.parse_args()
    if given.documents and not LATEST.exists():
        parser.error(f"{LATEST} does not exist: no whole run was kept yet; make one with python -m benchmarks")
    if given.documents:
        write_documents(from_json(LATEST.read_text(encoding="utf-8")))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is stopped
    report, failed = run(given.rows, given.rounds, given.small)
    print(report.table())
    if failed:
        return 1
    if not given.small and given.rounds >= ROUNDS and set(given.rows) == set(ROWS):
        write_documents(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
