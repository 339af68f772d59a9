"""The layout of the code: who may import whom, how long things may be, and what an import may cost."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from _yadtq.settings import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("_yadtq", "shell", "dashboard", "local", "tests", "examples", "benchmarks", "scripts")
# They stand outside: programs of other people, and what watches over ours.
OUTSIDE = ("tests/", "examples/", "benchmarks/", "scripts/")
PROGRAMS = frozenset({"client", "worker", "server", "manager", "logger", "monitor", "start"})

# The mechanics from the floor up; none reaches one that stands above it, also not through others.
LAYERS = (
    {"clock", "errors"},
    {"states", "settings", "keys"},
    {"messages"},
    {"store", "broker", "pool"},
    {"relay"},
)
STRANGERS = ("store", "broker", "pool")  # none of them knows another one
# Who may import a package that costs 0.14 s and more.
COSTLY = {
    "redis": ("_yadtq/scripts.py",),
    "kafka": ("_yadtq/broker.py", "_yadtq/publisher.py", "_yadtq/consumer.py", "_yadtq/event_log.py"),
    "tabulate": ("shell/render.py",),
    "prompt_toolkit": ("shell/", "dashboard/"),
    "prometheus_client": ("_yadtq/metrics.py",),
    "starlette": ("server.py", "dashboard/web/"),
    "uvicorn": ("server.py", "dashboard/web/"),
}
MOST_LINES = {"yadtq.py": 600}
MOST_FILE_LINES, MOST_FUNCTION_LINES, MOST_PARAMETERS = 400, 40, 5


def sources() -> list[str]:
    found = list(ROOT.glob("*.py"))
    for folder in FOLDERS:
        found += (ROOT / folder).rglob("*.py")
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


@cache
def tree(source: str) -> ast.Module:
    return ast.parse((ROOT / source).read_text(encoding="utf-8"), source)


def imports(source: str) -> Iterator[str]:
    """Dotted names that a file imports; `from a import b` gives a and a.b, a relative import begins with a dot."""
    for node in ast.walk(tree(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def packages(source: str) -> set[str]:
    return {name.partition(".")[0] for name in imports(source)}


@cache
def reached(module: str) -> frozenset[str]:
    """The modules of _yadtq that one of them imports, directly or through others. RecursionError: a circle."""
    names = {name.split(".")[1] for name in imports(f"_yadtq/{module}.py") if name.startswith("_yadtq.")}
    direct = {name for name in names if (ROOT / "_yadtq" / f"{name}.py").exists()}
    return frozenset(direct.union(*(reached(name) for name in direct)))


MECHANICS = [Path(source).stem for source in sources() if source.startswith("_yadtq/")]


@pytest.mark.parametrize("source", sources())
def test_imports_are_absolute(source: str) -> None:
    assert not [name for name in imports(source) if name.startswith(".")]


@pytest.mark.parametrize("module", MECHANICS)
def test_the_mechanics_know_only_each_other(module: str) -> None:
    ours = {"yadtq", "tasks", "shell", "dashboard", "local", "tests"} | PROGRAMS
    assert not packages(f"_yadtq/{module}.py") & ours


@pytest.mark.parametrize("module", MECHANICS)
def test_the_mechanics_import_downwards(module: str) -> None:
    layer = next((number for number, names in enumerate(LAYERS) if module in names), len(LAYERS))
    above = set().union(*LAYERS[layer + 1 :])
    assert module not in reached(module)
    assert not reached(module) & above


@pytest.mark.parametrize("module", STRANGERS)
def test_store_broker_and_pool_do_not_know_each_other(module: str) -> None:
    assert not reached(module) & set(STRANGERS) - {module}


@pytest.mark.parametrize("source", sources())
def test_only_yadtq_knows_the_mechanics(source: str) -> None:
    if source != "yadtq.py" and not source.startswith(("_yadtq/", "tests/")):
        assert "_yadtq" not in packages(source)


@pytest.mark.parametrize("source", sources())
def test_programs_are_run_and_never_imported(source: str) -> None:
    if not source.startswith("tests/"):
        assert not packages(source) & PROGRAMS


@pytest.mark.parametrize("package", COSTLY)
def test_a_costly_package_is_imported_where_it_belongs(package: str) -> None:
    users = [source for source in sources() if package in packages(source) and not source.startswith(OUTSIDE)]
    assert not [user for user in users if not user.startswith(COSTLY[package])]


@pytest.mark.parametrize("module", ["yadtq", "_yadtq.child"])
def test_an_import_loads_no_costly_package(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(sys.modules.keys() & {set(COSTLY)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("source", sources())
def test_only_the_table_of_settings_reads_settings(source: str) -> None:
    variables = {variable for setting in SETTINGS for variable in setting.variables}
    if source != "_yadtq/settings.py" and not source.startswith("tests/"):
        assert not variables & set(environment_reads(source))


def environment_reads(source: str) -> Iterator[str]:
    """The names of environment variables that a file reads by a literal name."""
    for node in ast.walk(tree(source)):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            target, key = node.value, node.slice
        elif isinstance(node, ast.Call) and node.args:
            target, key = node.func, node.args[0]
        else:
            continue
        if isinstance(key, ast.Constant) and ast.unparse(target) in {"os.environ", "os.environ.get", "os.getenv"}:
            yield str(key.value)


def test_nothing_hides_a_module() -> None:
    assert not (ROOT / "yadtq").exists()
    assert not {path.stem for path in ROOT.glob("*.py")} & sys.stdlib_module_names


@pytest.mark.parametrize("source", sources())
def test_what_is_written_is_short(source: str) -> None:
    lines = (ROOT / source).read_text(encoding="utf-8").count("\n")
    assert lines <= MOST_LINES.get(source, MOST_FILE_LINES)
    for node in ast.walk(tree(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        assert (node.end_lineno or 0) - node.lineno < MOST_FUNCTION_LINES, f"{node.name} is too long"
        if node.name == "__init__":
            given = len(node.args.posonlyargs) + len(node.args.args) + len(node.args.kwonlyargs) - 1
            assert given <= MOST_PARAMETERS, f"the constructor at line {node.lineno} takes too many parameters"
