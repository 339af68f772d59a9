"""What a benchmark says of its figures: in a terminal, in JSON, and on its page."""

from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.figures import Figure, Goal, at_least, at_most, percentile
from benchmarks.pictures import PICTURES
from benchmarks.report import Report, about_run, from_json
from tests.support.generated_docs import rewritten
from tests.support.servers import ROOT

MET = Figure(1, "rate", "jobs/s", (16000.0, 15000.0, 17000.5), at_least(15_000))
MISSED = Figure(2, "round trip, p99", "ms", (24.25,), at_most(20), "Kafka takes 12 of it")
PLAIN = Figure(1, "CPU | of Redis", "µs a job", (33.333, 35.0))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Report:
    monkeypatch.setattr(report, "NOTES", tmp_path / "notes.toml")
    return Report(about_run(3), (MET, PLAIN, MISSED))


def test_a_goal_is_met_by_the_median() -> None:
    assert MET.is_met
    assert MET.median == 16000
    assert not MISSED.is_met
    assert PLAIN.is_met


@pytest.mark.parametrize(
    ("goal", "value", "met"), [(at_least(3), 3, True), (at_most(3), 3, True), (at_most(3), 4, False)]
)
def test_a_bound_itself_keeps_the_goal(goal: Goal, value: float, met: bool) -> None:
    assert goal.is_met(value) is met


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(each) for each in range(1000, 0, -1)]
    assert percentile(values, 0.5) == 501
    assert percentile(values, 0.99) == 991
    assert percentile(values, 1) == 1000
    assert percentile([7.0], 0.99) == 7


def test_the_table_says_what_was_measured_and_what_was_missed(made: Report) -> None:
    lines = made.table().splitlines()
    assert "  rate             16,000 jobs/s (15,000 to 17,000), goal ≥ 15,000: met" in lines
    assert "  CPU | of Redis   34.2 µs a job (33.3 to 35.0)" in lines
    assert "1 of 2 goals are met" in lines
    assert lines[-1] == "  missed: round trip, p99: 24.2 ms, goal ≤ 20: MISSED – Kafka takes 12 of it"
    assert "cores" in lines[0]


def test_the_page_has_a_table_for_each_row(made: Report) -> None:
    page = made.markdown()
    assert "| rate | 16,000 | 15,000 to 17,000 | jobs/s | ≥ 15,000 | yes |" in page
    assert "| CPU \\| of Redis |" in page
    assert "| round trip, p99 | 24.2 |  | ms | ≤ 20 | **no** |" in page
    assert "- *round trip, p99*: Kafka takes 12 of it" in page
    assert page.index("### 1.") < page.index("### 2.")


def test_a_note_by_hand_stands_in_the_place_of_the_measured_one(made: Report) -> None:
    report.NOTES.write_text('"round trip, p99" = "because"\n', encoding="utf-8")
    assert "- *round trip, p99*: because" in made.markdown()
    assert "Kafka takes" not in made.markdown()


def test_json_keeps_everything(made: Report) -> None:
    again = from_json(made.as_json())
    assert again.figures == made.figures
    assert again.about == made.about
    assert again.markdown() == made.markdown()


def test_documents_are_written_from_a_report(made: Report, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "docs" / "performance.md"
    page.parent.joinpath("pictures").mkdir(parents=True)
    page.write_text(
        "# Performance\n<!-- generated: performance -->\nold\n<!-- end: performance -->\n", encoding="utf-8"
    )
    monkeypatch.setattr(report, "ROOT", tmp_path)
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr(report, "LATEST", tmp_path / "results" / "latest.json")
    report.write_documents(made)
    assert from_json(report.LATEST.read_text(encoding="utf-8")).figures == made.figures
    assert made.markdown() in page.read_text(encoding="utf-8")
    assert len(list((tmp_path / "docs" / "pictures").iterdir())) == len(PICTURES)


@pytest.mark.skipif(not report.LATEST.exists(), reason="no whole run was kept yet")
def test_the_page_shows_the_run_that_was_kept() -> None:
    kept = from_json(report.LATEST.read_text(encoding="utf-8"))
    page = report.PAGE.read_text(encoding="utf-8")
    assert rewritten(page, report.PART, kept.markdown()) == page, "run python -m benchmarks --documents"
    for picture in PICTURES:
        drawn = (ROOT / "docs" / "pictures" / picture.file).read_text(encoding="utf-8")
        assert drawn == picture.draw(kept.figures), "run python -m benchmarks --documents"
