"""A thousand schedules of faults, and some without a rule of the protocol. docs/simulation.md tells what it is."""

from collections.abc import Iterator

import pytest

from tests.simulation.play import play, search
from tests.simulation.rules import RULES
from tests.simulation.server import SERVER_TIME, Server, on_virtual_time, started
from tests.support.servers import ROOT

PAGE = ROOT / "docs" / "simulation.md"
SCHEDULES, FIRST = 1000, 0
MOST_SECONDS = 600  # in which they are played on the slowest machine
# Rules whose absence a few schedules find. All of them: python -m tests.simulation --rules
QUICK = ("mark", "seek", "takenum: repeated", "backpressure", "relay", "restarted", "void", "reissue", "resetnames")
MOST_SEARCHED = 1500  # seeds


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started() as opened:
        yield opened


@pytest.mark.timeout(MOST_SECONDS)
def test_a_thousand_schedules_break_no_promise(server: Server) -> None:
    broken = [played for seed in range(FIRST, FIRST + SCHEDULES) if (played := play(seed, server)).problem]
    told = [f"seed {each.seed}: {each.problem} (python -m tests.simulation --replay {each.seed})" for each in broken]
    assert not told, "\n".join(told)


@pytest.mark.parametrize("seed", [3, 11, 42])
def test_a_seed_is_replayed_exactly(server: Server, seed: int) -> None:
    first, again = (play(seed, server, trace=True) for _ in range(2))
    assert first.lines
    assert first == again


@pytest.mark.parametrize("rule", QUICK)
def test_what_goes_wrong_without_a_rule_is_found(server: Server, rule: str) -> None:
    assert any(played.problem.startswith("Violation") for played in search(rule, server, range(MOST_SEARCHED)))


def test_rules_that_are_taken_out_are_there(server: Server) -> None:
    for rule in RULES:
        for _, _ in zip(range(3), search(rule, server, range(50)), strict=False):
            pass


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_stands_in_the_documentation(rule: str) -> None:
    assert f"| {rule} | {RULES[rule].about} |" in PAGE.read_text(encoding="utf-8")


def test_only_the_time_of_a_script_is_changed() -> None:
    text = f"local time = {SERVER_TIME}\nreturn {{'ok'}}"
    assert on_virtual_time(text).splitlines()[1:] == text.splitlines()[1:]
    with pytest.raises(ValueError, match="0 times"):
        on_virtual_time("return {'ok'}")
