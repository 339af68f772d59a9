"""The table of transitions: complete, and true to what the scripts write down."""

import re

from _yadtq.scripts import LUA
from _yadtq.states import FINAL, SHOWN, STATUSES, STORED, TRANSITIONS

# What scripts write down that changes no state.
OTHER = {"share", "refused", "forgotten"}


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
    text = (LUA / "transitions.lua").read_text(encoding="utf-8")
    made = set(re.findall(r"^function make\.(\w+)", text, re.MULTILINE))
    for shared in re.findall(r"^(make\.\w+(?:, make\.\w+)*) =", text, re.MULTILINE):
        made |= set(re.findall(r"make\.(\w+)", shared))
    assert made == {t.action for t in TRANSITIONS} | OTHER


def test_what_changes_no_state_is_no_transition() -> None:
    """Of what a script only notes, none writes a status or moves an id between indexes."""
    text = (LUA / "transitions.lua").read_text(encoding="utf-8")
    for action in OTHER:
        (body,) = re.findall(rf"^function make\.{action}\(.*?\nend$", text, re.MULTILINE | re.DOTALL)
        assert "'status', '" not in body.replace("'HMGET', key, 'status'", "")
        assert not re.search(r"'(Z|L|R)[A-Z]+'", body)
