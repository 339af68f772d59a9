"""scripts/: each does what its name says, from any directory."""

import os
import signal
import subprocess
from pathlib import Path

import kafka
import pytest

from _yadtq.settings import Settings
from local import process
from tests.support.servers import ROOT
from tests.support.waiting import eventually
from yadtq import TaskClient

SCRIPTS = ROOT / "scripts"


def script(name: str, *arguments: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a script in a folder that is not the checkout, to its end."""
    return subprocess.run(
        [str(SCRIPTS / name), *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_topics_are_created_with_the_settings_and_once(
    settings: Settings, environment: dict[str, str], tmp_path: Path
) -> None:
    wanted = {f"{settings.namespace}_tasks": 5, f"{settings.namespace}_events": 1}
    for _ in range(2):
        done = script("create_topics.sh", folder=tmp_path, environment=environment | {"KAFKA_PARTITIONS": "5"})
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.split() == list(wanted)
    admin = kafka.KafkaAdminClient(bootstrap_servers=settings.kafka_broker)
    found = admin.describe_topics(list(wanted))
    admin.close()
    assert {topic["name"]: len(topic["partitions"]) for topic in found} == wanted


@pytest.mark.parametrize(("broker", "code"), [("127.0.0.1:1", 3), ("nonsense", 2)])
def test_topics_that_cannot_be_created_are_one_line(broker: str, code: int, tmp_path: Path) -> None:
    done = script("create_topics.sh", folder=tmp_path, environment={"KAFKA_BROKER": broker})
    assert (done.returncode, done.stdout) == (code, "")
    assert len(done.stderr.splitlines()) == 1
    assert broker in done.stderr


def test_worker_and_client_run_from_any_directory(
    environment: dict[str, str], client: TaskClient, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    program = process.Program([str(SCRIPTS / "run_worker.sh")], log, environment=environment, directory=tmp_path)
    worker = process.spawn(program)
    try:
        eventually(lambda: [each.process for each in client.workers()] == [worker.pid], 30, "the worker, by itself")
        done = script("run_client.sh", "ADD", "2", "3", folder=tmp_path, environment=environment)
        assert (done.returncode, done.stderr) == (0, "")
        assert "5" in done.stdout.split()
        worker.send_signal(signal.SIGTERM)  # it reaches the worker itself: no shell stands between
        assert worker.wait(40) == 0
    finally:
        process.stop(worker, 5)
