"""What handlers do to their process, what others do to it, and what the pool makes of it."""

import itertools
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from _yadtq.jobs import Crashed, Ended, Interrupted, Lost, Printed, TimedOut
from tests.support.pools import await_death, marks, running_pool


def test_a_handler_that_holds_the_gil_disturbs_nobody(tmp_path: Path) -> None:
    path = tmp_path / "marks"
    with running_pool() as driver:
        job = driver.submit("hold_gil", str(path), 2)
        driver.until(lambda: marks(path, 1), "its start")
        for number in range(50):
            assert driver.result("add", number) == number
        assert driver.pool.running() == [job.claim]
        assert driver.ended(job).result == '"held"'


@pytest.mark.parametrize(
    ("task", "args", "reason"),
    [
        ("leave", (7,), "code 7"),
        ("leave", (0,), "code 0"),
        ("segfault", (), "SIGSEGV"),
        ("ruin_links", (), "code 1"),
        ("garble_pipe", ("Zgarbage",), "cannot be read"),
        ("garble_pipe", ("\x09\x00Zgarbage1",), "cannot be read"),
        ("garble_pipe", ("\x00\x00Onumbered",), "cannot be read"),
    ],
)
def test_a_child_that_dies_costs_its_own_job_only(task: str, args: tuple[Any, ...], reason: str) -> None:
    with running_pool() as driver:
        other = driver.submit("nap", 0.5)
        outcome = driver.outcome(driver.submit(task, *args))
        assert isinstance(outcome, Crashed)
        assert reason in outcome.reason
        assert isinstance(driver.outcome(other), Ended)
        assert driver.result("add", 1, 1) == 2


def test_a_child_that_cannot_be_understood_dies_also_when_the_guard_takes_no_requests_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with running_pool(1) as driver:
        guarding = driver.pool._started().guarding
        kill_child, asked = guarding.kill_child, itertools.count()
        monkeypatch.setattr(guarding, "kill_child", lambda number: next(asked) > 2 and kill_child(number))
        assert isinstance(driver.outcome(driver.submit("garble_pipe", "Zgarbage")), Crashed)
        assert driver.result("add", 1, 1) == 2


def test_garbage_in_the_place_of_a_large_result_ends_the_child_and_the_result_counts() -> None:
    with running_pool(1) as driver:
        child, _ = driver.result("processes")
        assert driver.result("garble_socket") == "x" * 10_000
        assert await_death(child)
        assert driver.result("processes")[0] != child


def test_a_file_that_a_handler_opens_in_the_place_of_what_it_closed_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "opened"
    with running_pool(1) as driver:
        assert driver.result("open_after_closing", str(path)) is None
        assert driver.result("big", 500_000) == "x" * 500_000
        assert path.read_bytes() == b""


def test_the_interpreter_says_where_it_crashed() -> None:
    with running_pool() as driver:
        job = driver.submit("segfault")
        driver.outcome(job)
        lines = [line for _, line in driver.printed(job)]
        assert any("in segfault" in line for line in lines), driver.of(Printed)


def test_jobs_behind_a_crash_run_elsewhere() -> None:
    with running_pool(1) as driver:
        for _ in range(30):
            driver.result("add", 1)
            driver.result("leave_if", False)
        jobs = [driver.job("leave_if", False), driver.job("leave_if", True)]
        jobs += [driver.job("leave_if", False) for _ in range(20)]
        driver.pool.submit(jobs)
        outcomes = [driver.outcome(job) for job in jobs]
        assert [type(outcome) for outcome in outcomes] == [Ended, Crashed] + [Ended] * 20


def test_a_child_that_is_killed_from_outside_is_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "marks"
    with running_pool() as driver:
        job = driver.submit("announce_and_nap", str(path), 60)
        driver.until(lambda: marks(path, 1), "its start")
        os.kill(marks(path, 1)[0], signal.SIGKILL)
        outcome = driver.outcome(job)
        assert isinstance(outcome, Crashed)
        assert "SIGKILL" in outcome.reason


def test_a_job_over_its_time_limit_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    path = tmp_path / "marks"
    with running_pool(1) as driver:
        job = driver.submit("leave_grandchildren", str(path), 60, limit=1.0)
        outcome = driver.outcome(job)
        assert isinstance(outcome, TimedOut)
        assert outcome.ended_at - outcome.began_at >= 1.0
        assert len(marks(path, 3)) == 3
        for process in marks(path, 3):
            assert not Path(f"/proc/{process}").exists()
        assert driver.result("add", 2) == 2


def test_what_a_crashed_child_had_started_is_dead_when_the_crash_is_told(tmp_path: Path) -> None:
    path = tmp_path / "marks"
    with running_pool(1) as driver:
        job = driver.submit("leave_grandchildren", str(path), 60)
        driver.until(lambda: marks(path, 3), "its start")
        os.kill(marks(path, 3)[2], signal.SIGKILL)
        assert isinstance(driver.outcome(job), Crashed)
        for process in marks(path, 3):
            assert not Path(f"/proc/{process}").exists()


def test_a_time_limit_does_not_touch_a_job_that_holds_to_it() -> None:
    with running_pool(1) as driver:
        assert driver.run("nap", 0.2, limit=30.0).result == "0.2"
        outcome = driver.outcome(driver.submit("nap", 30, limit=0.2))
        assert isinstance(outcome, TimedOut)


def test_a_killed_guard_takes_the_children_with_it_and_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "marks"
    with running_pool() as driver:
        guard = driver.result("processes")[1]
        running = driver.submit("leave_grandchildren", str(path), 60)
        driver.until(lambda: marks(path, 3), "its start")
        os.kill(guard, signal.SIGKILL)
        began = time.monotonic()
        driver.until(lambda: driver.of(Lost), "the loss")
        print(f"noticed after {time.monotonic() - began:.3f} s")
        outcome = driver.outcome(running)
        assert isinstance(outcome, Interrupted)
        assert outcome.begun
        assert "SIGKILL" in driver.of(Lost)[0].reason
        assert all(await_death(process) for process in marks(path, 3))
        assert driver.pool.room() == 0


def test_a_stopped_guard_is_noticed_and_the_children_die(tmp_path: Path) -> None:
    path = tmp_path / "marks"
    with running_pool() as driver:
        guard = driver.result("processes")[1]
        job = driver.submit("announce_and_nap", str(path), 60)
        driver.until(lambda: marks(path, 1), "its start")
        os.kill(guard, signal.SIGSTOP)
        outcome = driver.outcome(job)
        assert isinstance(outcome, Interrupted)
        assert await_death(marks(path, 1)[0])
        driver.until(lambda: driver.of(Lost), "the loss")
        assert "stopped" in driver.of(Lost)[0].reason


def test_children_die_at_the_deadline_unless_it_is_confirmed_again(tmp_path: Path) -> None:
    path = tmp_path / "marks"
    with running_pool(1, live_seconds=1.0) as driver:
        job = driver.submit("announce_and_nap", str(path), 60)
        driver.until(lambda: marks(path, 1), "its start")
        deadline = time.clock_gettime(time.CLOCK_BOOTTIME) + 1.5
        driver.pool.confirm(deadline)
        outcome = driver.outcome(job)
        assert isinstance(outcome, Interrupted)
        assert time.clock_gettime(time.CLOCK_BOOTTIME) >= deadline
        driver.until(lambda: driver.of(Lost), "the loss")
        assert "deadline" in driver.of(Lost)[0].reason
        # Nothing starts any more, whatever is confirmed now.
        driver.pool.confirm(time.clock_gettime(time.CLOCK_BOOTTIME) + 100)
        assert isinstance(driver.outcome(driver.submit("add", 1)), Interrupted)


def test_a_child_that_dies_at_once_again_and_again_is_not_restarted_in_a_loop() -> None:
    with running_pool(1) as driver:
        births: list[tuple[int, float]] = []

        def kill_next() -> bool:
            children = [each for each in driver.pool._started().children.living if each.slot]
            for child in children:
                number = child.process.number
                if not births or births[-1][0] != number:
                    births.append((number, time.monotonic()))
                    signal.pidfd_send_signal(child.process.handle, signal.SIGKILL)
            return len(births) >= 5

        driver.until(kill_next, "five deaths")
        gaps = [after[1] - before[1] for before, after in itertools.pairwise(births)]
        assert all(gap >= least for gap, least in zip(gaps, (0.0, 0.1, 0.2, 0.4), strict=True)), gaps


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_guard_outlives_signals_that_are_meant_for_the_worker(sent: signal.Signals) -> None:
    with running_pool(1) as driver:
        guard = driver.result("processes")[1]
        os.kill(guard, sent)
        assert driver.result("processes")[1] == guard


def test_a_driver_never_sees_a_begun_job_twice() -> None:
    with running_pool(2) as driver:
        jobs = [driver.submit("leave", 1) if number % 10 == 0 else driver.submit("add", number) for number in range(60)]
        outcomes = [driver.outcome(job) for job in jobs]
        assert [isinstance(each, Crashed) for each in outcomes] == [number % 10 == 0 for number in range(60)]
