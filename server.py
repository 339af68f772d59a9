"""The server: restores a queue whose Redis has lost its data from what Kafka knows.

python server.py --rebuild      Redis is empty, or new; the topics of Kafka are as they were

It reads the event log from its beginning, and makes everything happen again in Redis: records, states, results,
positions, resets. It may be stopped and started again. Workers go on by themselves, as soon as all that still run have
said what they hold.

Exit codes: 0 done, or nothing to do · 2 wrong use · 3 a server does not answer.
"""

import argparse
import sys
from collections.abc import Sequence

from yadtq import Log, QueueMissing, ServerUnreachable, SettingError, Settings, TaskClient, add_flags, given_flags

EXIT_OK, EXIT_USAGE, EXIT_UNREACHABLE = 0, 2, 3


def rebuild(client: TaskClient, log: Log) -> int:
    """Restores the queue. Returns the exit code."""
    try:
        done = client.rebuild(lambda line: log.info("rebuild", text=line))
    except (ServerUnreachable, QueueMissing) as error:
        log.error("rebuild", text=str(error))
        return EXIT_UNREACHABLE
    if not done:
        log.info("rebuild", text="Redis has the queue: nothing was changed")
        return EXIT_OK
    counts = ", ".join(f"{count} {status}" for status, count in client.counts().items())
    log.info("rebuild", text=f"the queue is restored: {counts}")
    return EXIT_OK


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Restores a queue whose Redis has lost its data.",
        epilog="docs/reliability.md tells what it can restore.",
    )
    parser.add_argument("--rebuild", action="store_true", help="restore the queue in an empty Redis from Kafka")
    add_flags(parser)
    given = parser.parse_args(arguments)
    if not given.rebuild:
        parser.error("say what to do: --rebuild")
    log = Log()
    try:
        settings = Settings.load(None, **given_flags(given))
    except SettingError as error:
        log.error("rebuild", text=str(error))
        return EXIT_USAGE
    with TaskClient(settings) as client:
        code = rebuild(client, log)
    log.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
