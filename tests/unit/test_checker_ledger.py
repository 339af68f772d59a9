"""The ledger: what was written is read back, and a run that overlaps another one finds the lock of its task held."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ledger
from tests.support.chaos_recorder import LEDGER_VARIABLE, Recorder
from tests.support.ledger import ACKNOWLEDGED, ATTEMPTED, RAISED, RETURNED, Lines, Submission
from tests.support.servers import ROOT

OTHER = """
import os, sys
from pathlib import Path
from tests.support.chaos_recorder import Recorder
Recorder(Path(os.environ["CHAOS_LEDGER"])).start("t", 1)
print("started", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """This process as a worker's child that runs attempt 2 of task t."""
    monkeypatch.setenv("WORKER_ID", "w1")
    opened = Recorder(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which runs attempt 1 of task t until it is killed."""
    environment = {"PYTHONPATH": str(ROOT), "WORKER_ID": "w2", LEDGER_VARIABLE: str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", OTHER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        yield process
        process.kill()


def test_a_run_beside_another_one_is_not_alone(
    recorder: Recorder, other: subprocess.Popen[str], tmp_path: Path
) -> None:
    recorder.start("t", 2)
    first, second = ledger.runs(tmp_path)
    assert (first.worker, first.attempt, first.alone, first.ended) == ("w2", 1, True, None)
    assert (second.worker, second.attempt, second.alone) == ("w1", 2, False)


def test_a_run_after_the_death_of_another_one_is_alone(
    recorder: Recorder, other: subprocess.Popen[str], tmp_path: Path
) -> None:
    other.kill()
    other.wait()
    recorder.start("t", 2)
    recorder.end("t", RETURNED)
    first, second = ledger.runs(tmp_path)
    assert (first.how, second.how, second.alone) == ("", RETURNED, True)
    assert second.ended is not None
    assert first.started < second.started < second.ended


@pytest.mark.parametrize("how", [RETURNED, RAISED])
def test_a_run_that_has_ended_is_out_of_the_way(recorder: Recorder, how: str, tmp_path: Path) -> None:
    for _ in range(2):
        recorder.start("t", 2)
        recorder.end("t", how)
    assert [(run.how, run.alone) for run in ledger.runs(tmp_path)] == [(how, True)] * 2


def test_a_line_that_was_cut_off_is_not_read(tmp_path: Path) -> None:
    path = ledger.clients_folder(tmp_path) / "client.jsonl"
    lines = Lines(path)
    lines.write(ATTEMPTED, "a", 1.0)
    lines.write(ACKNOWLEDGED, "a", 2.0)
    lines.close()
    with path.open("a", encoding="utf-8") as file:
        file.write('["attempted", "b"')
    assert ledger.submissions(tmp_path) == [Submission(ATTEMPTED, "a", 1.0), Submission(ACKNOWLEDGED, "a", 2.0)]


def test_a_process_is_known_by_more_than_its_number(other: subprocess.Popen[str]) -> None:
    name = ledger.identity(other.pid)
    assert name is not None
    assert name.startswith(f"{other.pid}-")
    other.kill()
    other.wait()
    assert ledger.identity(other.pid) is None
