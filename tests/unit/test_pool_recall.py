"""Jobs that have not begun can be taken back, without any chance that they run as well."""

import os
import random
import signal
import time
from pathlib import Path

from _yadtq.jobs import Ended, Job
from tests.support.pools import Driver, marks, running_pool


def teach(driver: Driver, task: str, *args: object, count: int = 60) -> None:
    """Lets the pool learn that this task is short."""
    jobs = [driver.job(task, *args) for _ in range(count)]
    driver.pool.submit(jobs)
    for job in jobs:
        driver.ended(job)


def test_under_load_none_is_both_run_and_recalled_and_none_is_lost(tmp_path: Path) -> None:
    path, count, dice = tmp_path / "marks", 6000, random.Random(4)
    with running_pool(2) as driver:
        jobs = {number: driver.job("mark", str(path), number) for number in range(count)}
        left = list(jobs.values())
        recalled: list[Job] = []
        end = time.monotonic() + 60
        while left or driver.pool.held():
            assert time.monotonic() < end
            if left and driver.pool.held() < 400:
                size = dice.randint(1, 300)
                driver.pool.submit(left[:size])
                left = left[size:]
            driver.receive()
            if dice.random() < 0.3 and 4 * len(driver.of(Ended)) >= len(recalled):  # slow children get their share too
                recalled += driver.pool.recall()
        driver.until(lambda: len(driver.of(Ended)) + len(recalled) >= count, "the end of all")
        ran = marks(path, 0)
        print(f"{len(ran)} ran, {len(recalled)} recalled")
        assert len(recalled) > 100
        assert len(ran) > 100
        assert sorted(ran) == sorted(set(ran))
        recalled_numbers = {number for number, job in jobs.items() if job in set(recalled)}
        assert recalled_numbers | set(ran) == set(range(count))
        assert not recalled_numbers & set(ran)
        assert {each.job.claim for each in driver.of(Ended)} == {jobs[number].claim for number in ran}


def test_recalled_jobs_are_all_that_had_not_begun(tmp_path: Path) -> None:
    path = tmp_path / "marks"
    with running_pool(1) as driver:
        first = driver.submit("announce_and_nap", str(path), 0.3)
        others = [driver.submit("add", number) for number in range(10)]
        driver.until(lambda: marks(path, 1), "its start")
        assert driver.pool.recall() == others
        assert driver.pool.held() == 1
        assert driver.ended(first).failure is None
        assert driver.pool.recall() == []


def test_jobs_that_were_recalled_again_and_again_leave_a_child_that_serves(tmp_path: Path) -> None:
    path = tmp_path / "marks"
    with running_pool(1) as driver:
        child, _ = driver.result("processes")
        os.kill(child, signal.SIGSTOP)
        recalled: list[Job] = []
        for number in range(200):  # far more than its socket holds
            job = driver.job("mark", str(path), number, padding="x" * 5000)
            driver.pool.submit([job])
            recalled += driver.pool.recall()
        os.kill(child, signal.SIGCONT)
        assert len(recalled) == 200
        assert driver.pool.held() == 0
        assert driver.run("mark", str(path), 7).failure is None
        assert marks(path, 1) == [7]


def test_a_job_that_comes_back_to_the_same_child_runs_once_and_in_its_turn(tmp_path: Path) -> None:
    path = tmp_path / "marks"
    with running_pool(1) as driver:
        teach(driver, "mark", str(path), 0)
        child, _ = driver.result("processes")
        os.kill(child, signal.SIGSTOP)
        jobs = [driver.job("mark", str(path), number) for number in range(1, 9)]
        driver.pool.submit(jobs)
        recalled = driver.pool.recall()
        driver.pool.submit([*recalled[4:], *recalled[:4]])
        os.kill(child, signal.SIGCONT)
        for job in jobs:
            driver.ended(job)
        assert [number for number in marks(path, 1) if number] == [5, 6, 7, 8, 1, 2, 3, 4]


def test_jobs_behind_one_that_turns_out_slow_go_to_a_free_child(tmp_path: Path) -> None:
    with running_pool(2) as driver:
        teach(driver, "nap", 0)
        slow = driver.job("nap", 3)
        quick = [driver.job("nap", 0) for _ in range(60)]
        driver.pool.submit([slow, *quick])
        for job in quick:
            driver.ended(job)
        assert driver.pool.running() == [slow.claim]


def test_jobs_behind_slow_ones_on_all_children_are_reported_as_stuck() -> None:
    with running_pool(1) as driver:
        teach(driver, "nap", 0)
        slow = driver.job("nap", 2)
        quick = [driver.job("nap", 0) for _ in range(60)]
        driver.pool.submit([slow, *quick])
        stuck: list[Job] = []

        def collect() -> bool:
            stuck.extend(driver.pool.stuck())
            return len(stuck) == len(quick)

        driver.until(collect, "all stuck")
        assert {job.claim for job in stuck} == {job.claim for job in quick}
        assert driver.pool.running() == [slow.claim]
        assert driver.pool.held() == 1
        assert driver.pool.room() == 0
        driver.ended(slow)


def test_jobs_that_are_given_back_are_not_run_here() -> None:
    with running_pool(2) as driver:
        teach(driver, "add", 1)
        driver.messages.clear()
        jobs = [driver.job("add", number) for number in range(3000)]
        driver.pool.submit(jobs)
        given_back: list[Job] = []
        while driver.pool.held():
            given_back += driver.pool.stuck()
            driver.receive()
        driver.until(lambda: len(driver.of(Ended)) + len(given_back) >= len(jobs), "the end of all")
        ran = [each.job.claim for each in driver.of(Ended)]
        assert len(given_back) > 100
        assert sorted([*ran, *(job.claim for job in given_back)]) == sorted(job.claim for job in jobs)
