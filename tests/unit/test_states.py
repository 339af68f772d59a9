"""The table of transitions: complete, and true to what the scripts write down."""

import re

from _yadtq.states import FINAL, SHOWN, STATUSES, STORED, TRANSITIONS
from _yadtq.store import LUA

# What scripts write down that changes no state.
OTHER = {"refused"}


def test_every_status_is_reached_and_shown() -> None:
    assert {t.after for t in TRANSITIONS} - {""} == set(STATUSES)
    assert list(SHOWN) == list(STATUSES)
    assert {STORED[SHOWN[status]] for status in STATUSES} == set(STATUSES)
    assert SHOWN["processing"] == "in-progress"
    assert SHOWN["success"] == "completed"


def test_an_action_leads_from_a_status_to_one_other() -> None:
    ways = [(t.before, t.action) for t in TRANSITIONS]
    for way in ways:
        assert len({t.after for t in TRANSITIONS if (t.before, t.action) == way}) == 1, way


def test_final_states_change_only_by_a_person_or_by_age() -> None:
    assert {t.action for t in TRANSITIONS if t.before in FINAL} == {"requeue", "expire"}
    assert {t.before for t in TRANSITIONS if t.action == "requeue"} == {"failed"}


def test_every_transition_is_made_by_a_script_that_exists() -> None:
    assert {t.script for t in TRANSITIONS} <= {path.stem for path in LUA.glob("*.lua")}


def test_the_scripts_write_down_what_the_table_has() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in LUA.glob("*.lua"))
    literal = set(re.findall(r"note\('(\w+)'", text)) | set(re.findall(r"\{action = '(\w+)', lost", text))
    kinds = set(re.findall(r"--     kind +(.*)$", text, re.MULTILINE))
    assert literal <= {t.action for t in TRANSITIONS} | OTHER
    named = literal | {"success", "failed", "retry", "crash", "release"}
    assert named | {"reclaim"} >= {t.action for t in TRANSITIONS}
    assert any("success" in line and "crash" in line and "release" in line for line in kinds)
