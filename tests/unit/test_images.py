"""What the Dockerfiles copy is what `.dockerignore` lets through to the builder."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


def copied(dockerfile: str) -> set[str]:
    lines = re.findall(r"^COPY (.+) \S+$", (CHECKOUT / dockerfile).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {source.rstrip("/") for line in lines for source in line.split() if not source.startswith("--")}


def let_through() -> list[str]:
    lines = (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return [line[1:] for line in lines if line.startswith("!")]


@pytest.mark.parametrize("dockerfile", sorted(path.name for path in CHECKOUT.glob("Dockerfile.*")))
def test_the_builder_gets_what_it_copies(dockerfile: str) -> None:
    for source in copied(dockerfile):
        assert any(fnmatch(source, pattern) for pattern in let_through()), f"{source} is missing in .dockerignore"
        assert (CHECKOUT / source).exists()


def test_nothing_goes_to_the_builder_that_no_image_copies() -> None:
    everything = set().union(*(copied(path.name) for path in CHECKOUT.glob("Dockerfile.*")))
    assert set(let_through()) <= everything
