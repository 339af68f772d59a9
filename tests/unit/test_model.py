"""The protocol's model: its small modes hold, it finds what it must find, and its pages tell what it does."""

from pathlib import Path

import pytest

from docs.model import explore
from docs.model.explore import Explorer
from docs.model.model import main
from docs.model.modes import ALL, AS_BUILT, COVERED, LONG, MODES, NEED, RULES, SMALL, STRICT, UNSHOWN

README = Path(__file__).resolve().parents[2] / "docs" / "model" / "README.md"
QUICK = ("attempts", "resetnames", "void", "confirmonce")  # rules whose absence shows within a second or two
LED = ("election", "begun", "markercheck", "trimgen")  # of these, of the recovery, in a moment


@pytest.mark.parametrize("mode", SMALL)
def test_a_small_mode_holds_with_all_rules(mode: str) -> None:
    finding = Explorer(MODES[mode], ALL).run()
    assert finding.complete
    assert finding.violation == "", finding.trace


@pytest.mark.parametrize("rule", QUICK)
def test_without_a_rule_the_model_finds_what_goes_wrong(rule: str) -> None:
    finding = Explorer(MODES[NEED[rule]], ALL - {rule}).run()
    assert finding.violation
    assert finding.trace


@pytest.mark.parametrize("rule", LED)
def test_the_plainest_form_of_a_state_hides_nothing_that_goes_wrong(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plainest = Explorer(MODES[NEED[rule]], ALL - {rule}).run()
    monkeypatch.setattr(explore, "plain", lambda _, state: state)
    whole = Explorer(MODES[NEED[rule]], ALL - {rule}).run()
    assert plainest.violation == whole.violation != ""
    assert plainest.states < whole.states


def test_a_worker_without_a_guard_overlaps_with_the_next_one() -> None:
    finding = Explorer(MODES["no-guard"], ALL).run()
    assert finding.violation == "overlap: task 0 runs in worker 0 and in worker 1"
    assert finding.trace[-1] == "the child of worker 1 begins task 0, attempt 2"


def test_every_rule_has_a_mode_in_which_its_absence_shows() -> None:
    assert set(NEED) | set(COVERED) == set(RULES) == ALL
    assert not set(NEED) & set(COVERED)
    assert set(NEED.values()) <= set(MODES)
    assert AS_BUILT < ALL


def test_what_make_model_leaves_out_is_listed_by_names_that_exist() -> None:
    assert set(LONG) <= set(MODES)
    assert set(UNSHOWN) <= set(NEED)
    assert not set(SMALL) & set(LONG)


def test_the_page_names_every_rule_and_every_mode() -> None:
    page = README.read_text(encoding="utf-8")
    assert [name for name in (*RULES, *MODES, *STRICT) if f"`{name}`" not in page] == []


def test_an_exploration_that_is_cut_off_says_so() -> None:
    finding = Explorer(MODES["submit-crash"], ALL, limit=-1.0).run()
    assert not finding.complete
    assert finding.violation == ""


def test_an_unknown_mode_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-such-mode"]) == 2
    assert "there is no no-such-mode; expected one of: submit" in capsys.readouterr().err


def test_a_counterexample_is_printed_as_a_numbered_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-guard"]) == 0  # what this mode is for
    assert "       1. client 0 registers task 0\n" in capsys.readouterr().out


def test_the_program_fails_when_a_rule_is_not_shown_to_be_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--need", "offset", "--limit", "-1"]) == 1
    assert "not shown to be needed: offset" in capsys.readouterr().out
