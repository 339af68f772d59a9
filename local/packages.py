"""Whether the packages of a requirements file are installed."""

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

REMEDY = "run `make up`, or `pip install -r requirements-local.txt`"


def missing(requirements: Path) -> list[str]:
    """Names of the packages in a requirements file (and those that it includes) that are not installed."""
    names = []
    for line in requirements.read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            names += missing(requirements.with_name(line[3:].strip()))
        elif (package := re.match(r"[A-Za-z0-9._-]+", line)) and not _installed(package[0]):
            names.append(package[0])
    return names


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
