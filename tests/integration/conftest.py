"""What tests of the whole queue share: a client, the notes that tasks leave, a proxy before Redis, figures."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from _yadtq.errors import RedisRestarted
from _yadtq.records import task_of
from _yadtq.settings import Settings
from _yadtq.store import Store
from tests.support.notes import Notes
from tests.support.proxy import RedisProxy
from tests.support.waiting import eventually
from yadtq import Task, TaskClient

RECORDED = ("--tasks", "tests.support.task_modules.recorded")
MISBEHAVING = ("--tasks", "tests.support.task_modules.misbehaving,tests.support.task_modules.recorded")

Wait = Callable[..., list[Task]]
Figure = Callable[[str], None]


@pytest.fixture
def client(settings: Settings) -> Iterator[TaskClient]:
    """A client of this test's queue."""
    with TaskClient(settings) as opened:
        yield opened


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    """What this test's tasks write down about themselves."""
    return Notes(tmp_path / "notes")


@pytest.fixture
def proxy(redis_address: tuple[str, int]) -> Iterator[RedisProxy]:
    """A proxy before this run's Redis: give its host and port to the program that shall suffer."""
    with RedisProxy(redis_address) as opened:
        yield opened


@pytest.fixture
def all_ended(settings: Settings) -> Iterator[Wait]:
    """all_ended(ids, seconds=30): waits until all these tasks have ended, and returns them in the order of the ids."""
    store = Store(settings)

    def wait(ids: Iterable[str], seconds: float = 30.0) -> list[Task]:
        wanted = list(ids)

        def ended() -> list[Task]:
            try:
                records = store.records(wanted)
            except RedisRestarted as error:
                raise AssertionError(error) from error  # not yet
            missing = [task_id for task_id, record in zip(wanted, records, strict=True) if not record]
            assert not missing, f"{len(missing)} of {len(wanted)} do not exist: {missing[:5]}"
            tasks = [task_of(task_id, record) for task_id, record in zip(wanted, records, strict=True)]
            waiting = [f"{t.id} {t.status} attempt {t.attempt}" for t in tasks if not t.ended]
            assert not waiting, f"{len(waiting)} of {len(wanted)} have not ended: {waiting[:5]}"
            return tasks

        return eventually(ended, seconds, "the end of all tasks")

    yield wait
    store.close()


@pytest.fixture
def figure(capsys: pytest.CaptureFixture[str]) -> Figure:
    """figure(text): shows a measured figure in the run's output."""

    def show(text: str) -> None:
        with capsys.disabled():
            print(f"\n    {text}", flush=True)

    return show
