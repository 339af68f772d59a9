"""What the shell knows without asking, and the lines about tasks that have ended."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from shell.live import ASKING, DOWN, WORKS, Live, Refresher, kafka_now, queue_now, signatures_of
from shell.notices import Notices
from shell.session import OwnTasks
from tests.support.memory_client import MemoryClient, worker
from tests.support.waiting import eventually
from yadtq import Failure, ServerUnreachable, UsageError


@pytest.fixture
def client() -> MemoryClient:
    return MemoryClient()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("shell.live.INTERVAL", 0.01),
        ("shell.live.SLOWEST", 0.02),
        ("shell.notices.IDLE_SECONDS", 0.01),
        ("shell.notices.LOOK_SECONDS", 0.01),
        ("shell.notices.FIRST_PAUSE", 0.01),
    ):
        monkeypatch.setattr(name, value)


@pytest.fixture
def refresher(client: MemoryClient) -> Iterator[Refresher]:
    started = Refresher(client)
    yield started
    started.close()


def test_a_look_at_the_queue(client: MemoryClient) -> None:
    client.submit("add", 2, 3)
    client.known_workers = [worker(), worker("gone", state="offline")]
    live = Live(**queue_now(client, Live()))
    assert live.counts["queued"] == 1
    assert (live.redis, live.workers_up) == (WORKS, 1)
    assert live.recent == (("00000000", "add 2 3 · queued"),)
    assert "div" in live.signatures


def test_records_are_read_again_only_when_something_has_happened(
    client: MemoryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.submit("add", 1)
    before = Live(**queue_now(client, Live()))
    monkeypatch.setattr(client, "list", lambda **_: [])
    client.put(replace(client.all()[0], args=[3]))
    assert queue_now(client, before)["recent"] == before.recent != ()
    client.submit("add", 1)
    assert queue_now(client, before)["recent"] == ()


def test_a_server_that_is_away_is_said_in_words(client: MemoryClient) -> None:
    client.down = {"redis"}
    live = Live(**queue_now(client, Live(counts={"queued": 1}, workers=(worker(),))))
    assert (live.redis, live.counts, live.workers) == (DOWN, {}, ())
    assert "redis does not answer" in live.trouble
    assert kafka_now(client, live)["kafka"] == WORKS
    client.down = {"kafka"}
    assert kafka_now(client, live) == {"kafka": DOWN, "kafka_trouble": "kafka does not answer"}


@pytest.mark.parametrize("error", [UsageError("trouble"), ServerUnreachable("kafka", "trouble")])
def test_an_error_of_another_kind_is_not_called_unreachable(
    client: MemoryClient, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse() -> None:
        raise error

    monkeypatch.setattr(client, "counts", refuse)
    live = Live(**queue_now(client, Live()))
    assert (live.redis, live.trouble) == (WORKS, "trouble")


def test_tasks_of_workers_replace_those_that_come_with_it() -> None:
    assert "slow_task" in signatures_of(())
    assert "slow_task" in signatures_of((worker(tasks=()),))
    assert "slow_task" not in signatures_of((worker(),))


def test_live_follows_the_queue_and_recovers_by_itself(client: MemoryClient, refresher: Refresher) -> None:
    changes = threading.Event()
    refresher.changed = changes.set
    client.down = {"kafka", "redis"}
    assert (refresher.live.kafka, refresher.live.redis) == (ASKING, ASKING)
    refresher.start()
    eventually(lambda: (refresher.live.kafka, refresher.live.redis) == (DOWN, DOWN))
    eventually(changes.is_set)
    client.down = {"kafka"}
    eventually(lambda: refresher.live.redis == WORKS)
    assert refresher.live.kafka == DOWN
    client.down = set()
    client.submit("add", 1)
    eventually(lambda: (refresher.live.kafka, refresher.live.counts.get("queued")) == (WORKS, 1))


def test_a_mistake_of_ours_does_not_end_the_threads(
    client: MemoryClient, refresher: Refresher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("somewhere")

    with monkeypatch.context() as patch:
        patch.setattr(client, "counts", broken)
        refresher.start()
        eventually(lambda: "ZeroDivisionError: somewhere" in refresher.live.trouble)
    eventually(lambda: refresher.live.redis == WORKS and not refresher.live.trouble)
    assert "unforeseen" in caplog.text


class Watched:
    """Notices of some tasks, collected as they arrive."""

    def __init__(self, client: MemoryClient) -> None:
        self.own = OwnTasks()
        self.arrived = threading.Semaphore(0)
        self.notices = Notices(client, self.own, self.arrived.release)

    def next(self) -> str:
        assert self.arrived.acquire(timeout=20)
        [line] = self.notices.collect()
        return line.text


@pytest.fixture
def watched(client: MemoryClient) -> Iterator[Watched]:
    watched = Watched(client)
    watched.notices.start()
    yield watched
    watched.notices.close()


def test_a_line_comes_when_an_own_task_ends(client: MemoryClient, watched: Watched) -> None:
    slow, quick = client.submit("sleep", 5), client.submit("add", 2, 3)
    client.end(client.submit("add", 4, 5), 9)  # somebody else's
    watched.own.add(slow)
    watched.own.add(quick)
    client.end(quick, 5)
    assert watched.next() == "00000001  completed  add 2 3 = 5  (250 ms, worker1)"
    client.end(slow, error=Failure("TimeLimitExceeded", "took too long\x1b"))
    assert watched.next().startswith("00000000  failed  sleep 5 · TimeLimitExceeded: took too long")
    assert not watched.own.running()


def test_a_task_that_was_reset_is_not_watched_for_ever(client: MemoryClient, watched: Watched) -> None:
    kept, gone = client.submit("add", 1), client.submit("add", 2)
    task = client.get_result(kept)
    client.reset()
    client.put(task)
    watched.own.add(kept)
    watched.own.add(gone)
    assert watched.next() == "00000001  is gone: the queue was reset"
    client.end(kept, 1)
    assert "00000000  completed" in watched.next()


def test_notices_come_back_with_the_server(client: MemoryClient, watched: Watched) -> None:
    task_id = client.submit("add", 1)
    client.down = {"redis"}
    watched.own.add(task_id)
    client.end(task_id, 1)
    assert not watched.arrived.acquire(timeout=0.05)
    client.down = set()
    assert "completed" in watched.next()


def test_notices_survive_a_mistake_of_ours(
    client: MemoryClient, watched: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(ids: set[str], timeout: float) -> None:
        raise ZeroDivisionError("somewhere")

    task_id = client.submit("add", 1)
    client.end(task_id, 1)
    with monkeypatch.context() as patch:
        patch.setattr(client, "wait_any", broken)
        watched.own.add(task_id)
        eventually(lambda: "unforeseen" in caplog.text)
    assert "completed" in watched.next()


def test_what_wait_has_shown_is_not_said_twice() -> None:
    own = OwnTasks()
    own.add("a")
    assert own.forget("a") is True
    assert own.forget("a") is False
    assert own.last == "a"
