"""The client on real servers, with a real worker: what each of its methods promises."""

import os
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.conftest import StartWorker
from tests.support.programs import RunningProgram
from tests.support.waiting import eventually
from yadtq import (
    AmbiguousId,
    Call,
    Health,
    NotRetryable,
    Settings,
    TaskClient,
    TaskIdConflict,
    TaskNotFound,
    UsageError,
    WaitTimeout,
    create_yadtq,
)


@pytest.fixture
def client(settings: Settings) -> Iterator[TaskClient]:
    with TaskClient(settings) as opened:
        yield opened


@pytest.fixture
def worked(client: TaskClient, worker_process: StartWorker) -> TaskClient:
    """A client whose queue has a worker."""
    worker_process(task_max_retries=0, drain_seconds=0)
    return client


# -- without a worker


def test_a_submitted_task_is_queued_at_once(client: TaskClient) -> None:
    task_id = client.submit("add", 1, Decimal("2.50"), task_id="mine", unit="é")
    task = client.get_result(task_id)
    assert (task_id, task.id, task.status, task.ended, task.task) == ("mine", "mine", "queued", False, "add")
    assert ([str(value) for value in task.args], task.kwargs) == (["1", "2.50"], {"unit": "é"})
    assert task.submitted_at == pytest.approx(time.time(), abs=60)
    assert task.submitted_by
    assert (task.attempt, task.attempts, task.result, task.error) == (0, (), None, None)


def test_the_same_task_under_the_same_id_is_the_same(client: TaskClient) -> None:
    assert [client.submit("add", 1, task_id="a") for _ in range(3)] == ["a", "a", "a"]
    assert client.counts()["queued"] == 1
    with pytest.raises(TaskIdConflict) as caught:
        client.submit("add", 2, task_id="a")
    assert caught.value.task_id == "a"
    assert client.get_result("a").args == [1]


def test_ids_of_our_own_differ(client: TaskClient) -> None:
    ids = [client.submit("add", 1) for _ in range(5)] + client.submit_many([Call("add", (1,))] * 5)
    assert len(set(ids)) == 10
    assert client.counts()["queued"] == 10


def test_many_with_one_conflict(client: TaskClient) -> None:
    client.submit("add", 0, task_id="t7")
    with pytest.raises(TaskIdConflict) as caught:
        client.submit_many([Call("add", (1,), task_id=f"t{n}") for n in range(20)])
    assert caught.value.task_id == "t7"
    assert caught.value.accepted == [f"t{n}" for n in range(20) if n != 7]
    assert client.counts()["queued"] == 20


def test_what_is_submitted_later_is_queued_after_a_flush(client: TaskClient) -> None:
    ids = [client.submit_later("add", number) for number in range(1200)]
    client.flush(60)
    assert client.counts()["queued"] == 1200
    assert [client.get_result(each).args for each in (ids[0], ids[-1])] == [[0], [1199]]


def test_a_program_that_ends_in_order_submits_what_it_has_not_flushed(
    settings: Settings, client: TaskClient, tmp_path: Path
) -> None:
    text = "import yadtq; client = yadtq.TaskClient(); [client.submit_later('add', number) for number in range(50)]"
    program = RunningProgram(["-c", text], tmp_path / "log", settings.environment())
    assert program.process.wait(60) == 0, program.output
    assert client.counts()["queued"] == 50


def test_several_threads_submit_with_one_client(client: TaskClient) -> None:
    ids: list[str] = []

    def submit() -> None:
        ids.extend(client.submit_many([Call("add", (1,))] * 50))
        ids.append(client.submit("add", 2))

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 204 == client.counts()["queued"]


def test_what_does_not_exist(client: TaskClient) -> None:
    for call in (client.get_result, client.find, client.retry, client.wait_for_result):
        with pytest.raises(TaskNotFound, match="nothing"):
            call("nothing")
    client.submit("add", 1, task_id="a")
    with pytest.raises(TaskNotFound):
        client.wait_any({"a", "nothing"}, 5)


def test_find_by_the_beginning(client: TaskClient) -> None:
    client.submit_many([Call("add", (1,), task_id=each) for each in ("abc1", "abc2", "abc", "xyz*", "xyzz")])
    assert [client.find(each) for each in ("abc1", "abc", "xyzz", "xyz*")] == ["abc1", "abc", "xyzz", "xyz*"]
    with pytest.raises(AmbiguousId) as caught:
        client.find("ab")
    assert caught.value.matches == ["abc", "abc1", "abc2"]


def test_waiting_for_what_does_not_end(client: TaskClient) -> None:
    client.submit("add", 1, task_id="a")
    began = time.monotonic()
    with pytest.raises(WaitTimeout, match=r"task a has not ended after 0\.2 s; it goes on"):
        client.wait_for_result("a", 0.2)
    assert client.wait_any({"a"}, 0.0) == []
    assert client.wait_any(set()) == []
    assert time.monotonic() - began < 5
    assert client.get_result("a").status == "queued"


def test_the_list_is_newest_first_and_in_pages(client: TaskClient) -> None:
    client.submit_many([Call("add", (n,), task_id=f"t{n:02}") for n in range(30)])
    client.submit("add", 1, task_id="last")
    assert [task.id for task in client.list(limit=3)] == ["last", "t29", "t28"]
    assert [task.id for task in client.list("queued", limit=2, offset=30)] == ["t00"]
    assert len(client.list()) == 20
    assert client.list("failed") == []
    with pytest.raises(UsageError, match="'completed' is no status: expected queued, processing"):
        client.list("completed")


def test_a_queue_that_nobody_has_used_is_empty(client: TaskClient) -> None:
    assert client.counts() == {"queued": 0, "processing": 0, "success": 0, "failed": 0, "rejected": 0}
    assert (client.list(), client.workers()) == ([], [])
    stats = client.stats()
    assert (stats.workers, stats.unread, stats.outbox, stats.epoch) == (0, 0, 0, 0)
    assert (client.health().kafka, client.health().redis) == ("", "")


def test_a_reset_removes_what_was_submitted_before(client: TaskClient) -> None:
    ids = client.submit_many([Call("add", (n,)) for n in range(5)])
    assert client.stats().unread == 5
    assert client.reset() == 5
    client.submit("add", 1, task_id="later")
    assert [task.id for task in client.list()] == ["later"]
    with pytest.raises(TaskNotFound):
        client.wait_for_result(ids[0], 5)
    assert client.stats().epoch == 1
    assert client.reset() == 1


def test_a_wait_ends_when_its_task_is_reset(settings: Settings, client: TaskClient) -> None:
    client.submit("add", 1, task_id="a")
    with TaskClient(settings) as other:
        timer = threading.Timer(0.2, other.reset)
        timer.start()
        with pytest.raises(TaskNotFound):
            client.wait_for_result("a", 20)
        timer.join()


# -- with a worker


def test_a_task_is_run_and_waited_for(worked: TaskClient) -> None:
    task = worked.wait_for_result(worked.submit("add", 2, 3), 30)
    assert (task.status, task.result, task.worker_id, task.attempt, task.ended) == ("success", 5, "worker1", 1, True)
    assert task.submitted_at <= task.started_at <= task.finished_at
    (attempt,) = task.attempts
    assert (attempt.number, attempt.worker_id, attempt.outcome, attempt.reason) == (1, "worker1", "success", "")
    assert worked.wait_for_result(task.id, 0) == task  # it has ended already
    big = worked.wait_for_result(worked.submit("mul", 10**40, Decimal("0.1")), 30)
    assert big.result == 10**39


def test_waiting_is_being_told(worked: TaskClient) -> None:
    ids = worked.submit_many([Call("sleep", (2,)), Call("add", (1, 2)), Call("sleep", (30,))])
    first = worked.wait_any(set(ids), 30)
    assert [task.id for task in first] == [ids[1]]
    (second,) = worked.wait_any({ids[0], ids[2]}, 30)
    assert second.id == ids[0]
    assert time.time() - second.finished_at < 0.7  # told, not found by the look of each second
    assert worked.get_result(ids[2]).status == "processing"


def test_a_failed_task_tells_why_and_can_be_retried(worked: TaskClient) -> None:
    task_id = worked.submit("div", 1, 0)
    task = worked.wait_for_result(task_id, 30)
    assert task.status == "failed"
    assert task.error is not None
    assert str(task.error) == "ZeroDivisionError: division by zero"
    assert worked.retry(task_id).status in ("queued", "processing", "failed")
    again = eventually(
        lambda: (t := worked.wait_for_result(task_id, 30)).attempt == 2 and t.ended and t, 30, "the second attempt"
    )
    assert again
    assert [(a.number, a.outcome) for a in again.attempts] == [(1, "failed"), (2, "failed")]
    done = worked.wait_for_result(worked.submit("add", 1, 1), 30)
    with pytest.raises(NotRetryable, match=f"task {done.id} is completed; only a failed task can be retried"):
        worked.retry(done.id)


@pytest.mark.parametrize(
    ("call", "kind"), [(Call("nonsense", (1,)), "UnknownTask"), (Call("sub", ("x", [])), ""), (Call("sleep"), "")]
)
def test_what_cannot_get_better_fails_at_once(worked: TaskClient, call: Call, kind: str) -> None:
    (task_id,) = worked.submit_many([call])
    task = worked.wait_for_result(task_id, 30)
    assert (task.status, task.attempt) == ("failed", 1)
    assert task.error is not None
    assert task.error.type.startswith(kind)


def test_the_worker_is_seen_with_what_it_can(worked: TaskClient) -> None:
    worked.wait_for_result(worked.submit("add", 1, 1), 30)
    running = worked.submit("sleep", 20)
    (worker,) = eventually(lambda: [w for w in worked.workers() if w.busy], 20, "a busy worker")
    assert (worker.worker_id, worker.state, worker.slots, worker.busy, worker.running) == (
        "worker1", "online", 3, 1, (running,),
    )  # fmt: skip
    assert worker.id.startswith("worker1~")
    assert worker.tasks_executed >= 1
    assert {"add", "sleep", "compress"} <= {each.name for each in worker.tasks}
    stats = worked.stats()
    assert (stats.workers, stats.slots, stats.busy) == (1, 3, 1)
    assert stats.counts["processing"] == 1
    assert eventually(lambda: worked.stats().outbox == 0 and worked.stats().unread == 0, 20, "an empty outbox")


# -- around it


def test_create_yadtq_gives_a_client_its_servers(settings: Settings) -> None:
    broker, store = create_yadtq([settings.kafka_broker], settings.redis_host, settings.redis_port)
    assert (broker.problem(), store.problem()) == ("", "")
    with TaskClient(broker=broker, result_store=store) as client:
        assert client.health() == Health()


def test_closing_leaves_no_thread_and_no_descriptor(settings: Settings) -> None:
    def use() -> None:
        with TaskClient(settings) as client:
            client.submit("add", 1, task_id="a")
            client.wait_any({"a"}, 0.01)
            client.stats()
            client.health()

    use()  # what is opened once for all, like the random source
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        use()
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_a_closed_client_may_be_closed_again(settings: Settings) -> None:
    client = TaskClient(settings)
    client.close()
    client.submit("add", 1, task_id="a")  # it connects when it is used
    client.close()
    client.close()
