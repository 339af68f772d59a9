"""What a test reads out of README.md and docs/."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.generated_docs import ROOT

SEEDS = ROOT / "docs" / "seeds.md"
VERDICTS = ("works", "replaced", "not yet", "left out")
CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Promise:
    """A line of docs/seeds.md. seed: its number. what: the code to check: as it stood there, or what replaces it."""

    seed: str
    there: str
    verdict: str
    here: str
    checked: str

    def __str__(self) -> str:
        return f"{self.seed} {self.what}"

    @property
    def what(self) -> str:
        cell = self.there if self.verdict == "works" else self.here
        found = CODE.search(cell)
        return found[1] if found else ""


def promises(checked: str = "") -> list[Promise]:
    """The lines of docs/seeds.md; those that are checked in one way, when it is named."""
    return [each for each in _promises() if checked in ("", each.checked)]


def _promises() -> Iterator[Promise]:
    seed = ""
    for line in SEEDS.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            seed = line.removeprefix("## ").partition(":")[0]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if seed and line.startswith("| ") and cells[0] != "There" and not line.startswith("| ---"):
            yield Promise(seed, *cells)


def code_blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def code_words(page: str) -> set[str]:
    """All that stands between backticks in a page, whole and by its words."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    spans = set(CODE.findall(text))
    return spans | {word for span in spans for word in re.findall(r"[\w-]+", span)}


def links(page: str) -> list[str]:
    """The targets of a page's links to other pages of the checkout, without their anchors."""
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)]+)\)", text)
    return [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
