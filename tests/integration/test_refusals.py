"""A Redis that would lose tasks, or cannot keep them: said in one line, nothing half done, and it goes on by itself."""

from collections.abc import Iterator

import pytest

from tests.conftest import StartWorker
from tests.support.chaos_servers import ChaosRedis, chaos_redis
from tests.support.servers import start_for_run
from tests.support.waiting import eventually
from yadtq import SubmissionRefused, TaskClient


@pytest.fixture
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosRedis]:
    """A Redis whose disk and memory are this test's."""
    server = chaos_redis(tmp_path_factory.mktemp("own"))
    start_for_run(server)
    yield server
    server.kill()


@pytest.fixture
def redis_address(own_redis: ChaosRedis) -> tuple[str, int]:
    """This test's Redis instead of the run's."""
    return ("127.0.0.1", own_redis.place.port)


def test_a_worker_does_not_start_on_a_redis_that_evicts(
    own_redis: ChaosRedis, client: TaskClient, worker_process: StartWorker
) -> None:
    with own_redis.connection() as connection:
        connection.config_set("maxmemory-policy", "allkeys-lru")
        task_id = client.submit("add", 2, 3)
        worker = worker_process()
        worker.prints("evicts keys when memory is short (maxmemory-policy allkeys-lru)")
        assert client.workers() == []
        assert client.get_result(task_id).status == "queued"
        connection.config_set("maxmemory-policy", "noeviction")
    assert client.wait_for_result(task_id, 30).result == 5


def test_a_full_disk_refuses_in_one_line_and_changes_nothing(
    own_redis: ChaosRedis, client: TaskClient, worker_process: StartWorker
) -> None:
    worker = worker_process()
    assert client.wait_for_result(client.submit("add", 2, 3), 30).result == 5
    own_redis.fill_disk()
    eventually(lambda: not own_redis.disk_is_well(), 20, "the write that meets the full disk")
    before = client.counts()

    with pytest.raises(SubmissionRefused) as raised:
        client.submit("add", 3, 4, task_id="refused")
    assert "refuses writes, nothing was changed: MISCONF" in str(raised.value)
    assert "\n" not in str(raised.value)
    worker.prints("refuses writes, nothing was changed: MISCONF")
    assert client.counts() == before

    own_redis.free_disk()
    eventually(own_redis.disk_is_well, 20, "a disk that takes writes")
    assert client.wait_for_result(client.submit("add", 4, 5), 60).result == 9
    assert "refused" not in {task.id for task in client.list()}
    assert worker.process.poll() is None
