"""The parts of the worker manager that need no worker: pauses, the end of a family, and what it tells about itself."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import manager
from local import families, process, report
from local.backoff import STEADY_SECONDS, Backoff
from local.crew import Row, described
from local.families import GIVE_UP_SECONDS, GRACE_SECONDS, Relative, Remains
from local.report import Place, Report
from tests.support.servers import ROOT

ROW = Row("w1", "online", 12, 3.0, 1, 2, 3, 40, "")
REPORT = Report(1000.0, os.getpid(), "running", 1, 4, 2, "why", "", 0, (ROW,))


def pauses(deaths: int, lived: float, code: int) -> list[float]:
    backoff, found = Backoff(), []
    for _ in range(deaths):
        backoff, pause = backoff.after(lived, code)
        found.append(pause)
    return found


def test_who_keeps_dying_waits_longer_and_longer() -> None:
    assert pauses(9, 0.5, -9) == [0, 1, 2, 4, 8, 16, 32, 60, 60]


def test_who_lived_for_a_while_starts_again_at_once() -> None:
    assert pauses(3, STEADY_SECONDS, 1) == [0, 0, 0]
    backoff, pause = Backoff(7).after(STEADY_SECONDS, 1)
    assert (pause, backoff.after(0.0, 1)[1]) == (0, 1)


def test_who_cannot_run_with_these_settings_waits_long() -> None:
    assert pauses(6, 0.5, 2) == [30, 60, 120, 240, 300, 300]
    assert pauses(10_000, 0.5, 2)[-1] == 300


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "ended by itself"),
        (2, "ended with exit code 2"),
        (-9, "was ended by SIGKILL"),
        (-99, "was ended by signal 99"),
    ],
)
def test_an_end_is_said_in_words(code: int, text: str) -> None:
    assert described(code) == text


# -- the end of a family


OURS, OTHERS, STRANGER, UNMARKED = (
    Relative(2**22 + number, 50, mark) for number, mark in enumerate(("fam-1", "fam-2", "else-1", ""))
)


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[Relative]:
    found: list[Relative] = []
    monkeypatch.setattr(families, "kill", found.append)
    return found


def test_a_family_is_over_when_two_looks_find_nothing() -> None:
    remains = Remains("fam-1", 40, 0.0)
    assert [remains.over(left, 0.1) for left in ([], [OURS], [], [])] == [False, False, False, True]
    assert remains.certain


@pytest.mark.parametrize("left", [OURS, STRANGER, UNMARKED])
def test_what_may_be_of_a_family_has_a_second_to_end(left: Relative, killed: list[Relative]) -> None:
    remains = Remains("fam-1", 40, 100.0)
    assert not remains.over([left], 100.0 + GRACE_SECONDS)
    assert killed == []
    assert not remains.over([left], 100.1 + GRACE_SECONDS)
    assert killed == [left]


@pytest.mark.parametrize("left", [OTHERS, replace(STRANGER, started=39), replace(UNMARKED, started=39)])
def test_what_cannot_be_of_a_family_is_left_alone(left: Relative, killed: list[Relative]) -> None:
    remains = Remains("fam-1", 40, 0.0)
    assert [remains.over([left], 5.0) for _ in range(2)] == [False, True]
    assert remains.certain
    assert killed == []


def test_what_cannot_be_killed_is_given_up_and_nothing_is_certain(killed: list[Relative]) -> None:
    remains = Remains("fam-1", 40, 0.0)
    assert not remains.over([OURS], GIVE_UP_SECONDS - 0.1)
    assert remains.over([OURS], GIVE_UP_SECONDS + 0.1)
    assert not remains.certain
    assert len(killed) == 2


FAMILY = """
import os, subprocess, sys
from local import families
families.adopt_orphans()
sleep = [sys.executable, "-S", "-c", "import time; print('up', flush=True); time.sleep(60)"]
start = f"import os, subprocess\\nsubprocess.Popen({sleep!r}, env={{}}, start_new_session=True)\\nos._exit(0)"
first = subprocess.Popen([sys.executable, "-S", "-c", start], env={"YADTQ_CREW": "fam-1"}, stdout=subprocess.PIPE)
second = subprocess.Popen(sleep, env={"YADTQ_CREW": "fam-2"}, stdout=subprocess.PIPE)
for each in (first, second):
    each.stdout.readline()
first.wait()
(orphan,) = families.relatives({second.pid})
assert (orphan.mark, orphan.pid != first.pid) == ("", True), orphan
(marked,) = [each for each in families.relatives(set()) if each.pid == second.pid]
assert marked.mark == "fam-2", marked
for each in (orphan, marked):
    families.kill(families.Relative(each.pid, each.started + 1, each.mark))  # another process of that number
assert len(families.relatives(set())) == 2
families.kill(orphan)
while families.relatives({second.pid}):
    pass
families.reap({second.pid})
assert not os.path.exists(f"/proc/{orphan.pid}")
second.kill()
second.wait()
print("done")
"""


def test_what_has_lost_its_parent_is_found_ended_and_reaped() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAMILY], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.stdout == "done\n", done.stderr


# -- what it tells


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place.in_logs(tmp_path)
    made.folder.mkdir()
    return made


def test_a_report_is_read_as_it_was_written_while_its_process_lives(place: Place) -> None:
    report.write(place, REPORT)
    assert report.read(place) is None
    with process.alone(place.pid_file):
        assert report.read(place) == REPORT
        report.write(place, replace(REPORT, process=1))
        assert report.read(place) is None  # an earlier manager's, which had the same folder
    assert report.read(place) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"workers": [1]}', '{"workers": [], "at": 1}'])
def test_a_damaged_report_is_none(place: Place, text: str) -> None:
    with process.alone(place.pid_file):
        place.state.write_text(text, encoding="utf-8")
        assert report.read(place) is None


def test_the_lines_for_a_person_hide_nothing_and_steer_nothing() -> None:
    down = Row("w2\x1b[31m", "waiting", 0, 4.0, 3, 0, 0, 0, "its process 7 was ended by SIGKILL")
    told = replace(REPORT, workers=(ROW, down), problem="no Redis", unburied=2)
    text = "\n".join(report.as_text(told, 1001.0))
    assert "1 of 2 workers online (1 to 4 may run): why" in text
    assert "queue: no Redis" in text
    assert "SIGKILL" in text
    assert "\x1b" not in text
    assert "s old" not in text
    assert "this is 60 s old" in "\n".join(report.as_text(told, 1060.0))


def test_two_processes_cannot_have_one_place(place: Place) -> None:
    code = (
        "import sys; from pathlib import Path; from local import process\nwith process.alone(Path(sys.argv[1])): pass"
    )
    command = [sys.executable, "-c", code, str(place.pid_file)]
    with process.alone(place.pid_file):
        refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"AlreadyRuns: process {os.getpid()} runs already" in refused.stderr
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def test_status_also_finds_the_manager_of_make_up_unless_a_folder_is_named(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(manager, "LOGS_OF_START", tmp_path)
    with process.alone(place.pid_file):
        report.write(place, REPORT)
        assert manager.main(["status"]) == 0
        assert capsys.readouterr().out.startswith(f"manager: process {os.getpid()}, running")
        assert manager.main(["status", "--log-folder", str(tmp_path / "elsewhere")]) == 3
    assert manager.main(["status"]) == 3
    assert f"log folder {tmp_path / 'logs'}" in capsys.readouterr().err
