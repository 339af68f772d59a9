"""What tells one process from every other one, also of other containers and machines that have the same name."""

import os
from pathlib import Path


def birth_of(process: int) -> str:
    """The boot of its machine, its namespace of process numbers, and when it was started in ticks since that boot.

    process: its number, as this process sees it. '': there is no such process, or this system does not tell.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        numbers = os.readlink("/proc/self/ns/pid")
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return f"{boot} {numbers} {process} {stat.rpartition(')')[2].split()[19]}"
