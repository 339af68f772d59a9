"""The monitor: shows what goes on in the queue. It reads what is recorded, and keeps nothing of its own.

python monitor.py                in a terminal: a live page, until q
python monitor.py | cat          no terminal, or --once: one picture as text
python monitor.py --json         one picture, with all that is known, as JSON
python monitor.py --web          a web page on http://127.0.0.1:8080

What it shows                                       and where it comes from
    tasks by state, the tasks themselves            their records and indexes in Redis
    throughput of the last hour                     when each finished task ended
    how long the oldest task has waited             its record; the curve begins with the monitor
    workers: running, executed, rate, heartbeat     their heartbeats
    lost workers, and what became of their tasks    the failure history, which the sweep of leases writes
    coordinators, quarantine, who sends events      the queue's own keys
    messages that nobody has read, by partition     Kafka's end offsets, less the positions in Redis

Exit codes: 0 done · 2 wrong use · 3 a server does not answer · 130 interrupted.
"""

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence

from dashboard import report
from yadtq import Operator, SettingError, Settings, YadtqError, add_flags, given_flags, visible

EXIT_OK, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_INTERRUPTED = 0, 2, 3, 130
HOST, PORT = "127.0.0.1", 8080


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The program's flags."""
    parser = argparse.ArgumentParser(prog="monitor.py", description="Shows what goes on in the queue.")
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--once", action="store_true", help="print one picture as text (default without a terminal)")
    ways.add_argument("--json", action="store_true", help="print one picture as JSON")
    ways.add_argument("--web", action="store_true", help="serve a web page")
    parser.add_argument("--host", default=HOST, help=f"address that the web page is served on; default {HOST}")
    parser.add_argument("--port", type=int, default=PORT, help=f"port of the web page; default {PORT}")
    about = "name under which browsers reach the web page besides its address; may be given several times"
    parser.add_argument("--name", action="append", default=[], metavar="HOST", help=about)
    parser.add_argument("--token-file", metavar="PATH", help="file with the token of the web page (MONITOR_TOKEN_FILE)")
    add_flags(parser)
    found = parser.parse_args(arguments)
    if not 0 <= found.port < 65536:
        parser.error(f"--port: {found.port} cannot be used: expected a number from 1 to 65535, or 0 for any free one")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the monitor; returns its exit code."""
    given = parsed(arguments)
    try:
        settings = Settings.load(_environment(given.token_file), **given_flags(given))
    except SettingError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    logging.getLogger().addHandler(logging.NullHandler())  # what libraries log never reaches the screen
    if given.web:
        from dashboard.web.program import serve  # noqa: PLC0415 - a web server takes longer than a picture

        return serve(settings, given.host, given.port, settings.monitor_token, given.name)
    if given.once or given.json or not _has_screen():
        return once(settings, given.json)
    from dashboard import terminal  # noqa: PLC0415 - so does prompt_toolkit

    return terminal.run(settings)


def once(settings: Settings, as_json: bool) -> int:
    """Prints one picture. Without Kafka it lacks what only Kafka knows, and the exit code says so."""
    with Operator(settings) as operator:
        try:
            now = operator.snapshot()
        except YadtqError as error:
            print(visible(str(error)), file=sys.stderr)
            return EXIT_UNREACHABLE
    print(report.json_of(now) if as_json else report.text_of(now), flush=True)
    if now.health.kafka:
        print(visible(now.health.kafka), file=sys.stderr)
        return EXIT_UNREACHABLE
    return EXIT_OK


def _has_screen() -> bool:
    """Whether there is a terminal on which lines can be drawn anew."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _environment(token_file: str | None) -> Mapping[str, str]:
    """The environment, with the file of the token that a flag has named in place of what it says."""
    if token_file is None:
        return os.environ
    return {**os.environ, "MONITOR_TOKEN": "", "MONITOR_TOKEN_FILE": token_file}


if __name__ == "__main__":
    try:
        code = main()
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError:  # nobody reads the output any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_OK
    sys.exit(code)
