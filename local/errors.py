"""What can go wrong when something is started on this machine."""

from pathlib import Path


class StartFailed(Exception):
    """A server or program could not be started. The text is one line: what happened and what to do now.

    log: the file that says more; None when there is none.
    """

    def __init__(self, message: str, log: Path | None = None) -> None:
        super().__init__(f"{message} (log: {log})" if log else message)
        self.log = log
