"""However many tasks have ended, what operators look at costs Redis the same: counted in commands, not in time."""

import pytest

from tests.support.many_tasks import commands, fill
from tests.support.script_queue import ScriptQueue

FEW, MANY = 100, 20_000
HOUR_MS = 3_600_000


@pytest.fixture
def crowded(queue: ScriptQueue) -> tuple[dict[str, int], ScriptQueue]:
    """A queue with many tasks; and what calls cost when it had few."""
    queue.store.coordinate("s1", 6000, "{}", "")
    fill(queue, FEW)
    few = costs(queue)
    fill(queue, MANY - FEW, FEW + 1)
    return few, queue


def costs(queue: ScriptQueue) -> dict[str, int]:
    return {
        "overview": commands(queue, "overview", HOUR_MS // 60, 60, 20),
        "stats": commands(queue, "stats"),
        "workers": commands(queue, "workers"),
        "list": commands(queue, "list", "", 0, 50),
        "match": commands(queue, "match", "", "add", "", "", 0, 50, 20),
        "coordinate": commands(queue, "coordinate", "s1", 6000, "{}", "", 5000, 3, 100),
        "unfinished": commands(queue, "unfinished", "", 50, 10**15),
    }


def test_what_is_looked_at_each_second_costs_the_same(crowded: tuple[dict[str, int], ScriptQueue]) -> None:
    few, queue = crowded
    assert costs(queue) == few
    assert queue.store.stats()[7:9] == [MANY - MANY // 3, MANY // 3]
    assert max(few.values()) < 200


@pytest.mark.parametrize("filters", [("", "none", "", ""), ("", "", "none", ""), ("failed", "none", "", "")])
def test_a_search_looks_at_a_thousand_places_at_most(
    crowded: tuple[dict[str, int], ScriptQueue], filters: tuple[str, str, str, str]
) -> None:
    _, queue = crowded
    assert queue.store.match(*filters, 0, 1000, 50) == ([], 1000, True)
    assert commands(queue, "match", *filters, 0, 1000, 50) < 1010
    assert (
        commands(queue, "match", "", "", "", "none", 0, 1000, 50) < 10
    )  # an id is told from others without its record


def test_a_look_for_unfinished_tasks_goes_in_steps(crowded: tuple[dict[str, int], ScriptQueue]) -> None:
    _, queue = crowded
    assert commands(queue, "unfinished", "", 500, 10**15) < 510
    assert queue.store.unfinished("", 500, 10**15) == ("more", "500")
    assert queue.store.unfinished(str(MANY - 500), 500, 10**15) == ("more", str(MANY))
    assert queue.store.unfinished(str(MANY), 500, 10**15) == ("none", "")
