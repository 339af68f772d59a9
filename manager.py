"""The worker manager: keeps workers alive on this machine, as many as the queue needs.

python manager.py --min 2 --max 8       from 2 to 8 workers, until SIGTERM or Ctrl-C
python manager.py status                what it does now (--json: for a program)
python manager.py --help                all flags; those of workers too

Its timetable:

    at once        a worker's process has ended: say why, wait until nothing that it started lives, end what stays,
                   put its tasks back into the queue, start it again (later and later, when it keeps dying)
    each 50 ms     while something of a dead worker lives: look again
    each second    look at the queue; decide how many workers there should be; start or drain; write down the state;
                   bound the log files
    at SIGTERM     drain all workers, and end; the second time: hurry them

Workers are only ever asked to leave (SIGTERM: they end their tasks, or give them back); one that hangs 10 s longer than
it may is killed. When this program itself is killed, the kernel sends them SIGTERM: they leave by themselves, nothing
is lost, and another manager may start beside them at once.

Exit codes: 0 done · 2 wrong use · 3 status: none runs; else: it cannot run here, or another one does already.
"""

import argparse
import contextlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from local import families, process, report, scaling
from local.crew import Crew, Plan, worker_program
from local.queue_link import QueueLink
from local.report import Place, Report
from yadtq import (
    SETTINGS,
    Log,
    Operator,
    SettingError,
    Settings,
    add_flags,
    given_flags,
    stopped_by_signals,
    visible,
)

EXIT_OK, EXIT_USAGE, EXIT_NONE = 0, 2, 3
TICK_SECONDS, RESTLESS_SECONDS = 1.0, 0.05
LEAVE_SECONDS = 3.0  # in the end, for telling Redis which workers are dead
MOST_WORKERS = 1000
LOGS_OF_START = Path(__file__).resolve().parent / ".yadtq" / "logs"  # of `make up`
EACH_WORKERS_OWN = ("worker_id", "ready_file")


class Manager:
    """One manager. Everything is decided by the thread that calls `run`; the queue is seen and told by another one."""

    def __init__(self, crew: Crew, link: QueueLink, place: Place, log: Log, rules: scaling.Rules) -> None:
        self._crew, self._link, self._place, self._log, self._rules = crew, link, place, log, rules
        self._scale = scaling.Scale(rules.minimum)
        self._decide_at = 0.0
        self._asked = 0  # to stop, so often
        self._heard = 0
        self._writes = True

    def stop(self) -> None:
        """Drains; the second time without patience. From a signal handler."""
        self._asked += 1

    def run(self) -> int:
        """Runs until it was stopped and no process of any worker is left. Returns the exit code."""
        self._link.start()
        with stopped_by_signals(self.stop), woken_by_signals() as wait:
            while not (self._asked and self._crew.is_gone):
                self._round(time.monotonic())
                wait(RESTLESS_SECONDS if self._crew.is_restless else TICK_SECONDS)
        self._link.stop(LEAVE_SECONDS)
        if self._link.waiting:
            self._log.warning("bury", text="Redis does not answer: the tasks of dead workers start again when their "
                                           "leases are over")  # fmt: skip
        self._log.info("leave", text="no worker is left")
        return EXIT_OK

    def _round(self, now: float) -> None:
        if not self._link.is_alive():  # it says why; whoever runs this program starts another one
            raise RuntimeError("the thread that sees the queue has ended: the workers drain")
        self._crew.look(now)
        if self._asked > self._heard:
            self._log.info("drain", text="all workers" if self._asked == 1 else "all workers, without patience")
            self._crew.drain(hurry=self._asked > 1)
            self._heard = self._asked
        if not self._asked:
            if now >= self._decide_at:
                self._decide_at = now + TICK_SECONDS
                self._decide(now)
            self._crew.fill(self._scale.target, self._link.workers(now), now)
        self._tell(now)
        self._log.flush()

    def _decide(self, now: float) -> None:
        snapshot = self._link.snapshot(now)
        picture = scaling.picture_of(snapshot, self._crew.births) if snapshot else None
        before, self._scale = self._scale.target, scaling.decide(self._scale, picture, now, self._rules)
        if self._scale.target != before:
            self._log.info("scale", text=f"from {before} to {self._scale.target} workers: {self._scale.why}")

    def _tell(self, now: float) -> None:
        told = Report(
            at=time.time(),
            process=os.getpid(),
            state="draining" if self._asked else "running",
            minimum=self._rules.minimum,
            maximum=self._rules.maximum,
            target=0 if self._asked else self._scale.target,
            why="it was asked to stop" if self._asked else self._scale.why,
            problem=self._link.problem,
            unburied=self._link.waiting,
            workers=tuple(self._crew.rows(self._link.workers(now), now)),
        )
        try:
            report.write(self._place, told)
        except OSError as error:  # a full disk is no reason to leave workers alone
            if self._writes:
                self._log.error("state", text=f"{self._place.state} cannot be written: {error.strerror}")
            self._writes = False
        else:
            self._writes = True


@contextlib.contextmanager
def woken_by_signals() -> Iterator[Callable[[float], None]]:
    """Yields wait(seconds), which any signal ends, also that of the end of a child."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def wait(seconds: float) -> None:
        if select.select([reader], [], [], seconds)[0]:
            os.read(reader, 4096)

    signal.signal(signal.SIGCHLD, lambda *_: None)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield wait
    finally:
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


def show_status(places: Sequence[Place], as_json: bool) -> int:
    """Prints what the manager that runs in the first of these places has told last."""
    told = next(filter(None, map(report.read, places)), None)
    if told is None:
        place = places[0]
        print(f"no manager runs with the log folder {visible(str(place.folder.parent))}: python manager.py starts one",
              file=sys.stderr)  # fmt: skip
        return EXIT_NONE
    print(report.as_json(told) if as_json else "\n".join(report.as_text(told, time.time())))
    return EXIT_OK


def manage(given: argparse.Namespace, settings: Settings, place: Place, log: Log) -> int:
    """Runs a manager in its place."""
    flags = {setting.name: setting.variables[0] for setting in SETTINGS}
    plan = Plan(
        prefix=given.name,
        folder=place.folder.parent,
        notes=place.folder,
        command=worker_program(),
        environment={flags[name]: str(value) for name, value in given_flags(given).items()},
        drain_seconds=settings.drain_seconds,
    )
    rules = scaling.Rules(
        minimum=given.min,
        maximum=given.max,
        slots_each=settings.concurrency,
        waiting_seconds=given.waiting_seconds,
        idle_seconds=given.idle_seconds,
    )
    families.adopt_orphans()
    with Operator(settings) as operator:
        link = QueueLink(operator, log)
        return Manager(Crew(plan, log, link.bury), link, place, log, rules).run()


def whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"{visible(text, 60)!r} is not a whole number from 0 to {MOST_WORKERS}")
    return int(text)


def prefix(text: str) -> str:
    """The beginning of names that are also names of files."""
    try:
        Settings.load({}, worker_id=f"{text}{MOST_WORKERS}")
        if "/" in text:
            raise SettingError("a file cannot be called that")
    except SettingError:
        raise argparse.ArgumentTypeError(
            f"{visible(text, 60)!r} cannot begin names: expected printable text without spaces, '/' and '~'"
        ) from None
    return text


def seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e6:
        raise argparse.ArgumentTypeError(f"{visible(text, 60)!r} is no number of seconds")
    return number


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line. Wrong use ends the program."""
    rules = scaling.Rules()
    parser = argparse.ArgumentParser(prog="manager.py", description="Keeps workers alive on this machine.",
                                     epilog="docs/manager.md tells how it decides.")  # fmt: skip
    parser.add_argument("command", nargs="?", choices=("status",), help="print what the running manager does")
    parser.add_argument("--json", action="store_true", help="with status: in JSON")
    parser.add_argument("--min", type=whole, default=1, metavar="N", help="workers at least (default 1)")
    parser.add_argument("--max", type=whole, metavar="N", help="workers at most (default: as many as CPUs, or --min)")
    parser.add_argument("--name", type=prefix, default=f"{socket.gethostname()}-", metavar="PREFIX",
                        help="workers are called PREFIX1, PREFIX2 ... (default: the host's name and '-')")  # fmt: skip
    parser.add_argument("--waiting-seconds", type=seconds, default=rules.waiting_seconds, metavar="s",
                        help="a task that waits so long asks for more workers (default %(default)g)")  # fmt: skip
    parser.add_argument("--idle-seconds", type=seconds, default=rules.idle_seconds, metavar="s",
                        help="one worker leaves after so long with too many (default %(default)g)")  # fmt: skip
    add_flags(parser, *(setting.name for setting in SETTINGS if setting.name not in EACH_WORKERS_OWN))
    given = parser.parse_args(arguments)
    if given.max is None:
        given.max = max(given.min, os.cpu_count() or 1)
    if given.max < max(given.min, 1):
        parser.error(f"--max {given.max} is less than --min {given.min}, or no worker at all")
    return given


def main(arguments: Sequence[str] | None = None) -> int:
    given = parsed(arguments)
    log = Log()
    try:
        settings = Settings.load(None, **given_flags(given))
    except SettingError as error:
        log.error("start", text=str(error))
        return EXIT_USAGE
    place = Place.in_logs(Path(settings.log_folder).absolute())
    if given.command == "status":
        usual = settings.log_folder == Settings.load({}).log_folder
        return show_status([place, Place.in_logs(LOGS_OF_START)] if usual else [place], given.json)
    log = Log(settings.log_level)
    try:
        with process.alone(place.pid_file):
            return manage(given, settings, place, log)
    except process.AlreadyRuns as other:
        log.error("start", text=f"process {other.pid or '?'} manages workers with the log folder {place.folder.parent} "
                                f"already: end it, or set LOG_FOLDER to another one")  # fmt: skip
    except OSError as error:
        log.error("start", text=f"{error}: give it a folder to write to (LOG_FOLDER), and Linux")
    return EXIT_NONE


if __name__ == "__main__":
    sys.exit(main())
