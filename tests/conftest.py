"""What all tests share: the servers (started when the first test asks), a queue of its own for each test, programs."""

import os
import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from _yadtq.settings import SETTINGS, Settings
from local import process
from tests.support.programs import RunningProgram, as_environment
from tests.support.script_queue import ScriptQueue
from tests.support.servers import (
    KAFKA_VARIABLE,
    REDIS_VARIABLE,
    kafka_at,
    own_server,
    redis_at,
    remove_queue,
    start_for_run,
)

# A shell that starts this in the background lets it ignore Ctrl-C, and what it starts inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What a developer has set for programs of their own must not reach the tests.
for _variable in (variable for setting in SETTINGS for variable in setting.variables):
    os.environ.pop(_variable, None)

StartWorker = Callable[..., RunningProgram]


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a Kafka that this run owns (or the one of YADTQ_TEST_KAFKA)."""
    given = own_server(KAFKA_VARIABLE)
    if given:
        yield f"{given[0]}:{given[1]}"
        return
    server = kafka_at(tmp_path_factory.mktemp("kafka"))
    start_for_run(server)
    yield f"127.0.0.1:{server.place.port}"
    server.stop()


@pytest.fixture(scope="session")
def redis_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """(host, port) of a Redis that this run owns (or the one of YADTQ_TEST_REDIS)."""
    given = own_server(REDIS_VARIABLE)
    if given:
        yield given
        return
    server = redis_at(tmp_path_factory.mktemp("redis"))
    start_for_run(server)
    yield ("127.0.0.1", server.place.port)
    server.stop()


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a queue that only this test uses. What it left on the servers is deleted afterwards."""
    name = f"t{secrets.token_hex(5)}"
    yield name
    if {"kafka_broker", "redis_address"} <= set(request.fixturenames):
        remove_queue(name, request.getfixturevalue("kafka_broker"), request.getfixturevalue("redis_address"))


@pytest.fixture
def settings(kafka_broker: str, redis_address: tuple[str, int], namespace: str) -> Settings:
    """Settings of this test's queue. A worker that was not heard of for 5 s is offline."""
    host, port = redis_address
    return Settings.load(
        {}, kafka_broker=kafka_broker, redis_host=host, redis_port=port, namespace=namespace, worker_timeout=5
    )


@pytest.fixture
def queue(redis_address: tuple[str, int], namespace: str) -> Iterator[ScriptQueue]:
    """A queue in Redis alone, which the test drives by hand: its clients, workers, Kafka and time."""
    opened = ScriptQueue.at(redis_address, namespace)
    yield opened
    opened.remove()


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    """The settings of this test as environment variables, for processes that it starts (on top of os.environ)."""
    variables = settings.environment()
    del variables["WORKER_ID"]  # each process has its own
    return variables


@pytest.fixture
def worker_process(environment: dict[str, str], tmp_path: Path) -> Iterator[StartWorker]:
    """Starts `python worker.py`: worker_process(*arguments, **settings by field name) → RunningProgram.

    Its log is <tmp_path>/<worker_id>.log. It is stopped at the end of the test, whatever happened.
    """
    started: list[RunningProgram] = []

    def start(*arguments: str, **given: object) -> RunningProgram:
        given.setdefault("worker_id", f"worker{len(started) + 1}")
        log = tmp_path / f"{given['worker_id']}.log"
        program = RunningProgram(["worker.py", *arguments], log, environment | as_environment(given))
        started.append(program)
        return program

    yield start
    for program in started:
        program.process.terminate()
    for program in started:
        process.stop(program.process, 5)
