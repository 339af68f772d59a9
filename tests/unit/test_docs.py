"""The documentation says what the code does: generated parts are made again, names are looked up."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

import yadtq
from _yadtq import keys
from _yadtq.scripts import LUA
from _yadtq.states import STATUSES, TRANSITIONS
from tests.support.documented_events import documented_fields
from tests.support.generated_docs import PARTS, SHARED, rewritten
from tests.support.pages import code_blocks, code_words, links
from tests.support.servers import ROOT

PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))
SCRIPTS = sorted(path.stem for path in LUA.glob("*.lua"))
PROTOCOL = "docs/protocol.md"
# What transitions.lua makes.
ACTIONS = re.findall(r"\bmake\.(\w+)(?=,| =|\()", (LUA / "transitions.lua").read_text(encoding="utf-8"))


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PARTS)
def test_generated_parts_are_up_to_date(name: str) -> None:
    page, content = PARTS[name]
    again = rewritten(text_of(page), name, content())
    assert text_of(page) == again, "run python -m tests.support.generated_docs"


def test_a_page_without_markers_is_noticed() -> None:
    with pytest.raises(ValueError, match="markers of settings"):
        rewritten("# Settings\n", "settings", "")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    assert not [target for target in links(page) if not (folder / target).exists()]


@pytest.mark.parametrize("page", PAGES)
def test_variables_that_are_named_exist(page: str) -> None:
    known = {variable for setting in yadtq.SETTINGS for variable in setting.variables}
    known |= {f"{setting.variables[0]}_FILE" for setting in yadtq.SETTINGS if setting.secret}
    # Those that are not the programs': of the compose file and the tests.
    known |= {"KAFKA_PORT", "YADTQ_TEST_KAFKA", "YADTQ_TEST_REDIS"}
    prefixes = ("KAFKA_", "REDIS_", "WORKER_", "TASK_", "YADTQ_", "ENCRYPTION_", "DRAIN_", "RESULT_", "CLAIM_")
    named = {word for word in code_words(page) if word.startswith(prefixes) and re.fullmatch("[A-Z_]+", word)}
    assert sorted(named - known) == []


# -- the protocol


def test_every_key_is_described() -> None:
    described = code_words(PROTOCOL)
    assert not {*keys.QUEUE_KEYS, *keys.EPOCH_KEYS} - described
    made = keys.Keys("yadtq")
    assert {made.tasks_topic, made.events_topic, made.group} <= described
    assert {made.wake("<incarnation>"), made.ended("<client>")} <= described
    assert f"version {keys.PROTOCOL};" in text_of(PROTOCOL)


def calls(script: str, opening: str) -> list[str]:
    """The arguments of each call in a Lua script that begins so, up to its closing bracket."""
    source = re.sub(r"--[^\n]*", "", (LUA / f"{script}.lua").read_text(encoding="utf-8"))
    found = []
    for begin in re.finditer(opening, source):
        depth, end = 1, begin.end()
        while depth:
            depth += (source[end] == "(") - (source[end] == ")")
            end += 1
        found.append(source[begin.end() : end - 1])
    return found


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_field_that_a_script_touches_is_described(script: str) -> None:
    described = code_words(PROTOCOL)
    found = [word for call in calls(script, r"redis\.call\('H[A-Z]+'\s*,") for word in re.findall(r"'([a-z_]+)'", call)]
    assert not set(found) - described


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_event_is_described(script: str) -> None:
    """Also those that a test run never makes; what a run makes is compared by ScriptQueue.check."""
    fields = documented_fields()
    for call in calls(script, r"\btransition\("):
        action = re.search(r"\baction = '(\w+)'", call)
        described = fields[action[1]] if action else set().union(*fields.values())
        flat = re.sub(r"\bcjson\.encode\(\{[^}]*\}\)", "", call)
        assert not set(re.findall(r"\b([a-z_]+) = ", flat)) - described, call


def test_every_action_is_described() -> None:
    assert set(ACTIONS) == documented_fields().keys()


def test_every_script_is_described() -> None:
    headings = re.findall(r"^#### (\w+)$", text_of(PROTOCOL), re.MULTILINE)
    assert sorted(headings) == SCRIPTS


def test_every_script_says_what_it_returns() -> None:
    silent = [
        name for name in SCRIPTS if "eturns" not in (LUA / f"{name}.lua").read_text(encoding="utf-8").split("\n\n")[0]
    ]
    assert set(silent) <= set(SHARED)


def test_transitions_name_scripts_and_statuses_that_exist() -> None:
    for transition in TRANSITIONS:
        assert transition.script in SCRIPTS
        assert {transition.before, transition.after} <= {"", *STATUSES}
        assert transition.action in code_words(PROTOCOL)


RULES = (
    "mark", "withdraw", "sweepepoch", "guardfinal", "takenum", "grace", "offset", "seek", "backpressure", "fence",
    "forward", "void", "election", "markercheck", "quarantine", "joinwait", "resetwait", "resetgen", "trim", "ownmark",
    "withdrawgen", "keepold", "onceonly", "tombstones",
)  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_its_reason(rule: str) -> None:
    heads = re.findall(r"^- \*\*([a-z, ]+)\.?\*\* ", text_of(PROTOCOL).partition("## The rules")[2], re.MULTILINE)
    assert rule in ", ".join(heads).split(", ")


# -- the library


def test_every_public_name_is_described() -> None:
    assert sorted(set(yadtq.__all__) - code_words("docs/library.md")) == []


def test_every_public_method_and_field_is_described() -> None:
    described = code_words("docs/library.md")
    for kind in (yadtq.TaskClient, yadtq.TaskWorker):
        assert not {name for name, value in vars(kind).items() if callable(value) and name[0] != "_"} - described
    for record in (
        yadtq.Task,
        yadtq.Worker,
        yadtq.Stats,
        yadtq.Attempt,
        yadtq.Failure,
        yadtq.Signature,
        yadtq.Parameter,
    ):
        assert not set(record.__dataclass_fields__) - described


def test_every_error_is_described_and_exported() -> None:
    errors = {name for name in yadtq.__all__ if isinstance(getattr(yadtq, name), type)
              and issubclass(getattr(yadtq, name), yadtq.YadtqError)}  # fmt: skip
    table = text_of("docs/library.md").partition("## Errors")[2]
    assert not {name for name in errors - {"YadtqError"} if f"`{name}`" not in table}


@pytest.mark.parametrize("page", ["README.md", "docs/library.md", "docs/protocol.md"])
def test_python_examples_are_python(page: str) -> None:
    for block in code_blocks(page, "python"):
        ast.parse(block)
        imported = [alias.name for node in ast.walk(ast.parse(block)) if isinstance(node, ast.ImportFrom)
                    and node.module == "yadtq" for alias in node.names]  # fmt: skip
        assert not set(imported) - set(yadtq.__all__)


# -- the rest


def chosen(requirements: Path) -> set[str]:
    """The packages that a file names for their own sake, not because others need them."""
    lines = requirements.read_text(encoding="utf-8").partition("# What these need")[0].splitlines()
    return {line.partition("==")[0] for line in lines if "==" in line}


def test_every_dependency_has_its_reason() -> None:
    described = code_words("docs/decisions/dependencies.md")
    pinned = set().union(*(chosen(path) for path in ROOT.glob("requirements*.txt")))
    wanted = tomllib.loads(text_of("pyproject.toml"))["project"]["dependencies"]
    assert sorted((pinned | {re.split(r"[<>=]", name)[0] for name in wanted}) - described) == []


def test_every_decision_is_listed() -> None:
    listed = links("docs/decisions/README.md")
    assert sorted(listed) == sorted(
        path.name for path in (ROOT / "docs" / "decisions").glob("*.md") if path.name != "README.md"
    )


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[str] = set()
    waiting = ["README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or not page.endswith(".md"):
            continue
        reached.add(page)
        folder = Path(page).parent
        waiting += [(ROOT / folder / target).resolve().relative_to(ROOT).as_posix() for target in links(page)]
    assert not set(PAGES) - reached


@pytest.mark.parametrize("page", PAGES)
def test_no_page_speaks_of_programs_that_do_not_exist(page: str) -> None:
    if page in ("docs/seeds.md", "CHANGELOG.md"):
        return
    missing = {name for name in ("server.py", "manager.py", "logger.py", "monitor.py") if not (ROOT / name).exists()}
    assert not {name for name in missing if re.search(rf"(?<![\w_]){re.escape(name)}", text_of(page))}
