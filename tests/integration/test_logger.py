"""logger.py on real servers: its files equal the event log, whoever dies, and it tells the history of a task."""

import os
import random
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from _yadtq.settings import Settings
from tests.conftest import StartWorker
from tests.integration.conftest import MISBEHAVING, RECORDED, Figure, Wait
from tests.support.event_sender import EventSender
from tests.support.kafka_tools import ends
from tests.support.loggers import Loggers
from tests.support.notes import Notes
from tests.support.submitters import Load, Submitters
from tests.support.waiting import eventually
from yadtq import Call, TaskClient

LEASE = 3


@pytest.fixture
def loggers(environment: dict[str, str], tmp_path: Path) -> Iterator[Loggers]:
    opened = Loggers(tmp_path / "logs", environment)
    yield opened
    opened.stop()


@pytest.fixture
def sender(settings: Settings) -> Iterator[EventSender]:
    opened = EventSender(settings)
    yield opened
    opened.close()


@pytest.fixture
def submitters(environment: dict[str, str], notes: Notes, tmp_path: Path) -> Iterator[Submitters]:
    """Two clients that submit 200 tasks a second together."""
    started = Submitters(2, Load("note", [notes.path], pause=0.2), tmp_path, environment)
    yield started
    started.stop()


def wait_until_written(loggers: Loggers, settings: Settings) -> None:
    """Until the logger has everything that the event log has."""
    topic = f"{settings.namespace}_events"
    eventually(lambda: loggers.offset() >= ends(settings.kafka_broker, topic, 1)[0], 30, "the end of the event log")


def wait_beyond(loggers: Loggers, offset: int) -> None:
    eventually(lambda: loggers.offset() > offset, 30, "the logger goes on")


def limit(process: subprocess.Popen[bytes], size: int) -> None:
    """A process may write no files that are larger."""
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


# -- the files


def test_a_logger_that_is_killed_again_and_again_writes_each_event_once(
    settings: Settings,
    client: TaskClient,
    worker_process: StartWorker,
    submitters: Submitters,
    loggers: Loggers,
    all_ended: Wait,
    figure: Figure,
) -> None:
    worker_process(*RECORDED)
    mixer = random.Random(1)
    for _ in range(10):
        logger = loggers.start("--bytes", "30000", "--keep", "1000")
        wait_beyond(loggers, loggers.offset() + mixer.randrange(40))
        logger.kill()
    ids = [task_id for report in submitters.stop() for task_id in report.ids]
    all_ended(ids)
    eventually(lambda: client.stats().outbox == 0)
    logger = loggers.start("--bytes", "30000", "--keep", "1000")
    wait_until_written(loggers, settings)
    assert logger.terminate() == 0
    repeats = loggers.assert_equal_to_the_topic(settings.kafka_broker, f"{settings.namespace}_events")
    lines = loggers.lines("yadtq.log")
    assert sorted(line.split()[1] for line in lines if "action=success" in line) == sorted(ids)
    aside = len(list(loggers.folder.glob("audit-*")))
    figure(f"{len(lines)} lines of {len(ids)} tasks, {repeats} repeats, {aside} files moved aside; 10 times killed")
    assert aside > 3


def test_one_logger_a_folder(loggers: Loggers, settings: Settings, sender: EventSender) -> None:
    sender.events([1])
    logger = loggers.start()
    wait_until_written(loggers, settings)
    second = loggers.ask()
    assert (second.returncode, second.stderr.count("\n")) == (3, 1)
    assert f"another logger writes to {loggers.folder}: one is enough" in second.stderr
    assert logger.terminate() == 0


def test_a_full_disk_is_told_once_and_loses_nothing(
    loggers: Loggers, settings: Settings, sender: EventSender, tmp_path: Path
) -> None:
    """The disk is full where the file system says so: here, because the process may write no larger files."""
    ready = tmp_path / "ready"
    sender.begin(1)
    sender.events(range(1, 200))
    logger = loggers.start("--bytes", "1000000", READY_FILE=str(ready))
    wait_until_written(loggers, settings)
    eventually(ready.exists)
    size = (loggers.folder / "audit.jsonl").stat().st_size
    limit(logger.process, size + 10_000)
    sender.events(range(200, 400))
    logger.prints("File too large; nothing is lost meanwhile (trying again)")
    eventually(lambda: not ready.exists())
    limit(logger.process, resource.RLIM_INFINITY)
    wait_until_written(loggers, settings)
    logger.prints("it works again")
    eventually(ready.exists)
    assert logger.terminate() == 0
    assert not ready.exists()
    assert logger.output.count("trying again") == 1
    loggers.assert_equal_to_the_topic(settings.kafka_broker, f"{settings.namespace}_events")


# -- the history of a task


def actions(history: dict[str, Any]) -> list[str]:
    return [step["action"] for step in history["steps"] if step["action"] != "read"]


def outcomes(history: dict[str, Any]) -> list[tuple[int, str]]:
    return [(attempt["attempt"], attempt["outcome"]) for attempt in history["attempts"]]


def test_the_history_of_a_task_has_everything(
    settings: Settings, client: TaskClient, worker_process: StartWorker, notes: Notes, all_ended: Wait, loggers: Loggers
) -> None:
    logger = loggers.start()
    frozen = worker_process(*MISBEHAVING, worker_timeout=LEASE, concurrency=1, retry_delay=0.1)
    taken = client.submit("note_slow_first", notes.path, 1)
    notes.wait_for(1)
    os.kill(frozen.process.pid, signal.SIGSTOP)
    worker_process(*MISBEHAVING, worker_timeout=LEASE, retry_delay=0.1)
    raising, crashing = client.submit("fail_first", notes.path, 1), client.submit("exit_at_once", notes.path, 1)
    [failing] = client.submit_many([Call("fail_first", (notes.path, 1), max_retries=0)])
    all_ended([raising, crashing, failing, taken])
    client.retry(failing)
    os.kill(frozen.process.pid, signal.SIGCONT)
    eventually(lambda: "action=refused" in frozen.output)
    all_ended([failing])
    client.reset()
    eventually(lambda: client.stats().outbox == 0)
    wait_until_written(loggers, settings)

    wanted = {
        raising: ["register", "take", "retry", "take", "success", "reset"],
        crashing: ["register", "take", "crash", "take", "success", "reset"],
        failing: ["register", "take", "failed", "requeue", "take", "success", "reset"],
        taken: ["register", "take", "reclaim", "take", "success", "refused", "reset"],
    }
    for task_id, expected in wanted.items():
        history = loggers.history(task_id[:12])
        assert (history["id"], history["state"], history["complete"]) == (task_id, "reset", True)
        assert actions(history) == expected
    assert outcomes(loggers.history(raising)) == [(1, "retry"), (2, "success")]
    worker = frozen.log.stem
    first, second = loggers.history(taken)["attempts"]
    assert (first["worker"].partition("~")[0], first["outcome"]) == (worker, "reclaim")
    assert second["taken_at"] <= second["started_at"] <= second["finished_at"]
    told = loggers.ask("--task", raising).stdout
    assert f"task {raising}: reset" in told
    assert "RuntimeError: attempt 1 of 1 that fail" in told
    assert f"submitted by {history['submitted_by'].partition('#')[0]}" in told
    assert logger.terminate() == 0


def test_what_the_files_lack_is_read_from_the_topic(
    settings: Settings, client: TaskClient, worker_process: StartWorker, all_ended: Wait, notes: Notes, loggers: Loggers
) -> None:
    first = client.submit("note", notes.path)
    loggers.folder.mkdir()
    logger = loggers.start("--bytes", "1", "--keep", "0")  # keeps next to nothing
    worker_process(*RECORDED)
    all_ended([first])
    wait_until_written(loggers, settings)
    assert logger.terminate() == 0
    second = client.submit("note", notes.path)  # nobody has written that down
    all_ended([second])
    eventually(lambda: client.stats().outbox == 0)
    for task_id in (first, second):
        assert actions(loggers.history(task_id)) == ["register", "take", "success"]
    missing = loggers.ask("--task", "no such task")
    assert (missing.returncode, missing.stdout, missing.stderr.count("\n")) == (1, "", 1)
    assert "no event names the task no such task" in missing.stderr


def test_without_kafka_the_files_still_answer(
    settings: Settings, loggers: Loggers, sender: EventSender, environment: dict[str, str]
) -> None:
    sender.events([1])
    logger = loggers.start()
    wait_until_written(loggers, settings)
    assert logger.terminate() == 0
    away = Loggers(loggers.folder, environment | {"KAFKA_BROKER": "127.0.0.1:1"})
    done = away.ask("--task", "t1")
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert "take      attempt 1 by w~1" in done.stdout
    assert f"only what {loggers.folder} has is known" in done.stderr
    assert away.ask("--task", "t2").returncode == 3
