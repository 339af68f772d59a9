"""The logger: follows the event log, and writes down what happened to every task.

python logger.py                writes logs/yadtq.log, lines for a person, and logs/audit.jsonl, a JSON object an event
python logger.py --task 5f2c    prints the whole history of the task whose id begins so

It needs Kafka alone. Its duties:

  always             read the event log on from where it got to; each event counts once, however often it was sent
  each event         a line in both files
  nothing came       the files show all that was read
  every 0.5 s        record what the files hold and where reading goes on: after a SIGKILL neither a line is missing nor
                     is one there twice. A file that has grown to its bound is moved aside, the oldest is deleted
  every 3 s          is Kafka there, and is the topic still the one that was read? If not: say so, once, and try again
  every second       touch READY_FILE while Kafka is read and the files can be written

docs/logger.md tells what is in the files, and what to do when something is wrong.

Exit codes: 0 done · 1 no task has this id, or several · 2 wrong use · 3 Kafka does not answer, or another logger writes
to this folder · 130 interrupted with Ctrl-C while it looked for a task.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from yadtq import (
    AmbiguousId,
    EventReader,
    Log,
    Logbook,
    Readiness,
    ServerUnreachable,
    SettingError,
    Settings,
    TaskNotFound,
    Trouble,
    add_flags,
    given_flags,
    search_audit,
    stopped_by_signals,
    visible,
)

EXIT_OK, EXIT_NOT_FOUND, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_INTERRUPTED = 0, 1, 2, 3, 130
BYTES, KEEP = 64 << 20, 10  # of one file; files that were moved aside
SAVE_SECONDS = 0.5
RETRY_SECONDS = 2.0  # after the files could not be written


class Logger:
    """Writes the files until it is told to stop. most: bytes of a file. keep: how many are kept beside each."""

    def __init__(self, settings: Settings, most: int, keep: int) -> None:
        self._folder, self._owner = Path(settings.log_folder), settings.namespace
        self._most, self._keep = most, keep
        self.log = Log(settings.log_level)
        self._disk = Trouble(self.log, "write")
        self._readiness = Readiness(settings.ready_file, ("kafka", "files"))
        self._reader = EventReader(settings, partial(self.log.warning, "read", ""))
        self._stopping = threading.Event()
        self._began = False

    def stop(self) -> None:
        """Ends it, after what it has read was written. From any thread, any time."""
        self._stopping.set()

    def run(self) -> int:
        """Runs until SIGTERM or SIGINT. Returns the exit code."""
        try:
            with stopped_by_signals(self.stop):
                while not self._stopping.is_set():
                    self._try()
        except (BlockingIOError, SettingError) as error:
            self.log.error("start", text=str(error))
            return EXIT_UNREACHABLE if isinstance(error, BlockingIOError) else EXIT_USAGE
        finally:
            self._readiness.end()
            self._reader.close()
            self.log.flush()
        return EXIT_OK

    def _try(self) -> None:
        """Writes until it is told to stop, or the files cannot be written: then what was not saved is written again."""
        try:
            with Logbook(self._folder, self._owner, self._most, self._keep) as book:
                for line in book.notes:
                    self.log.warning("write", text=line)
                self._write(book)
        except BlockingIOError:
            raise
        except OSError as error:
            where = error.filename or self._folder
            self._disk.say(f"{where} cannot be written: {error.strerror or error}; nothing is lost meanwhile")
            self._readiness.tell("files", works=False)
            self._stopping.wait(RETRY_SECONDS)

    def _write(self, book: Logbook) -> None:
        if not self._began:
            begins = f"from offset {book.cursor.offset:,}" if book.mark else "from its beginning"
            self.log.info("start", text=f"writing to {self._folder}; the event log is read {begins}")
            self.log.flush()
        self._began = True
        saved_at, saved = 0.0, -2  # the first time it shows that the files can be written
        with closing(self._reader.follow(book.cursor, self._stopping.is_set)) as events:
            for event in events:
                if event is not None:
                    book.note(event)
                else:
                    book.flush()
                    self._readiness.tell("kafka", works=not self._reader.problem)
                is_due = book.is_full() or time.monotonic() > saved_at + SAVE_SECONDS
                if is_due and book.cursor.offset != saved:
                    book.save()
                    saved_at, saved = time.monotonic(), book.cursor.offset
                    self._disk.over()
                    self._readiness.tell("files", works=True)
        book.save()


def show(settings: Settings, prefix: str, as_json: bool) -> int:
    """Prints the history of one task. Returns the exit code."""
    log = Log("WARNING")
    try:
        search, cursor = search_audit(
            Path(settings.log_folder), settings.namespace, prefix, partial(log.warning, "read", "")
        )
    except SettingError as error:
        log.error("read", text=str(error))
        return EXIT_USAGE
    try:
        with EventReader(settings, partial(log.warning, "read", "")) as reader:
            if not search.is_settled():
                cursor = reader.beginning()
                if sys.stderr.isatty():
                    print(f"{settings.log_folder} lacks its beginning: reading all that Kafka has", file=sys.stderr)
            for event in reader.read_all(cursor, search.wants):
                search.add(event)
    except ServerUnreachable as error:
        log.error("read", text=f"{error}; only what {settings.log_folder} has is known")
        if search.is_empty():
            return EXIT_UNREACHABLE
    try:
        history = search.found()
    except (TaskNotFound, AmbiguousId) as error:
        print(visible(str(error)), file=sys.stderr)
        return EXIT_NOT_FOUND
    _print(json.dumps(history.as_json()) if as_json else "\n".join(history.lines()))
    return EXIT_OK


def _print(text: str) -> None:
    """To a reader who may go away: `--task 5f2c | head -1`."""
    try:
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description="Writes down what happened to every task, and tells it.")
    parser.add_argument("--task", metavar="ID", help="print the history of the task whose id is or begins so")
    parser.add_argument("--json", action="store_true", help="with --task: as JSON")
    parser.add_argument(
        "--bytes", type=int, default=BYTES, help=f"bytes of a file at which a new one begins (default {BYTES:,})"
    )
    parser.add_argument("--keep", type=int, default=KEEP, help=f"files that are kept beside each (default {KEEP})")
    add_flags(parser)
    given = parser.parse_args(arguments)
    if given.bytes < 1 or given.keep < 0 or given.task == "" or (given.json and not given.task):
        parser.error("--bytes is at least 1, --keep at least 0; --json needs --task, and --task an id")
    return given


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    given = parsed(arguments)
    try:
        settings = Settings.load(None, **given_flags(given))
    except SettingError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    if given.task:
        try:
            return show(settings, given.task, given.json)
        except KeyboardInterrupt:
            return EXIT_INTERRUPTED
    return Logger(settings, given.bytes, given.keep).run()


if __name__ == "__main__":
    sys.exit(main())
