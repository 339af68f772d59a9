"""Which functions can be handlers, and what a start says when they cannot be imported."""

import functools
import queue
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from _yadtq.children import MOST_KILLED
from _yadtq.errors import BadHandler
from _yadtq.handlers import Handler, handler_of
from _yadtq.jobs import PoolMessage, Printed
from _yadtq.pool import Pool
from tests.support import pool_tasks
from tests.support.pools import into

ROOT = Path(__file__).resolve().parents[2]


class Tool:
    """Has handlers of all kinds."""

    def method(self) -> None: ...

    @staticmethod
    def plain() -> None: ...

    @classmethod
    def of_class(cls) -> None: ...

    def __call__(self) -> None: ...


def local() -> Callable[[], None]:
    def inner() -> None: ...

    return inner


@pytest.mark.parametrize(
    ("function", "part"),
    [
        (lambda: None, "<lambda> is a lambda"),
        (local(), "local.<locals>.inner is defined inside a function"),
        (functools.partial(pool_tasks.add, 1), "a partial object has no name"),
        (Tool().method, "Tool.method is a method of an object"),
        (Tool(), "a Tool object has no name"),
        (5, "it is no function but a int"),
    ],
)
def test_what_a_child_cannot_import_is_refused_by_name(function: Any, part: str) -> None:
    with pytest.raises(BadHandler, match="task 'mine' cannot run") as caught:
        handler_of("mine", function)
    assert part in str(caught.value)


@pytest.mark.parametrize("function", [pool_tasks.add, Tool.plain, Tool.of_class, len])
def test_what_a_child_can_import_is_described(function: Callable[..., Any]) -> None:
    handler = handler_of("mine", function, time_limit=2.5, exact=True)
    assert handler == Handler("mine", function.__module__, function.__qualname__, 2.5, True)


@pytest.mark.parametrize("limit", [-1.0, float("nan"), float("inf")])
def test_a_time_limit_must_be_seconds(limit: float) -> None:
    with pytest.raises(BadHandler, match="time limit"):
        handler_of("mine", pool_tasks.add, time_limit=limit)


def start(handler: Handler) -> list[PoolMessage]:
    inbox: queue.Queue[PoolMessage] = queue.Queue()
    pool = Pool({handler.name: handler}, 3, into(inbox))
    try:
        pool.start()
    finally:
        pool.close()
    return list(inbox.queue)


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("def f(:", "SyntaxError"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("x = 1", "has no function f"),
        ("import os; os._exit(5)", "exited with code 5"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
    ],
)
def test_an_import_that_fails_is_one_line(
    source: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_tasks.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BadHandler) as caught:
        start(Handler("mine", "broken_tasks", "f"))
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


KILLED_WHILE_IMPORTED = """
import os, pathlib, signal
marks = pathlib.Path(__file__).with_name("marks")
with marks.open("a") as file:
    file.write("x")
if len(marks.read_text()) <= {times}:
    os.kill(os.getpid(), signal.SIGKILL)
def f():
    return None
"""


def test_a_child_that_is_killed_while_it_imports_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "killed_tasks.py").write_text(KILLED_WHILE_IMPORTED.format(times=2))
    monkeypatch.syspath_prepend(str(tmp_path))
    told = [message.line for message in start(Handler("mine", "killed_tasks", "f")) if isinstance(message, Printed)]
    assert told == ["the process that imports the tasks was killed by SIGKILL; it is started again"] * 2


def test_children_that_are_always_killed_while_they_import_end_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "killed_tasks.py").write_text(KILLED_WHILE_IMPORTED.format(times=999))
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BadHandler, match="the process that imports the tasks was killed by SIGKILL"):
        start(Handler("mine", "killed_tasks", "f"))
    assert len((tmp_path / "marks").read_text()) == MOST_KILLED


def test_a_module_that_does_not_exist_is_named() -> None:
    with pytest.raises(BadHandler, match="task 'mine': nowhere_tasks cannot be imported"):
        start(Handler("mine", "nowhere_tasks", "f"))


SCRIPT = """
import queue, sys, time
from _yadtq import context
from _yadtq.errors import YadtqError
from _yadtq.handlers import handler_of
from _yadtq.jobs import Ended, Job
from _yadtq.pool import Pool

def double(x):
    return x * 2

def work():
    context.refuse_while_importing()
    inbox = queue.Queue()
    pool = Pool({"double": handler_of("double", double)}, 2, lambda messages: [inbox.put(each) for each in messages])
    try:
        pool.start()
        pool.confirm(time.clock_gettime(time.CLOCK_BOOTTIME) + 60)
        pool.submit([Job("c", "t", "double", "[21]", "{}", 1)])
        print("result", inbox.get(timeout=30).result, sys.argv[1:])
    except YadtqError as error:
        print(type(error).__name__, error)
    finally:
        pool.close()
"""
MAIN_LINE = "if __name__ == '__main__':\n    work()\n"


def run(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


def test_handlers_in_the_users_own_script_run(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT + MAIN_LINE)
    assert run("script.py", "given", cwd=tmp_path) == "result 42 ['given']\n"
    assert run("-m", "script", cwd=tmp_path) == "result 42 []\n"


def test_handlers_in_the_main_module_of_a_package_run(tmp_path: Path) -> None:
    package = tmp_path / "parcel"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(SCRIPT + MAIN_LINE)
    assert run("-m", "parcel", cwd=tmp_path) == "result 42 []\n"
    assert run("parcel", cwd=tmp_path) == "result 42 []\n"


@pytest.mark.parametrize("how", [["script.py"], ["-m", "script"]])
def test_a_script_without_the_main_line_gets_one_clear_line(how: list[str], tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT + "work()\n")
    output = run(*how, cwd=tmp_path)
    assert output.count("\n") == 1
    assert output.startswith("NotInMain ")
    assert "script" in output
    assert 'if __name__ == "__main__":' in output


def test_handlers_given_with_c_are_refused(tmp_path: Path) -> None:
    code = textwrap.dedent("""
        from _yadtq.errors import BadHandler
        from _yadtq.handlers import handler_of
        def f(): pass
        try:
            handler_of("f", f)
        except BadHandler as error:
            print(error)
    """)
    assert "given with -c" in run("-c", code, cwd=tmp_path)
