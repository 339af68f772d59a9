"""The client: without arguments a shell, with arguments one command, from a pipe line by line.

Exit codes: 0 done · 1 a task or command failed · 2 usage · 3 servers unreachable · 130 interrupted · 141 nobody reads
the output any more.
"""

import argparse
import io
import logging
import os
import sys
from collections.abc import Sequence
from functools import partial

from shell import oneshot, pipe
from shell.answers import INTERRUPTED, USAGE
from shell.commands import COMMANDS
from shell.live import Live
from shell.render import Output, Screen, wants_colour
from shell.session import Manner, Session
from yadtq import SettingError, Settings, TaskClient, add_flags, given_flags

OUTPUT_CLOSED = 141


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The program's flags; what follows them is a command."""
    commands = ", ".join(command.name for command in COMMANDS)
    parser = argparse.ArgumentParser(
        prog="client.py",
        allow_abbrev=False,
        description="Submits tasks and shows what became of them. Without a command: an interactive shell.",
        epilog=f"commands: {commands}, and every task by its name. About one of them: client.py help COMMAND",
    )
    parser.add_argument(
        "--submit", nargs="+", metavar=("TASK", "JSON"), help='submit a task, print its id: add "[1,2]"'
    )
    parser.add_argument("--query", metavar="ID", help="print a task's id, status and result in three lines")
    parser.add_argument("--json", action="store_true", help="answer in JSON, one line an answer")
    parser.add_argument("--no-wait", action="store_true", help="do not wait for tasks that were just submitted")
    add_flags(parser)
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="for example: ADD 2 3")
    found = parser.parse_args(arguments)
    if sum((bool(found.submit), found.query is not None, bool(found.command))) > 1:
        parser.error("--submit, --query and a command exclude each other")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the client; returns its exit code."""
    given = parsed(arguments)
    try:
        settings = Settings.load(None, **given_flags(given))
    except SettingError as error:
        print(error, file=sys.stderr)
        return USAGE
    _quiet_libraries()
    with TaskClient(settings) as client:
        one = bool(given.submit or given.query is not None or given.command)
        if not one and sys.stdin.isatty() and sys.stdout.isatty():
            from shell import repl  # noqa: PLC0415 - prompt_toolkit takes longer than a command

            return repl.run(client, settings, given.json)
        return _without_prompt(client, given, one)


def _without_prompt(client: TaskClient, given: argparse.Namespace, one: bool) -> int:
    """One command, or those of a pipe."""
    terminal = sys.stdout.isatty()
    screen = Screen(_columns() if terminal else 0, terminal and wants_colour(os.environ))
    output = Output(sys.stdout, sys.stderr)
    if not one:
        session = Session(client, Manner.PIPE, pipe.PipeAsker(sys.stdin), COMMANDS, Live)
    else:
        asker = oneshot.TerminalAsker(sys.stdin.isatty() and sys.stderr.isatty())
        session = Session(client, Manner.ONE_SHOT, asker, COMMANDS, Live)
    session.json, session.no_wait = given.json, given.no_wait
    if not one:
        return pipe.run(session, sys.stdin, output, screen)
    ask = partial(oneshot.command, session, given.command)
    if given.submit:
        ask = partial(oneshot.submitted, session, given.submit)
    elif given.query is not None:
        ask = partial(oneshot.queried, session, given.query)
    return oneshot.run(session, ask, output, screen)


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except OSError:
        return 0


def _quiet_libraries() -> None:
    """What libraries log and warn never reaches the screen; text that it cannot show is escaped; bytes are kept."""
    logging.getLogger().addHandler(logging.NullHandler())
    logging.captureWarnings(True)
    for stream, errors in (
        (sys.stdout, "backslashreplace"),
        (sys.stderr, "backslashreplace"),
        (sys.stdin, "surrogateescape"),
    ):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def closed_output_is_quiet() -> int:
    """`main`, for a program whose reader may go away, or never was: `show-tasks | head -1`, `show-tasks >&-`."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for name, descriptor in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            os.dup2(nowhere, descriptor)
            setattr(sys, name, os.fdopen(descriptor, "r" if descriptor == 0 else "w", encoding="utf-8"))
    try:
        code = main()
        sys.stdout.flush()
    except KeyboardInterrupt:  # before there was something to wait for, or after
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(nowhere, 1)
        return OUTPUT_CLOSED
    return code


if __name__ == "__main__":
    sys.exit(closed_output_is_quiet())
