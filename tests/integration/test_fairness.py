"""Tasks never wait behind a long one, and equal workers do equal work."""

from collections import Counter

from _yadtq.settings import Settings
from tests.conftest import StartWorker
from tests.integration.conftest import Figure, Wait
from tests.support.kafka_tools import ends, wait_for_readers
from tests.support.waiting import eventually
from yadtq import Call, TaskClient


def test_small_tasks_do_not_wait_behind_a_long_one(
    settings: Settings, client: TaskClient, worker_process: StartWorker, all_ended: Wait, figure: Figure
) -> None:
    for _ in range(2):
        worker_process(concurrency=1, drain_seconds=0)
    broker, topic, group = settings.kafka_broker, f"{settings.namespace}_tasks", f"{settings.namespace}_workers"
    shares = wait_for_readers(broker, group, 2)
    long = client.submit("sleep", 30)
    eventually(lambda: client.get_result(long).status == "processing")
    busy = client.get_result(long).worker_id
    assert len(shares[busy]) == 6
    before = ends(broker, topic)

    small = [Call("sleep", (0.01,), task_id=f"small-{n}") for n in range(100)]
    parts = [small[first : first + 8] for first in range(0, 100, 8)]  # one after the other: all partitions get some
    ids = [each for part in parts for each in client.submit_many(part)]
    tasks = all_ended(ids, 3)

    seconds = max(t.finished_at for t in tasks) - max(t.submitted_at for t in tasks)
    figure(f"100 tasks of 10 ms beside one of 30 s, one slot free: all ended {seconds:.2f} s after submission")
    assert seconds <= 3
    assert {t.status for t in tasks} == {"success"}
    assert {t.worker_id for t in tasks} == {"worker1", "worker2"} - {busy}
    assert all(new > old for new, old in zip(ends(broker, topic), before, strict=True))
    assert wait_for_readers(broker, group, 2) == shares
    assert client.get_result(long).status == "processing"


def test_five_workers_share_the_work_evenly(
    settings: Settings, client: TaskClient, worker_process: StartWorker, all_ended: Wait, figure: Figure
) -> None:
    for _ in range(5):
        worker_process()
    wait_for_readers(settings.kafka_broker, f"{settings.namespace}_workers", 5)

    tasks = all_ended(client.submit_many([Call("sleep", (0.05,))] * 500))

    ran = Counter(t.worker_id for t in tasks)
    busiest, mean = max(ran.values()), len(tasks) / 5
    seconds = max(t.finished_at for t in tasks) - min(t.submitted_at for t in tasks)
    figure(
        f"5 workers, 500 tasks of 50 ms in {seconds:.2f} s: busiest/mean {busiest / mean:.3f} ({sorted(ran.values())})"
    )
    assert {t.status for t in tasks} == {"success"}
    assert busiest <= 1.15 * mean
