"""A script has run, and its caller never hears of it: every task ends once, and none is stranded."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from _yadtq.settings import Settings
from tests.conftest import StartWorker
from tests.integration.conftest import RECORDED, Wait
from tests.support.notes import Notes
from tests.support.proxy import RedisProxy
from tests.support.waiting import eventually
from yadtq import Call, ServerUnreachable, SubmissionRefused, SubmissionUnknown, TaskClient, TaskNotFound

GIVES_UP = 3  # so many lost replies in a row, and redis-py tells its caller


@pytest.fixture
def far_client(settings: Settings, proxy: RedisProxy) -> Iterator[TaskClient]:
    """A client that speaks to Redis through the proxy."""
    with TaskClient(replace(settings, redis_port=proxy.port)) as opened:
        opened.counts()  # it has begun the queue
        yield opened


@pytest.mark.parametrize(
    ("times", "silently"),
    [
        pytest.param(1, False, id="cut once"),
        pytest.param(GIVES_UP, False, id="cut until the caller gives up"),
        pytest.param(1, True, id="silence"),
    ],
)
def test_the_replies_of_a_worker(
    times: int,
    silently: bool,
    client: TaskClient,
    proxy: RedisProxy,
    worker_process: StartWorker,
    notes: Notes,
    all_ended: Wait,
) -> None:
    worker = worker_process(*RECORDED, redis_port=proxy.port, worker_timeout=30)
    all_ended([client.submit("note", notes.path)])
    for name, nth in (("take", 4), ("settle", 3), ("beat", 1)):
        proxy.swallow(name, nth, times, silently=silently)

    tasks = all_ended(client.submit_many([Call("note", (notes.path, 0.02))] * 200))
    eventually(lambda: not proxy.pending())

    assert Counter(proxy.swallowed) == {"take": times, "settle": times, "beat": times}
    assert {(task.status, task.attempt, task.history) for task in tasks} == {("success", 1, ())}
    assert Counter(notes.starts().values()) == {1: 201}
    assert client.counts()["processing"] == 0
    assert worker.process.poll() is None
    assert {other.id for other in client.workers()} == {client.workers()[0].id}


def test_replies_of_workers_that_are_lost_all_the_time(
    client: TaskClient, proxy: RedisProxy, worker_process: StartWorker, notes: Notes, all_ended: Wait
) -> None:
    for _ in range(2):
        worker_process(*RECORDED, redis_port=proxy.port, worker_timeout=30)
    eventually(lambda: len(client.workers()) == 2)
    proxy.swallow("take", 3, rounds=50)
    proxy.swallow("settle", 2, rounds=50)
    proxy.swallow("beat", 2, rounds=50)
    tasks = all_ended(client.submit_many([Call("note", (notes.path, 0.01))] * 300), 40)
    assert len(proxy.swallowed) > 20
    assert {(task.status, task.attempt, task.history) for task in tasks} == {("success", 1, ())}
    assert Counter(notes.starts().values()) == {1: 300}


def test_the_reply_of_register_is_lost_once(
    far_client: TaskClient, proxy: RedisProxy, worker_process: StartWorker, notes: Notes, all_ended: Wait
) -> None:
    worker_process(*RECORDED)
    ids = [far_client.submit("note", notes.path)]
    proxy.swallow("register")
    ids += [far_client.submit("note", notes.path)]
    proxy.swallow("register")
    ids += far_client.submit_many([Call("note", (notes.path,))] * 50)
    tasks = all_ended(ids)
    assert proxy.swallowed == ["register"] * 2
    assert {task.status for task in tasks} == {"success"}
    assert far_client.counts() | {"success": 52, "queued": 0} == far_client.counts()
    assert notes.starts() == Counter(ids)


def test_a_register_whose_caller_gave_up_is_refused_and_never_runs(
    far_client: TaskClient, proxy: RedisProxy, worker_process: StartWorker, notes: Notes, all_ended: Wait
) -> None:
    worker_process(*RECORDED)
    far_client.submit("note", notes.path)
    proxy.swallow("register", times=GIVES_UP)
    with pytest.raises(SubmissionRefused) as refused:
        far_client.submit("note", notes.path)
    with pytest.raises(TaskNotFound):
        far_client.get_result(refused.value.task_id)
    all_ended([far_client.submit("note", notes.path)])
    assert notes.starts()[refused.value.task_id] == 0
    assert far_client.counts() | {"success": 2, "queued": 0} == far_client.counts()


def test_a_register_that_nobody_can_speak_of_is_the_same_task_when_it_is_submitted_again(
    far_client: TaskClient, proxy: RedisProxy, worker_process: StartWorker, notes: Notes, all_ended: Wait
) -> None:
    worker_process(*RECORDED)
    first = far_client.submit("note", notes.path)
    proxy.swallow("register", times=GIVES_UP)
    proxy.swallow("withdraw", times=GIVES_UP)
    with pytest.raises(SubmissionUnknown) as unknown:
        far_client.submit("note", notes.path)
    task_id = far_client.submit("note", notes.path, task_id=unknown.value.task_id)
    tasks = all_ended([first, task_id])
    assert {task.status for task in tasks} == {"success"}
    assert notes.starts() == Counter([first, task_id])


@pytest.mark.parametrize("times", [1, GIVES_UP])
def test_the_reply_of_reset_is_lost(
    times: int, far_client: TaskClient, proxy: RedisProxy, worker_process: StartWorker, notes: Notes, all_ended: Wait
) -> None:
    before = far_client.submit_many([Call("note", (notes.path,))] * 10)
    epoch = far_client.stats().epoch
    proxy.swallow("reset", times=times)
    if times == 1:
        assert far_client.reset() == 10
    else:
        with pytest.raises(ServerUnreachable):
            far_client.reset()
    assert far_client.stats().epoch == epoch + 1
    worker_process(*RECORDED)
    after = far_client.submit_many([Call("note", (notes.path,))] * 10)
    assert {task.status for task in all_ended(after)} == {"success"}
    assert notes.starts() == Counter(after)
    assert not set(before) & {task.id for task in far_client.list(limit=1000)}


def test_the_reply_of_retry_is_lost_once(
    far_client: TaskClient, proxy: RedisProxy, worker_process: StartWorker, notes: Notes, all_ended: Wait
) -> None:
    worker_process(*RECORDED, task_max_retries=0)
    (failed,) = all_ended([far_client.submit("fail_first", notes.path, 1)])
    assert failed.status == "failed"
    proxy.swallow("retry")
    far_client.retry(failed.id)
    (task,) = all_ended([failed.id])
    assert (task.status, task.result) == ("success", 2)
    assert notes.starts() == Counter({failed.id: 2})
