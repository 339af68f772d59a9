"""What a task's function takes: read by inspect, published by workers, checked by the shell."""

import inspect
from collections.abc import Callable
from typing import Any

from _yadtq.records import Parameter, Signature

KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: "positional",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "positional",
    inspect.Parameter.VAR_POSITIONAL: "variadic",
    inspect.Parameter.KEYWORD_ONLY: "keyword",
    inspect.Parameter.VAR_KEYWORD: "keywords",
}
ABOUT_LIMIT = 200  # characters


def signature_of(name: str, function: Callable[..., Any]) -> Signature:
    """What a worker publishes about the task `name`."""
    parameters = tuple(
        Parameter(p.name, KINDS[p.kind], p.default is p.empty, _annotation(p.annotation))
        for p in inspect.signature(function).parameters.values()
    )
    lines = (inspect.getdoc(function) or "").splitlines()
    return Signature(name, parameters, lines[0][:ABOUT_LIMIT] if lines else "")


def _annotation(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
