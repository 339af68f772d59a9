"""Kafka and Redis with passwords, TLS and rights: what works with the rights of docs/security.md, what is said else."""

import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import kafka
import pytest

from _yadtq.broker import Broker, connected
from _yadtq.errors import ServerUnreachable
from _yadtq.settings import SETTINGS, Settings
from _yadtq.store import Store
from tests.integration.conftest import RECORDED
from tests.support.loggers import Loggers
from tests.support.notes import Notes
from tests.support.programs import RunningProgram
from tests.support.secured_queue import PROGRAMS, STRANGER, SecuredQueue, secured_queue
from tests.support.server_program import RunningServer
from tests.support.servers import ROOT
from tests.support.waiting import eventually
from yadtq import Call, Operator, SubmissionUnknown, TaskClient

WORKER, CLIENT, READER, SERVER, LOGGER = PROGRAMS
UNREACHABLE = 3  # exit code of client.py
WRONG = "secret-of-nobody"
PATIENCE = 12.0  # seconds until a program has said what is wrong, on a busy machine
SECRETS = [setting.name for setting in SETTINGS if setting.secret]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the servers of this file and all logs are."""
    return tmp_path_factory.mktemp("secured")


@pytest.fixture(scope="module")
def queue(folder: Path) -> Iterator[SecuredQueue]:
    """The queue of this file."""
    with secured_queue(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def worker(queue: SecuredQueue, folder: Path) -> Iterator[RunningProgram]:
    """A worker with a worker's rights that says all that it can say."""
    started = start_worker(queue.settings(WORKER, log_level="DEBUG"), folder / "worker.log")
    try:
        started.prints("action=join")
        yield started
    finally:
        started.terminate()


def start_worker(settings: Settings, log: Path) -> RunningProgram:
    return RunningProgram(["worker.py", *RECORDED], log, settings.environment())


def run_client(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "client.py", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=settings.environment(), capture_output=True, text=True, timeout=60, check=False
    )


# -- with the rights of the page


def test_a_queue_lives_on_the_rights_of_the_page(queue: SecuredQueue, worker: RunningProgram, tmp_path: Path) -> None:
    path = Notes(tmp_path / "notes").path
    with TaskClient(queue.settings(CLIENT, kafka_sasl_mechanism="PLAIN")) as client:
        added = client.submit("add", 2, 3)
        [raising] = client.submit_many([Call("fail_first", (path, 2), max_retries=1)])
        assert client.wait_for_result(added, 30).result == 5
        assert client.wait_for_result(raising, 30).status == "failed"
        client.retry(raising)
        assert client.wait_for_result(raising, 30).result == 3
        assert [each.state for each in client.workers()] == ["online"]
        assert client.stats().counts["success"] == 2
        assert client.find(added[:10]) == added
        assert client.reset() == 2
    done = run_client(queue.settings(CLIENT), "add", "20", "22")
    assert (done.returncode, done.stdout, done.stderr) == (0, "42\n", "")
    assert queue.refused_by_kafka() == []
    assert queue.refused_by_redis() == []


def test_a_client_may_lead_redis_back(queue: SecuredQueue, worker: RunningProgram) -> None:
    worker.process.send_signal(signal.SIGSTOP)  # else it would be faster
    try:
        queue.redis.restart()
        with TaskClient(queue.settings(CLIENT)) as client:
            assert client.counts()["processing"] == 0
            worker.process.send_signal(signal.SIGCONT)
            task_id = client.submit("add", 4, 4)
            assert client.wait_for_result(task_id, 30).result == 8
    finally:
        worker.process.send_signal(signal.SIGCONT)
    assert queue.refused_by_kafka() == []
    assert queue.refused_by_redis() == []


def test_a_reader_sees_all_and_changes_nothing(queue: SecuredQueue, worker: RunningProgram) -> None:
    with TaskClient(queue.settings(CLIENT)) as client:
        task_id = client.submit("add", 1, 1)
        client.wait_for_result(task_id, 30)
    with TaskClient(queue.settings(READER)) as reader:
        assert reader.get_result(reader.find(task_id)).result == 2
        assert task_id in [task.id for task in reader.list()]
        assert reader.stats().unread == 0
        assert len(reader.workers()) == 1
        with Operator(queue.settings(READER)) as operator:
            assert operator.snapshot().stats.counts == reader.counts()
            page = operator.page(status="success", task="add", prefix=task_id[:8])
            assert [task.id for task in page.tasks] == [task_id]
            assert operator.failures() == ()
            with pytest.raises(ServerUnreachable, match="lacks rights for the user 'yadtq-reader'"):
                operator.bury(reader.workers()[0].id, "it has not ended")
        assert events_of(queue)
        for change in (lambda: reader.submit("add", 1, 1), reader.reset):
            with pytest.raises(
                (SubmissionUnknown, ServerUnreachable), match="lacks rights for the user 'yadtq-reader'"
            ):
                change()


def test_a_server_lives_on_its_rights_and_tells_no_secret(
    queue: SecuredQueue, worker: RunningProgram, tmp_path: Path
) -> None:
    server = RunningServer(tmp_path / "server", queue.settings(SERVER, log_level="DEBUG", result_ttl=1).environment())
    try:
        server.wait_until("leading")
        with TaskClient(queue.settings(CLIENT)) as client:
            task_id = client.submit("add", 1, 1)
            eventually(lambda: server.lines("expire", task_id), 30)
        queue.redis.restart()
        eventually(lambda: server.lines("generation"), what="Redis is led back")
        server.wait_until("leading")
        told = [server.program.output, *server.log, server.get("/metrics")[1], server.get("/healthz/ready")[1]]
    finally:
        assert server.program.terminate() == 0
    assert server.lines("lead")
    assert queue.refused_by_kafka() == []
    assert queue.refused_by_redis() == []
    for secret in queue.passwords.values():
        assert not [text for text in told if secret in text]


def test_a_logger_reads_the_event_log_and_nothing_else(
    queue: SecuredQueue, worker: RunningProgram, tmp_path: Path
) -> None:
    loggers = Loggers(tmp_path / "logs", queue.settings(LOGGER, log_level="DEBUG").environment())
    logger = loggers.start()
    try:
        with TaskClient(queue.settings(CLIENT)) as client:
            task_id = client.submit("add", 1, 1)
            client.wait_for_result(task_id, 30)
        eventually(lambda: any(task_id in line and "action=success" in line for line in loggers.lines("yadtq.log")))
        history = loggers.history(task_id)
    finally:
        assert logger.terminate() == 0
    assert (history["state"], history["complete"]) == ("completed", True)
    assert queue.refused_by_kafka() == []
    told = [logger.output, *loggers.lines("yadtq.log"), *loggers.lines("audit.jsonl")]
    for secret in queue.passwords.values():
        assert not [text for text in told if secret in text]


def events_of(queue: SecuredQueue) -> list[str]:
    """The whole event log, as a reader reads it."""
    consumer = connected(kafka.KafkaConsumer, queue.settings(READER), group_id=None, enable_auto_commit=False)
    try:
        partition = kafka.TopicPartition("yadtq_events", 0)
        consumer.assign([partition])
        consumer.seek(partition, 0)
        end = consumer.end_offsets([partition])[partition]
        found: list[str] = []

        def read() -> bool:
            found.extend(row.value.decode() for rows in consumer.poll(timeout_ms=200).values() for row in rows)
            return bool(consumer.position(partition) >= end)

        eventually(read, 20, "the end of the event log")
        return found
    finally:
        consumer.close(timeout_ms=2000)


def test_secrets_are_in_no_log_record_event_or_help(queue: SecuredQueue, worker: RunningProgram) -> None:
    key = secrets.token_urlsafe(32)
    settings = queue.settings(CLIENT, encryption_key=key, log_level="DEBUG")
    said = [run_client(settings, *words) for words in (["--help"], ["stats"], ["help"], ["view", "_"], ["show-tasks"])]
    told = [done.stdout + done.stderr for done in said] + [repr(settings), worker.output, queue.kept_by_redis()]
    told += [*events_of(queue), start_worker_help(settings)]
    for secret in (*queue.passwords.values(), key):
        assert not [text for text in told if secret in text]


def start_worker_help(settings: Settings) -> str:
    command = [sys.executable, "worker.py", "--help"]
    return subprocess.run(
        command, cwd=ROOT, env=settings.environment(), capture_output=True, text=True, timeout=60, check=True
    ).stdout


# -- what does not fit: one line, which names what to set

Fault = dict[str, object]
LOGIN = "refuses this login: set KAFKA_USERNAME and KAFKA_PASSWORD, or another KAFKA_SASL_MECHANISM"
REDIS_LOGIN = "refuses this user or password: set REDIS_USERNAME and REDIS_PASSWORD"


def kafka_faults(queue: SecuredQueue) -> dict[str, tuple[Settings, str]]:
    """What is wrong → settings, and what is said."""
    port, stranger = queue.kafka.place.port, str(queue.certificates.stranger)
    plain = dict.fromkeys(("kafka_username", "kafka_password"), "")
    faults: dict[str, tuple[Fault, str]] = {
        "password": ({"kafka_password": WRONG}, LOGIN),
        "password of PLAIN": ({"kafka_sasl_mechanism": "PLAIN", "kafka_password": WRONG}, LOGIN),
        "user": ({"kafka_username": "nobody"}, LOGIN),
        "mechanism": ({"kafka_sasl_mechanism": "SCRAM-SHA-256"}, LOGIN),
        "authority": (
            {"kafka_ca_file": stranger},
            "cannot be trusted (unable to get local issuer certificate): set KAFKA_CA_FILE",
        ),
        "no authority": ({"kafka_ca_file": ""}, "set KAFKA_CA_FILE to the authority that signed it"),
        "name": ({"kafka_broker": f"localhost:{port}"}, "a certificate for another name: set KAFKA_BROKER"),
        "plaintext": ({"kafka_security_protocol": "PLAINTEXT"}, "speaks TLS: set KAFKA_SECURITY_PROTOCOL"),
        "no login": ({"kafka_security_protocol": "SSL", **plain}, "has not logged in: set KAFKA_SECURITY_PROTOCOL"),
        "TLS": (
            {"kafka_broker": f"127.0.0.1:{queue.kafka.controller}"},
            "does not speak TLS: set KAFKA_SECURITY_PROTOCOL",
        ),
    }
    return {what: (queue.settings(WORKER, **fault), said) for what, (fault, said) in faults.items()}


def redis_faults(queue: SecuredQueue) -> dict[str, tuple[Settings, str]]:
    """What is wrong → settings, and what is said."""
    stranger, plain_port = str(queue.certificates.stranger), queue.redis.place.port
    faults: dict[str, tuple[Fault, str]] = {
        "password": ({"redis_password": WRONG}, REDIS_LOGIN),
        "user": ({"redis_username": "nobody"}, REDIS_LOGIN),
        "no login": ({"redis_username": "", "redis_password": ""}, REDIS_LOGIN),
        "authority": (
            {"redis_ca_file": stranger},
            "cannot be trusted (unable to get local issuer certificate): set REDIS_CA_FILE",
        ),
        "no authority": ({"redis_ca_file": ""}, "set REDIS_CA_FILE to the authority that signed it"),
        "name": ({"redis_host": "localhost"}, "a certificate for another name: set REDIS_HOST"),
        "plaintext": ({"redis_tls": False}, "speaks TLS: set REDIS_TLS=yes"),
        "TLS": ({"redis_port": plain_port}, "does not speak TLS: set REDIS_PORT"),
    }
    return {what: (queue.settings(WORKER, **fault), said) for what, (fault, said) in faults.items()}


def problem_with(kind: type[Broker] | type[Store], settings: Settings) -> tuple[str, float]:
    began = time.monotonic()
    server = kind(settings)
    try:
        return server.problem(), time.monotonic() - began
    finally:
        server.close()


@pytest.mark.parametrize(("kind", "faults"), [(Broker, kafka_faults), (Store, redis_faults)], ids=["kafka", "redis"])
def test_each_thing_that_does_not_fit_is_said_in_a_line(
    queue: SecuredQueue,
    kind: type[Broker] | type[Store],
    faults: Callable[[SecuredQueue], dict[str, tuple[Settings, str]]],
) -> None:
    asked = faults(queue)
    with ThreadPoolExecutor(len(asked)) as pool:  # each may take some seconds
        waiting: dict[str, Future[tuple[str, float]]] = {
            what: pool.submit(problem_with, kind, settings) for what, (settings, _) in asked.items()
        }
    for what, (settings, said) in asked.items():
        problem, seconds = waiting[what].result()
        assert said in problem, what
        assert problem.isprintable(), what
        assert seconds < PATIENCE, what
        assert not [name for name in SECRETS if str(getattr(settings, name) or WRONG) in problem], what


def test_what_a_user_lacks_is_said_in_a_line(queue: SecuredQueue) -> None:
    settings = queue.settings(STRANGER)
    broker, store = Broker(settings), Store(settings)
    kafka_lacks = (
        r"^Kafka at \S+ lacks rights for the user 'somebody-else' on the {}: give it those of docs/security.md"
    )
    for call, what in (
        (broker.ends, "topics yadtq_tasks and yadtq_events"),
        (broker.create_topics, "topics yadtq_tasks and yadtq_events"),
        (broker.members, "group yadtq_workers"),
    ):
        with pytest.raises(ServerUnreachable, match=kafka_lacks.format(what)):
            call()
    with pytest.raises(ServerUnreachable, match=r"^Redis at \S+ lacks rights for the user 'somebody-else' \(.*info"):
        store.check()
    broker.close()
    store.close()


def test_programs_say_it_once(queue: SecuredQueue, folder: Path) -> None:
    """Of the faults those that are most likely, in processes; all at once, because each takes some seconds."""
    kafka_wrong, redis_wrong = kafka_faults(queue), redis_faults(queue)
    faults = [kafka_wrong["password"], kafka_wrong["authority"], redis_wrong["password"], redis_wrong["plaintext"]]
    faults.append((queue.settings(STRANGER), f"lacks rights for the user {STRANGER!r}"))
    with TaskClient(queue.settings(WORKER)) as client:  # so that there is a queue to which only one of both is lacking
        client.counts()
    workers = [start_worker(faulty, folder / f"faulty{n}.log") for n, (faulty, _) in enumerate(faults)]
    try:
        with ThreadPoolExecutor(len(faults)) as pool:
            clients = list(pool.map(lambda fault: run_client(fault[0], "--submit", "add", "[1,2]"), faults))
        for (_, said), started, done in zip(faults, workers, clients, strict=True):
            started.prints(said, PATIENCE)
            assert done.returncode == UNREACHABLE
            assert done.stdout == ""
            assert len(done.stderr.splitlines()) == 1
            assert said in done.stderr
            assert WRONG not in done.stderr + started.output
            problems = [line for line in started.output.splitlines() if " ERROR " in line or " WARNING " in line]
            assert len(problems) == 1, started.output
    finally:
        for started in workers:
            started.terminate()
