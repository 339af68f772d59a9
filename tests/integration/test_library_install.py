"""`pip install .`: the library alone, in an environment of its own."""

import os
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

from _yadtq.scripts import LUA
from tests.support.servers import ROOT

SOURCES = ("pyproject.toml", "README.md", "yadtq.py", "_yadtq")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment that has the library, and what it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("library")
    sources = folder / "sources"  # pip leaves its traces here, not in the checkout
    sources.mkdir()
    for name in SOURCES:
        place = ROOT / name
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(place, sources / name, ignore=ignored) if place.is_dir() else shutil.copy(place, sources)
    venv.create(folder / "venv", with_pip=True)
    found = folder / "venv" / "bin" / "python"
    pip = [str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(sources)]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    return found


def run(python: Path, *arguments: str, folder: Path) -> str:
    """What the interpreter prints, run outside of the checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(python), *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_only_the_library_is_installed(python: Path) -> None:
    (packages,) = python.parent.parent.glob("lib/*/site-packages")
    ours = {path.name for path in packages.iterdir() if "yadtq" in path.name and path.suffix != ".dist-info"}
    assert ours == {"yadtq.py", "_yadtq"}
    assert not [name for name in ("tasks.py", "client.py", "worker.py", "shell", "local") if (packages / name).exists()]
    installed = {path.name for path in (packages / "_yadtq" / "lua").iterdir()}
    assert installed == {path.name for path in LUA.glob("*.lua")}
    assert (packages / "_yadtq" / "py.typed").is_file()


def test_it_imports_and_has_everything_it_needs(python: Path, tmp_path: Path) -> None:
    code = (
        "import yadtq, _yadtq.scripts, _yadtq.broker, sys;"
        "_yadtq.scripts.script('take'); yadtq.create_yadtq(); yadtq.TaskClient().close();"
        "print(*[name for name in yadtq.__all__ if not hasattr(yadtq, name)])"
    )
    assert run(python, "-c", code, folder=tmp_path) == "\n"


def test_it_is_a_worker_program(python: Path, tmp_path: Path) -> None:
    shown = run(python, "-m", "yadtq", "--help", folder=tmp_path)
    assert "--kafka-broker" in shown
    assert "--tasks" in shown
