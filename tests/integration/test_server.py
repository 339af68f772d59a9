"""The server: one leads, the next one takes over; each of its duties, with nobody else there to do it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from _yadtq.settings import Settings
from local import process
from local.ports import free_port
from tests.conftest import StartWorker
from tests.integration.conftest import MISBEHAVING, RECORDED, Figure, Wait
from tests.support.kafka_tools import ends, read_events, send
from tests.support.notes import Notes
from tests.support.programs import as_environment
from tests.support.server_program import RunningServer
from tests.support.servers import ROOT, redis_at
from tests.support.waiting import eventually
from yadtq import TaskClient

StartServer = Callable[..., RunningServer]
EXIT_USAGE = 2
LEASE = 3
TAKEOVER_SECONDS = 10.0  # what is promised


@pytest.fixture
def server_process(environment: dict[str, str], tmp_path: Path) -> Iterator[StartServer]:
    """Starts `python server.py`: server_process(name, **settings by field name) → RunningServer. It is stopped then."""
    started: list[RunningServer] = []

    def start(name: str = "server", **given: object) -> RunningServer:
        started.append(RunningServer(tmp_path / name, environment | as_environment(given)))
        return started[-1]

    yield start
    for server in started:
        server.program.process.terminate()
    for server in started:
        process.stop(server.program.process, 10)


def meta(settings: Settings, field: str) -> str:
    with redis.Redis(settings.redis_host, settings.redis_port, decode_responses=True) as connection:
        return str(connection.hget(f"{{{settings.namespace}}}:meta", field) or "")


def test_the_next_one_leads_when_the_leader_is_killed_and_a_worker_sends_the_events_when_none_is_left(
    settings: Settings,
    client: TaskClient,
    server_process: StartServer,
    worker_process: StartWorker,
    all_ended: Wait,
    figure: Figure,
) -> None:
    worker_process(*RECORDED)
    eventually(lambda: meta(settings, "relay").startswith("worker1~"))
    first = server_process("first")
    first.wait_until("leading")
    second = server_process("second")
    second.wait_until("standby")
    eventually(lambda: meta(settings, "relay") == first.name, what="the server sends the events")
    ids = [client.submit("add", number, 1) for number in range(20)]

    first.program.kill()
    killed_at = time.monotonic()
    ids += [client.submit("add", number, 2) for number in range(20)]
    second.wait_until("leading")
    seconds = time.monotonic() - killed_at
    figure(f"leader killed: the next server leads after {seconds:.1f} s")
    assert seconds < TAKEOVER_SECONDS
    eventually(lambda: meta(settings, "relay") == second.name, what="the next server sends the events")
    all_ended(ids)
    # What happened while nobody led is told too.
    eventually(lambda: all(second.lines("success", task_id) for task_id in ids[20:]))

    second.program.kill()
    ids += [client.submit("add", number, 3) for number in range(20)]
    eventually(lambda: meta(settings, "relay").startswith("worker1~"), what="the worker sends the events again")
    all_ended(ids)
    eventually(lambda: client.stats().outbox == 0)
    events, _ = read_events(settings.kafka_broker, f"{settings.namespace}_events")
    assert sorted(int(key.partition("-")[2]) for key in events) == list(range(len(events)))  # no gap


def test_a_server_that_is_stopped_resigns(settings: Settings, server_process: StartServer) -> None:
    first = server_process("first")
    first.wait_until("leading")
    second = server_process("second")
    second.wait_until("standby")
    assert first.program.terminate() == 0
    assert [meta(settings, "leader"), meta(settings, "relay")] in (["", ""], [second.name, second.name])
    second.wait_until("leading", 4)  # sooner than any lease lapses
    assert first.lines("stop")
    assert "leads now" in second.lines("lead")[0]


def test_what_a_dead_worker_held_is_put_back_without_another_worker(
    client: TaskClient, server_process: StartServer, worker_process: StartWorker, notes: Notes
) -> None:
    worker = worker_process(*RECORDED, worker_timeout=LEASE)
    task_id = client.submit("note_slow_first", notes.path, 60)
    notes.wait_for(1)
    server = server_process(worker_timeout=LEASE)
    server.wait_until("leading")
    worker.kill()
    eventually(lambda: client.get_result(task_id).status == "queued")
    task = client.get_result(task_id)
    assert (task.crashes, [attempt.outcome for attempt in task.attempts]) == (1, ["reclaim"])
    eventually(lambda: [each.state for each in client.workers()] == ["offline"])
    (line,) = eventually(lambda: server.lines("lapsed"))
    assert f"was not heard of for {LEASE} s; it held 1 tasks" in line
    assert server.lines("reclaim", task_id)
    eventually(lambda: server.count("yadtq_worker_failures_total") == 1)
    assert server.count("yadtq_redeliveries_total", reason="reclaim") == 1


def test_what_was_only_registered_is_published_without_a_worker(
    settings: Settings, environment: dict[str, str], server_process: StartServer, client: TaskClient
) -> None:
    command = [sys.executable, "-m", "tests.support.dying_client", "add", "[1, 2]", "orphan"]
    subprocess.run(command, cwd=ROOT, env=environment, timeout=30, check=False)
    assert client.get_result("orphan").status == "queued"
    assert sum(ends(settings.kafka_broker, f"{settings.namespace}_tasks")) == 0
    server = server_process()
    eventually(lambda: sum(ends(settings.kafka_broker, f"{settings.namespace}_tasks")) == 1, 40)
    eventually(lambda: server.lines("publish", "orphan"))


def test_old_results_end_without_a_worker(
    client: TaskClient, server_process: StartServer, worker_process: StartWorker, all_ended: Wait
) -> None:
    worker = worker_process(*RECORDED)
    ids = [client.submit("add", number, 1) for number in range(3)]
    all_ended(ids)
    assert worker.terminate(30) == 0
    server = server_process(result_ttl=1, log_level="DEBUG")
    eventually(lambda: client.counts()["success"] == 0)
    eventually(lambda: len(server.lines("expire")) == 3)


def test_it_is_ready_only_while_redis_answers(kafka_broker: str, server_process: StartServer, tmp_path: Path) -> None:
    own = redis_at(tmp_path)
    own.start()
    own.wait_ready()
    try:
        server = server_process(redis_port=own.place.port)
        server.wait_until("leading")
        own.stop()

        def away() -> bool:
            status, body = server.get("/healthz/ready")
            return status == 503 and "Redis does not answer" in json.loads(body)["reason"]

        eventually(away)
        assert len(server.get("/healthz/ready")[1].splitlines()) == 1
        assert server.get("/healthz/live")[0] == 200
        eventually(lambda: server.count("yadtq_up", server="redis") == 0)
        assert "yadtq_ready_tasks" not in server.figures()
        own.start()
        own.wait_ready()
        server.wait_until("leading")
        assert [" ERROR " in line for line in server.lines("redis")] == [False, True, False]
        assert server.program.process.poll() is None
    finally:
        own.stop()


def test_a_leader_that_does_not_reach_kafka_leaves_the_events_to_a_worker(
    settings: Settings, client: TaskClient, server_process: StartServer, worker_process: StartWorker
) -> None:
    worker_process(*RECORDED)
    eventually(lambda: meta(settings, "relay").startswith("worker1~"))
    server = server_process(kafka_broker=f"127.0.0.1:{free_port()}")
    eventually(lambda: meta(settings, "leader") == server.name)
    task_id = client.submit("add", 1, 2)
    assert client.wait_for_result(task_id, 30).result == 3
    eventually(lambda: "Kafka does not answer" in server.get("/healthz/ready")[1])
    assert server.count("yadtq_up", server="kafka") == 0
    eventually(lambda: meta(settings, "relay").startswith("worker1~"), 30)
    eventually(lambda: client.stats().outbox == 0)


@pytest.fixture
def busy(
    settings: Settings, client: TaskClient, server_process: StartServer, worker_process: StartWorker, all_ended: Wait
) -> RunningServer:
    """A server that has seen something of each kind."""
    server = server_process(log_level="DEBUG")
    server.wait_until("leading")
    eventually(lambda: server.lines("kafka"))
    worker = worker_process(*MISBEHAVING, retry_delay=0.1, task_max_crashes=1)
    foreign = [{"task-id": "foreign", "task": "add", "args": [1, 2]}]
    foreign += [{"task-id": f"strange{n}", "task": name, "args": []} for n, name in enumerate(STRANGE)]
    eventually(client.workers)
    send(settings.kafka_broker, f"{settings.namespace}_tasks", [*map(json.dumps, foreign), "no JSON \x1b[2J"])
    ids = [
        client.submit("add", 2, 3),
        client.submit("div", 1, 0),
        client.submit("exit_at_once", str(server.folder / "exits"), 1),
    ]
    ids.append(client.submit("fail_first", str(server.folder / "notes"), 1))
    all_ended([*ids, "foreign", "strange0", "strange1"])
    eventually(lambda: client.counts()["rejected"] == 1)
    client.retry(ids[1])
    all_ended(ids)
    assert worker.terminate(30) == 0
    eventually(lambda: server.lines("leave"))
    return server


STRANGE = ('quote" and \\ backslash', "{status} %s %(name)s <b>")
KINDS = (
    *("start", "http", "lead", "kafka", "redis", "join", "register", "admit", "take", "success"),
    *("failed", "retry", "reject", "requeue", "leave"),
)


def test_its_log_and_its_metrics_tell_what_happened(busy: RunningServer, client: TaskClient) -> None:
    assert [kind for kind in KINDS if not busy.lines(kind)] == []
    assert all(line.isprintable() for line in busy.log)
    assert sorted(busy.log) == sorted(busy.program.output.splitlines())
    counts = client.counts()
    eventually(lambda: all(busy.count("yadtq_tasks", status=status) == count for status, count in counts.items()))
    shown = busy.figures()
    assert shown['yadtq_task_outcomes_total{"outcome": "success"}'] == counts["success"]
    assert shown['yadtq_task_outcomes_total{"outcome": "failed"}'] == counts["failed"] + 1  # one was retried by hand
    assert shown['yadtq_task_outcomes_total{"outcome": "rejected"}'] == 1
    assert shown['yadtq_redeliveries_total{"reason": "retry"}'] == 1
    assert shown['yadtq_task_run_seconds_count{"task": "add"}'] == 2
    assert sum(v for name, v in shown.items() if name.startswith("yadtq_unread_messages{")) == 0
    assert shown["yadtq_leader"] == 1
    for name in STRANGE:
        assert f"yadtq_task_run_seconds_count{json.dumps({'task': name})}" in shown
        assert [line for line in busy.lines("failed") if name in line]
    client.reset()
    eventually(lambda: busy.lines("reset"))
    eventually(lambda: busy.count("yadtq_epoch") == 1)


def test_it_answers_nothing_else(server_process: StartServer) -> None:
    server = server_process()
    server.wait_until("leading")
    assert [server.get(path)[0] for path in ("/healthz", "/", "/metrics/x", "/docs")] == [200, 404, 404, 404]


def test_an_address_that_is_taken_is_refused(server_process: StartServer, environment: dict[str, str]) -> None:
    first = server_process()
    first.wait_until("leading")
    address = first.url.removeprefix("http://")
    command = [sys.executable, "server.py", "--http", address, "--log-folder", str(first.folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == EXIT_USAGE
    assert len(done.stderr.splitlines()) == 1
    assert f"--http: {address} cannot be listened on (Address already in use)" in done.stderr
    assert first.program.process.poll() is None


def test_it_waits_for_servers_that_are_away(server_process: StartServer) -> None:
    server = server_process(redis_port=free_port(), kafka_broker=f"127.0.0.1:{free_port()}")
    eventually(lambda: server.get("/healthz/ready")[0] == 503)
    eventually(lambda: server.lines("redis") and server.lines("kafka"))
    assert server.get("/healthz/live")[0] == 200
    assert server.program.terminate(20) == 0
    assert len(server.lines("redis")) == len(server.lines("kafka")) == 1
