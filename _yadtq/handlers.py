"""Task functions and how a child process finds them again: by the name of their module and their name in it."""

import importlib
import math
import runpy
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from _yadtq import context
from _yadtq.errors import BadHandler, NotInMain

MAIN = "__main__"
# The name that the user's own script sees as __name__ in a child.
CHILD_MAIN = "__yadtq_main__"


@dataclass(frozen=True, slots=True)
class Registered:
    """A function that is a task. time_limit: seconds; None: the worker's own; 0: none. exact: see `yadtq.task`."""

    function: Callable[..., Any]
    time_limit: float | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Handler:
    """A registered task; made by `handler_of`.

    time_limit: seconds; None: the worker's own; 0: none. exact: numbers with a point are Decimal in its arguments
    and allowed in its results.
    """

    name: str
    module: str
    qualname: str
    time_limit: float | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class MainScript:
    """How the parent's own script was started: `module` (python -m), or `path`. Both '' when there is none."""

    module: str = ""
    path: str = ""

    @classmethod
    def of_this_process(cls) -> "MainScript":
        main = sys.modules[MAIN]
        spec = getattr(main, "__spec__", None)
        if spec is not None and spec.name != MAIN:
            return cls(module=spec.name)
        path = getattr(main, "__file__", None)
        return cls(path=str(Path(path).absolute())) if path and Path(path).exists() else cls()

    def __str__(self) -> str:
        return self.path or self.module


def handler_of(
    name: str, function: Callable[..., Any], *, time_limit: float | None = None, exact: bool = False
) -> Handler:
    """Describes `function` so that a child can import it as the task `name`.

    Raises BadHandler, naming it, on a lambda, a closure, a method of an object, or anything else that has no name of
    its own at the top of an importable module. Whether the name leads back to it is seen when a pool starts.
    """
    problem = _problem(function)
    if problem:
        raise BadHandler(f"task {name!r} cannot run in a child process: {problem}; define it with def in a module")
    if time_limit is not None and not 0 <= time_limit < math.inf:
        raise BadHandler(f"task {name!r}: the time limit {time_limit!r} is no number of seconds from 0 (none) on")
    return Handler(name, function.__module__, function.__qualname__, time_limit, exact)


def _problem(function: Any) -> str:
    module, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    owner = getattr(function, "__self__", None)
    if not callable(function):
        return f"it is no function but a {type(function).__name__}"
    if not isinstance(module, str) or not isinstance(qualname, str):
        return f"a {type(function).__name__} object has no name that could be imported"
    if "<lambda>" in qualname:
        return f"{module}:{qualname} is a lambda"
    if "<locals>" in qualname:
        return f"{module}:{qualname} is defined inside a function"
    if owner is not None and not isinstance(owner, (type, ModuleType)):
        return f"{module}:{qualname} is a method of an object"
    if module == MAIN and not str(MainScript.of_this_process()):
        return f"{qualname} was typed at a prompt or given with -c, so there is no file to import it from"
    return ""


def load(handlers: list[Handler], main: MainScript) -> dict[str, Callable[..., Any]]:
    """Imports the handlers' modules in this child: task name → function.

    Raises NotInMain when the user's script starts a worker on import, BadHandler, in one line, on everything else.
    """
    found: dict[str, Callable[..., Any]] = {}
    for handler in handlers:
        if handler.module == MAIN and CHILD_MAIN not in sys.modules:
            _import(handler, str(main), partial(_run_main, main))
        module = _import(handler, handler.module, partial(importlib.import_module, handler.module))
        found[handler.name] = _attribute(handler, module)
    return found


def _import(handler: Handler, what: str, action: Callable[[], ModuleType]) -> ModuleType:
    context.set_importing(what)
    try:
        return action()
    except NotInMain:
        raise
    except BaseException as error:  # also SystemExit: a script that leaves while it is imported
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadHandler(f"task {handler.name!r}: {what} cannot be imported: {reason}{_place(error)}") from error
    finally:
        context.set_importing("")


def _place(error: BaseException) -> str:
    """Where an import failed: the last line of a file of the user's."""
    if isinstance(error, SyntaxError):
        return ""
    place, trace = "", error.__traceback__
    while trace:
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith("<frozen") and code.co_filename != __file__:
            place = f" ({code.co_filename}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return place


def _run_main(main: MainScript) -> ModuleType:
    """Runs the user's script under another name than __main__, and lets both names lead to it."""
    if main.module:
        names = runpy.run_module(main.module, run_name=CHILD_MAIN, alter_sys=True)
    else:
        names = runpy.run_path(main.path, run_name=CHILD_MAIN)
    module = ModuleType(CHILD_MAIN)
    module.__dict__.update(names)
    sys.modules[MAIN] = sys.modules[CHILD_MAIN] = module
    return module


def _attribute(handler: Handler, module: ModuleType) -> Callable[..., Any]:
    value: Any = module
    for part in handler.qualname.split("."):
        value = getattr(value, part, None)
    if not callable(value):
        raise BadHandler(
            f"task {handler.name!r}: {handler.module} has no function {handler.qualname}; "
            "define it at the top of the module, also when it is imported"
        )
    function: Callable[..., Any] = value
    return function


def import_modules(names: str) -> None:
    """Imports modules of tasks in this process. names: comma-separated. Raises BadHandler, in one line."""
    for name in filter(None, map(str.strip, names.split(","))):
        try:
            importlib.import_module(name)
        except NotInMain:
            raise
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise BadHandler(f"the module of tasks {name} cannot be imported: {reason}{_place(error)}") from error


def described(handlers: Mapping[str, Handler]) -> list[tuple[str, str, str, bool]]:
    """The handlers as a child is told of them, in JSON's terms."""
    return [(each.name, each.module, each.qualname, each.exact) for each in handlers.values()]
