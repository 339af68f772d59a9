"""Signatures: what a worker publishes about its tasks."""

from collections.abc import Sequence

from _yadtq.records import Parameter
from _yadtq.signatures import ABOUT_LIMIT, signature_of


def every_kind(a: int, /, b: "float", *rest: Sequence[str], c: bool, d: str = "x", **more: object) -> None:
    """One line about it.

    And more.
    """


def bare(x, y=None):  # type: ignore[no-untyped-def]  # as a user may write it
    return x, y


def test_each_parameter_is_told() -> None:
    signature = signature_of("name", every_kind)
    assert (signature.name, signature.about) == ("name", "One line about it.")
    assert signature.parameters == (
        Parameter("a", "positional", True, "int"),
        Parameter("b", "positional", True, "float"),
        Parameter("rest", "variadic", True, "collections.abc.Sequence[str]"),
        Parameter("c", "keyword", True, "bool"),
        Parameter("d", "keyword", False, "str"),
        Parameter("more", "keywords", True, "object"),
    )


def test_a_function_without_annotations_or_docstring() -> None:
    signature = signature_of("bare", bare)
    assert signature.parameters == (Parameter("x", "positional", True, ""), Parameter("y", "positional", False, ""))
    assert signature.about == ""


def test_a_long_docstring_is_cut() -> None:
    def wordy() -> None: ...

    wordy.__doc__ = "x" * 10_000
    assert len(signature_of("wordy", wordy).about) == ABOUT_LIMIT


def test_functions_written_in_c() -> None:
    assert [p.name for p in signature_of("divmod", divmod).parameters] == ["x", "y"]
