"""The requirements files: every package that is installed is pinned, and the pins are what the library asks for."""

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
FILES = ("requirements.txt", "requirements-local.txt", "requirements-dev.txt")


def pinned(file: str) -> dict[str, str]:
    """Package → version, of a requirements file and those that it includes."""
    pins: dict[str, str] = {}
    for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            pins |= pinned(line[3:])
        elif line and not line.startswith("#"):
            name, version = re.fullmatch(r"([\w.-]+)==([\w.]+)", line).groups()  # type: ignore[union-attr]  # or it fails
            pins[canonicalize_name(name)] = version
    return pins


@pytest.mark.parametrize("file", FILES)
def test_all_that_a_file_brings_is_pinned_in_it(file: str) -> None:
    pins = pinned(file)
    for name in pins:
        for text in distribution(name).requires or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                assert canonicalize_name(needed.name) in pins, f"{name} needs {text}: pin it in {file}"


def test_what_is_installed_is_what_is_pinned() -> None:
    for name, version in pinned("requirements-dev.txt").items():
        assert distribution(name).version == version, f"run `make test`: it installs {name} {version}"


def test_the_library_can_be_installed_with_the_pins() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = pinned("requirements.txt")
    for text in project["dependencies"]:
        needed = Requirement(text)
        assert needed.specifier.contains(pins[canonicalize_name(needed.name)]), text
