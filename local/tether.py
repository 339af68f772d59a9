"""Program: runs a command that gets SIGTERM when the process that started it dies, however that dies.

    python tether.py PARENT-PID [--foreground] COMMAND [ARGUMENT ...]

--foreground: the command owns the terminal of standard input until it ends, so that Ctrl-C reaches nobody else.

It stands between `subprocess` and the command, because only code that runs in the child can ask for these things, and
`preexec_fn` is not safe in a process with threads. It needs nothing but the standard library and then is gone (exec):
the command keeps its process number. The signal also comes when the *thread* that started it ends.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    parent, command = int(arguments[0]), arguments[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        sys.exit(128 + signal.SIGTERM)  # it died before it could be watched
    if command[0] == "--foreground":
        del command[0]
        take_terminal()
    os.execvp(command[0], command)  # noqa: S606 - no shell is meant


def take_terminal() -> None:
    """Makes this process the foreground group of its terminal. It cannot be suspended: nobody could resume it."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(sys.stdin.fileno(), os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)


if __name__ == "__main__":
    main(sys.argv[1:])
