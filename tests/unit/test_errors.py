"""The tree of errors: as the module draws it, and as a program catches it."""

import inspect
import re

import pytest

from _yadtq import errors
from _yadtq.errors import (
    AmbiguousId,
    BadArguments,
    QueueFull,
    ServerUnreachable,
    SubmissionRefused,
    SubmissionUnknown,
    TaskIdConflict,
    TaskNotFound,
    UsageError,
    WaitTimeout,
    YadtqError,
)

CLASSES = [each for _, each in inspect.getmembers(errors, inspect.isclass) if each.__module__ == errors.__name__]


def drawn() -> dict[str, str]:
    """Error → its parent, as the module's docstring draws them."""
    parents: dict[str, str] = {}
    stack = ["YadtqError"]
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"([│ ]*)[├└]── ([\w, ]+?)(?:  |$)", line)
        if found:
            depth = len(found[1]) // 4 + 1
            names = found[2].split(", ")
            stack[depth:] = [names[0]]
            parents |= dict.fromkeys(names, stack[depth - 1])
    return parents


def test_the_tree_is_drawn_as_it_is() -> None:
    real = {each.__name__: each.__mro__[1].__name__ for each in CLASSES if each is not YadtqError}
    assert drawn() == real


@pytest.mark.parametrize("error", CLASSES, ids=lambda each: each.__name__)
def test_every_error_says_what_it_means(error: type[YadtqError]) -> None:
    assert error.__doc__
    assert issubclass(error, YadtqError)


def test_errors_are_also_what_python_programs_expect() -> None:
    assert issubclass(BadArguments, (ValueError,))
    assert issubclass(UsageError, ValueError)
    assert issubclass(ServerUnreachable, ConnectionError)
    assert issubclass(WaitTimeout, TimeoutError)
    assert issubclass(TaskNotFound, LookupError)
    assert not issubclass(SubmissionUnknown, SubmissionRefused)  # who catches 'it never runs' must not catch 'unknown'


def test_errors_carry_what_a_program_needs() -> None:
    assert ServerUnreachable("kafka", "x").server == "kafka"
    for kind in (SubmissionRefused, TaskIdConflict, QueueFull, SubmissionUnknown):
        error = kind("id", "line")
        assert (error.task_id, error.accepted, str(error)) == ("id", [], "line")
    ambiguous = AmbiguousId("ab", ["abc", "abd", "abe", "abf"])
    assert ambiguous.matches == ["abc", "abd", "abe", "abf"]
    assert str(ambiguous) == "'ab' begins 4 or more ids (abc, abd, abe, …); type more of it"
