"""The names of tasks: remembered from their beginning to their end, looked up where they are not."""

from collections.abc import Sequence

from _yadtq.task_names import TaskNames
from tests.support.event_made import event_with


class Lookup:
    """Stands in for Redis. asked: all ids so far."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, ids: Sequence[str]) -> dict[str, str]:
        self.asked += ids
        return dict.fromkeys(ids, "sleep")


def test_a_name_is_known_from_the_registration_to_the_end() -> None:
    lookup = Lookup()
    names = TaskNames(lookup)
    assert names.of(event_with({"action": "register", "id": "a", "task": "add"})) == {"a": "add"}
    assert names.of(event_with({"action": "take", "id": "a"})) == {"a": "add"}
    assert names.of(event_with({"action": "retry", "id": "a"})) == {"a": "add"}
    assert names.of(event_with({"action": "success", "id": "a"})) == {"a": "add"}
    assert lookup.asked == []
    assert names.of(event_with({"action": "expire", "id": "a"})) == {"a": ""}


def test_only_of_runs_that_end_unknown_names_are_looked_up() -> None:
    lookup = Lookup()
    names = TaskNames(lookup)
    assert names.of(event_with({"action": "take", "id": "a"})) == {"a": ""}
    event = event_with(*({"action": action, "id": action} for action in ("success", "failed", "retry", "crash")))
    assert names.of(event) == {"success": "sleep", "failed": "sleep", "retry": "sleep", "crash": ""}
    assert lookup.asked == ["success", "failed", "retry"]


def test_a_bounded_number_is_remembered() -> None:
    lookup = Lookup()
    names = TaskNames(lookup, most=2)
    names.of(event_with(*({"action": "admit", "id": str(n), "task": "add"} for n in range(3))))
    names.of(event_with(*({"action": "success", "id": str(n)} for n in range(3))))
    assert lookup.asked == ["2"]


def test_a_reset_forgets_them() -> None:
    lookup = Lookup()
    names = TaskNames(lookup)
    names.of(event_with({"action": "register", "id": "a", "task": "add"}))
    names.of(event_with(action="reset"))
    names.of(event_with({"action": "success", "id": "a"}))
    assert lookup.asked == ["a"]
