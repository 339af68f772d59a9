"""The thread that keeps the monitor's picture up to date, and the page that asks it."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from dashboard import source as source_module
from dashboard.picture import Picture, Selection, Wanted
from dashboard.source import Rates, Source
from dashboard.terminal import Page, application
from dashboard.view import Filters
from tests.support.memory_operator import MemoryOperator
from tests.support.queue_pictures import NOW, SMALL, snapshot, worker
from tests.support.waiting import eventually
from yadtq import Snapshot, Task


@pytest.fixture
def operator() -> MemoryOperator:
    made = MemoryOperator()
    for number in range(5):
        made.memory.submit("add", number, 1, task_id=f"task{number}")
    return made


@pytest.fixture
def source(operator: MemoryOperator) -> Source:
    """A source whose thread does not run: a test calls `look`."""
    return Source(operator, "yadtq", lambda: None)


@pytest.fixture
def running(operator: MemoryOperator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    monkeypatch.setattr(source_module, "INTERVAL", 0.02)
    monkeypatch.setattr(source_module, "SLOWEST", 0.05)
    made = Source(operator, "yadtq", lambda: None)
    made.start()
    yield made
    made.close()


ALL = Selection(10)


def fetched(picture: Picture, selection: Selection) -> tuple[Task, ...]:
    """The tasks of a selection, () when it was not fetched."""
    page = picture.pages.get(selection)
    return page.tasks if page else ()


def test_a_look_brings_the_snapshot_and_what_is_wanted(source: Source) -> None:
    source.want(Wanted((ALL, Selection(2, status="queued", oldest=True)), "task3"))
    assert source.look()
    picture = source.picture
    assert picture.snapshot is not None
    assert len(fetched(picture, ALL)) == 5
    assert [task.id for task in fetched(picture, Selection(2, status="queued", oldest=True))] == ["task0", "task1"]
    assert fetched(picture, Selection(99)) == ()
    assert picture.task is not None
    assert picture.task.id == "task3"
    assert (picture.queue, picture.trouble, len(picture.moments)) == ("yadtq", "", 1)


def test_nothing_is_asked_before_it_is_due(source: Source, operator: MemoryOperator) -> None:
    source.look()
    assert not source.look()
    assert operator.asked["snapshot"] == 1


def test_what_is_newly_wanted_is_fetched_at_once_without_a_snapshot(source: Source, operator: MemoryOperator) -> None:
    source.look()
    source.want(Wanted((ALL,)))
    assert source.look()
    assert len(fetched(source.picture, ALL)) == 5
    assert operator.asked["snapshot"] == 1


def test_only_bounded_pages_are_asked_for(source: Source, operator: MemoryOperator) -> None:
    source.want(Wanted((Selection(3),)))
    source.look()
    assert len(fetched(source.picture, Selection(3))) == 3
    assert operator.asked == {"snapshot": 1, "page": 1}


def test_a_task_that_is_gone_is_no_trouble(source: Source) -> None:
    source.want(Wanted(task_id="gone"))
    source.look()
    assert source.picture.task is None
    assert "gone" in source.picture.task_problem
    assert source.picture.trouble == ""


def test_the_last_picture_stays_while_a_server_is_away(running: Source, operator: MemoryOperator) -> None:
    running.want(Wanted((ALL,)))
    eventually(lambda: len(fetched(running.picture, ALL)) == 5)
    operator.memory.down.add("redis")
    eventually(lambda: running.picture.trouble)
    old = running.picture
    assert old.away
    assert old.snapshot is not None
    assert len(fetched(old, ALL)) == 5
    operator.memory.down.clear()
    eventually(lambda: not running.picture.trouble)
    assert running.picture.read_at > old.read_at
    assert not running.picture.away


def test_pauses_grow_while_a_server_is_away(
    source: Source, operator: MemoryOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.memory.down.add("redis")
    instant = 0.0
    monkeypatch.setattr("dashboard.source.time.monotonic", lambda: instant)
    due = []
    for _ in range(5):
        source.look()
        due.append(source._due_at - instant)
        instant = source._due_at
    assert due == [2.0, 4.0, 5.0, 5.0, 5.0]
    operator.memory.down.clear()
    source.look()
    assert source._due_at - instant == source_module.INTERVAL


def test_a_mistake_of_ours_is_said_and_does_not_end_the_thread(
    running: Source, operator: MemoryOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(operator, "snapshot", lambda **_: 1 / 0)
        eventually(lambda: "ZeroDivisionError" in running.picture.trouble)
    eventually(lambda: running.picture.trouble == "" and running.picture.snapshot)


def test_a_look_that_took_long_is_not_taken_again_at_once(
    source: Source, operator: MemoryOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    instant = 0.0
    monkeypatch.setattr("dashboard.source.time.monotonic", lambda: instant)

    def slow(**_: object) -> Snapshot:
        nonlocal instant
        instant += 2.0
        return snapshot()

    monkeypatch.setattr(operator, "snapshot", slow)
    source.look()
    assert source._due_at == 2.0 + 2 * 2.0


def test_while_it_is_paused_only_new_pages_are_fetched(running: Source, operator: MemoryOperator) -> None:
    eventually(lambda: running.picture.snapshot)
    running.pause(True)
    settled = Wanted((Selection(1),))
    running.want(settled)
    eventually(lambda: fetched(running.picture, Selection(1)))
    stood, asked = running.picture.snapshot, operator.asked["snapshot"]
    running.want(Wanted((ALL,)))
    eventually(lambda: len(fetched(running.picture, ALL)) == 5)
    assert running.picture.snapshot is stood
    assert operator.asked["snapshot"] == asked
    running.pause(False)
    eventually(lambda: running.picture.snapshot is not stood)


def test_waiting_ages_are_remembered_for_an_hour(
    source: Source, operator: MemoryOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, instants = snapshot(), iter(range(1, 4000))
    monkeypatch.setattr(operator, "snapshot", lambda **_: replace(now, at=NOW + next(instants) * 10))
    for _ in range(370):
        source._due_at = 0.0
        source.look()
    moments = source.picture.moments
    assert len(moments) == 361
    assert moments[-1].at - moments[0].at == 3600


def test_a_clock_that_went_back_leaves_no_moments_in_the_future(
    source: Source, operator: MemoryOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in (NOW, NOW + 10, NOW + 5):
        monkeypatch.setattr(operator, "snapshot", partial(at_instant, at))
        source._due_at = 0.0
        source.look()
    assert [moment.at for moment in source.picture.moments] == [NOW, NOW + 5]


def at_instant(at: float, **_: object) -> Snapshot:
    return replace(snapshot(), at=at)


def executed(**workers: int) -> Snapshot:
    return snapshot(workers=tuple(worker(name, tasks_executed=count) for name, count in workers.items()))


def test_rates_are_measured_over_the_last_seconds() -> None:
    rates = Rates()
    rates.note(0, executed(a=0))
    assert rates.now() == {}
    for second in range(1, 31):
        rates.note(second, executed(a=second * 5, b=7))
    assert rates.now() == {"a~abcdefgh": 5.0, "b~abcdefgh": 0.0}
    rates.note(31, executed(a=0, c=3))  # it was reset by hand, and another one is new
    assert rates.now() == {"a~abcdefgh": 0.0}


# -- the page


@pytest.fixture
def page(operator: MemoryOperator) -> Page:
    source = Source(operator, "yadtq", lambda: None)
    made = Page(source, lambda: SMALL)
    made.draw()
    source.look()
    return made


def test_a_key_is_about_what_the_keys_before_it_lead_to(page: Page) -> None:
    """Also when nothing was drawn between them: the section is another one, and its tasks are not there yet."""
    page.press("2")
    page.press("enter")
    opened = page.view.opened
    page._source.look()
    page.press("enter")
    assert [*opened, *page.view.opened] == [("task", "task4")]


def test_keys_and_pastes_reach_the_view(operator: MemoryOperator) -> None:
    source = Source(operator, "yadtq", lambda: None)
    page = Page(source, lambda: SMALL)
    with create_pipe_input() as keys, create_app_session(keys, DummyOutput()):
        app = application(page)
        typed(keys, "/task", "\x1b[200~4\x1b[201~", "\r", "p", "q")
        app.run()
    assert page.view.filters == Filters(prefix="task4")
    assert page.view.section == "Tasks"
    assert page.view.paused
    assert page.view.leaving


def test_escape_and_ctrl_c(operator: MemoryOperator) -> None:
    page = Page(Source(operator, "yadtq", lambda: None), lambda: SMALL)
    with create_pipe_input() as keys, create_app_session(keys, DummyOutput()):
        app = application(page)
        typed(keys, "n", "abc", "\x03", "s", "\x03")
        app.run()
    assert (page.view.typing, page.view.filters, page.view.leaving) == ("", Filters(), True)


def typed(keys: PipeInput, *words: str) -> None:
    for word in words:
        keys.send_text(word)


def test_every_fragment_has_a_style_that_exists(page: Page) -> None:
    known = {f"class:{name}" for name in ("title", "dim", "good", "warm", "cold", "bad", "tab", "here", "cursor")}
    used = {name for style, *_ in page.fragments() for name in style.split()}
    assert used <= known
