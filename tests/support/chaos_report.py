"""What a chaos run has shown, in lines for a person."""

import math
import platform
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.support.checker import KINDS, Restart, Verdict

# How a restart came about → how it is called.
MENDS = {
    "unseen": "nobody saw it (until a lease lapsed)",
    "seen": "seen at once (a child that died)",
    "outage": "after a server was back",
    "retry": "the handler raised",
}


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent do not exceed; nan of nothing."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def described(verdict: Verdict) -> list[str]:
    """The verdict in lines: how much there was, what was violated, how long recoveries took."""
    counted = ", ".join(f"{count} {name}" for name, count in verdict.figures.items())
    found = Counter(violation.kind for violation in verdict.violations)
    lines = [counted, "violations: " + ", ".join(f"{found[kind]} {kind}" for kind in KINDS)]
    lines += [f"forgotten, as only the lost Redis knew it: {each}" for each in verdict.forgotten]
    for mends, name in MENDS.items():
        lines += _recoveries(name, [restart for restart in verdict.restarts if restart.mends == mends])
    return lines


def _recoveries(name: str, restarts: Sequence[Restart]) -> list[str]:
    lines = []
    for alone, when in ((True, "alone"), (False, "while other faults lasted")):
        seconds = [restart.seconds for restart in restarts if restart.alone == alone]
        if seconds:
            figures = f"p50 {percentile(seconds, 50):.2f}, p99 {percentile(seconds, 99):.2f}, most {max(seconds):.2f} s"
            lines.append(f"started again, {name}, {when}: {len(seconds)} times, {figures}")
    return lines


def machine() -> str:
    """Where and when this ran."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    cores = sum(line.startswith("processor") for line in _lines("/proc/cpuinfo"))
    return f"{time.strftime('%Y-%m-%d')}, {cores} cores ({model}), Python {platform.python_version()}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
