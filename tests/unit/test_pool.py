"""The process pool as a worker sees it: jobs go in, outcomes come out."""

import os
import queue
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from _yadtq.jobs import Crashed, Ended, Interrupted, Job, Lost, PoolMessage
from _yadtq.pool import Pool
from _yadtq.slots import GATHER_SECONDS
from tests.support.pools import Driver, handlers, into, running_pool
from tests.support.waiting import eventually


@pytest.fixture
def driver() -> Iterator[Driver]:
    with running_pool() as found:
        yield found


def test_a_job_comes_back_with_its_result_and_its_times(driver: Driver) -> None:
    before = time.monotonic()
    ended = driver.run("add", 1, 2)
    assert ended.result == "3"
    assert ended.failure is None
    assert before <= ended.began_at <= ended.ended_at <= time.monotonic()


def test_jobs_are_counted_while_they_are_inside(driver: Driver) -> None:
    driver.until(lambda: driver.pool.room() >= 2, "both children ready")
    jobs = [driver.submit("nap", 0.5) for _ in range(3)]
    assert driver.pool.held() == 3
    driver.until(lambda: len(driver.pool.running()) == 2, "two children at work")
    assert driver.pool.room() == 0
    for job in jobs:
        driver.ended(job)
    assert driver.pool.held() == 0
    assert driver.pool.running() == []
    assert driver.pool.room() >= 2


def test_a_megabyte_goes_in_and_comes_out(driver: Driver) -> None:
    text = "é\\" * 240_000
    assert driver.result("echo", text) == text
    many = [driver.submit("echo", "y" * 100_000) for _ in range(30)]
    assert all(len(driver.ended(job).result or "") == 100_002 for job in many)


def test_a_result_over_the_limit_is_a_failure(driver: Driver) -> None:
    assert driver.run("big", 999_998).failure is None
    ended = driver.run("big", 999_999)
    assert ended.failure is not None
    assert ended.failure.type == "ResultTooLarge"
    assert "1,000,001" in ended.failure.message
    assert not ended.retryable


def test_half_a_character_pair_in_an_error_is_shown_escaped(driver: Driver) -> None:
    ended = driver.run("fail", "\ud83d")
    assert ended.failure is not None
    assert ended.failure.message == "\\ud83d"
    assert ended.failure.traceback.encode()


def test_a_task_knows_its_id_and_attempt_also_in_its_threads(driver: Driver) -> None:
    job = Job("c", "the id", "who_am_i", "[]", "{}", 4)
    driver.pool.submit([job])
    assert driver.ended(job).result == '["the id",4,true]'


def test_a_child_imports_little(driver: Driver) -> None:
    loaded = set(driver.result("modules"))
    assert not loaded & {"redis", "kafka", "prompt_toolkit", "tabulate", "yadtq"}


def test_children_have_default_signals_and_a_session_of_their_own(driver: Driver) -> None:
    assert driver.result("dispositions") == []
    child, guard = driver.result("processes")
    assert os.getsid(child) == child
    assert os.getsid(guard) == guard
    assert os.getsid(0) not in (child, guard)


def test_a_copy_that_comes_back_from_fork_neither_reports_nor_goes_on(driver: Driver) -> None:
    assert driver.result("fork_and_return") == 1
    assert driver.result("add", 1) == 1
    assert len(driver.of(Ended)) == 2


def test_thousands_of_jobs_all_come_back(driver: Driver) -> None:
    count, sent = 20_000, 0
    jobs = [driver.job("echo", number) for number in range(count)]
    began = time.monotonic()
    while len(driver.messages) < count:
        room = driver.pool.room()
        if room and sent < count:
            driver.pool.submit(jobs[sent : sent + room])
            sent += room
        driver.receive()
        assert time.monotonic() < began + 60
    print(f"{count / (time.monotonic() - began):,.0f} jobs/s")
    results = {each.job.claim: each.result for each in driver.of(Ended)}
    assert results == {job.claim: str(number) for number, job in enumerate(jobs)}


def test_the_reader_lets_outcomes_gather_while_children_are_busy_and_never_for_a_lone_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    sleep = time.sleep

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", pause)
    with running_pool(2) as driver:
        for number in range(100):
            driver.result("add", number)
        assert pauses == []
        jobs = [driver.job("add", number) for number in range(400)]
        driver.pool.submit(jobs)
        driver.until(lambda: len(driver.messages) == 500, "their end")
        assert pauses
        assert max(pauses) <= GATHER_SECONDS


def test_no_descriptor_is_left_open() -> None:
    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = opened()
    for _ in range(2):
        with running_pool(3) as driver:
            for _ in range(3):
                job = driver.submit("leave", 1)
                assert isinstance(driver.outcome(job), Crashed)
            driver.result("echo", "z" * 500_000)
    eventually(lambda: opened() <= before, 10, "no more descriptors")  # other threads may open and close some


def test_replaced_children_leave_no_descriptor_open(driver: Driver) -> None:
    driver.outcome(driver.submit("leave", 1))
    driver.until(lambda: driver.pool.room() >= 2, "the replacement")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        driver.outcome(driver.submit("leave", 1))
    driver.until(lambda: driver.pool.room() >= 2, "the replacement")
    assert len(os.listdir("/proc/self/fd")) == before


def test_abort_ends_every_job_and_the_pool(tmp_path: Path, driver: Driver) -> None:
    path = tmp_path / "marks"
    running = [driver.submit("announce_and_nap", str(path), 60) for _ in range(2)]
    waiting = [driver.submit("nap", 60) for _ in range(3)]
    driver.until(lambda: path.exists() and len(path.read_text().split()) == 2, "two at work")
    children = [int(word) for word in path.read_text().split()]
    driver.pool.abort()
    driver.until(lambda: driver.of(Lost), "the end")
    interrupted = {each.job.claim: each.begun for each in driver.of(Interrupted)}
    assert interrupted == {job.claim: True for job in running} | {job.claim: False for job in waiting}
    assert isinstance(driver.messages[-1], Lost)
    assert all(not Path(f"/proc/{child}").exists() for child in children)
    late = driver.submit("add", 1)
    outcome = driver.outcome(late)
    assert isinstance(outcome, Interrupted)
    assert not outcome.begun


def test_close_gives_back_what_is_inside_and_may_be_repeated() -> None:
    inbox: queue.Queue[PoolMessage] = queue.Queue()
    pool = Pool(handlers(), 1, into(inbox))
    pool.close()
    pool.start()
    pool.confirm(time.clock_gettime(time.CLOCK_BOOTTIME) + 100)
    driver = Driver(pool, inbox)
    job = driver.submit("nap", 60)
    pool.close()
    pool.close()
    assert isinstance(driver.outcome(job), Interrupted)
    assert inbox.empty()


def test_nothing_is_submitted_before_the_lease_is_confirmed() -> None:
    pool = Pool(handlers(), 1, lambda message: None)
    with pytest.raises(RuntimeError, match="start"):
        pool.room()
    pool.start()
    try:
        with pytest.raises(RuntimeError, match="confirm"):
            pool.submit([])
    finally:
        pool.close()


def test_an_idle_child_that_dies_is_replaced_and_the_pool_says_so(driver: Driver) -> None:
    child, _ = driver.result("processes")
    os.kill(child, signal.SIGKILL)
    driver.until(lambda: any("SIGKILL" in str(message) for message in driver.messages), "a word about it")
    driver.until(lambda: driver.pool.room() >= 2, "the replacement")
    assert driver.result("processes")[0] != child


def test_no_job_is_inside_any_more_only_when_its_outcome_was_posted(driver: Driver) -> None:
    for _ in range(300):
        driver.submit("add", 1)
        while driver.pool.held():
            driver.pool.tick()
        assert not driver.inbox.empty()
        driver.receive()
