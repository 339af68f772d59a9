"""The comparison: the same tasks, the same kills and the same ledger, for us and for other task queues."""

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from local import process
from local.process import Program
from tests.support import ledger
from tests.support.chaos_arena import LEASE_SECONDS, Arena, name_of
from tests.support.chaos_injector import play
from tests.support.chaos_recorder import LEDGER_VARIABLE
from tests.support.chaos_rounds import Result, Say, wait_for_runs
from tests.support.chaos_servers import chaos_redis
from tests.support.chaos_tally import Tally, table, tally
from tests.support.faults import DOWN_SECONDS, Step
from tests.support.ledger import RETURNED, Run, now
from tests.support.servers import ROOT
from tests.support.waiting import eventually
from yadtq import Call

TASKS, TASK_SECONDS, WORKERS, SLOTS, KILLS = 500, 0.5, 4, 3, 5
RUNS_BETWEEN = 60  # from one kill to the next
PATIENCE_SECONDS = 180.0  # until what has not ended counts as lost
PEERS = {"Celery": "tests.chaos.peers.celery_queue", "RQ": "tests.chaos.peers.rq_queue"}
HOME = ROOT / ".yadtq" / "peers" / "chaos"
REQUIREMENTS = ROOT / "tests" / "chaos" / "peers" / "requirements.txt"


def peers(folder: Path, seed: int, say: Say) -> Result:
    """500 tasks of 0.5 s, 4 workers, 5 SIGKILLs: what became of the tasks, in a table."""
    result = Result(
        f"{TASKS} tasks of {TASK_SECONDS} s, {WORKERS} workers of {SLOTS}, {KILLS} SIGKILLs, as others do it"
    )
    python = installed(say)
    rows = [("YADTQ", _ours(folder / "yadtq", seed, say))]
    for name, module in PEERS.items():
        peer = Peer(folder / name.lower(), [str(python), "-m", module])
        try:
            rows.append((name, peer.run(seed, lambda line, name=name: say(f"  {name}: {line}"))))  # type: ignore[misc]
        finally:
            peer.close()
    result.figures += table(rows)
    if rows[0][1].lost or rows[0][1].overlaps:
        result.problems.append("YADTQ lost a task, or ran one twice at once")
    return result


def installed(say: Say) -> Path:
    """The Python of the others' environment, made when it is not there or other versions are wanted."""
    python, stamp = HOME / "bin" / "python", HOME / "requirements.txt"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        say(f"  installing the other task queues into {HOME}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(HOME)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(REQUIREMENTS)], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return python


def _ours(folder: Path, seed: int, say: Say) -> Tally:
    arena = Arena(folder, seed, concurrency=SLOTS)
    try:
        arena.start(WORKERS)
        began = now()
        ids = arena.submit([Call("work", (TASK_SECONDS,)) for _ in range(TASKS)])

        def kill(number: int) -> None:
            say(f"  YADTQ: SIGKILL of {name_of(number)}")
            play(arena, Step(0, "kill-worker", number))

        _kills(lambda: wait_for_runs(arena, len(arena.runs()) + RUNS_BETWEEN), kill, seed)
        arena.settle_down()
        return tally(ids, arena.runs(), began)
    finally:
        arena.close()


def _kills(wait: Callable[[], object], kill: Callable[[int], None], seed: int) -> None:
    """Kills the same workers of every task queue, each after so many more starts and somewhere within a task."""
    chance = random.Random(seed)
    for _ in range(KILLS):
        wait()
        pause(chance.uniform(0, TASK_SECONDS))
        kill(chance.randint(1, WORKERS))


def pause(seconds: float) -> None:
    end = now() + seconds
    eventually(lambda: now() >= end, seconds + 1)


def _session(leader: int) -> list[int]:
    """All processes of a session. Its leader is not reaped yet, so its number is nobody else's."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(ProcessLookupError):
            if name.isdigit() and os.getsid(int(name)) == leader:
                found.append(int(name))
    return found


class Peer:
    """Another task queue: a Redis, four workers, and a client. command: runs its driver."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        folder.mkdir(parents=True)
        self._folder, self._command = folder, command
        self._ledger = folder / "ledger"
        ledger.runs_folder(self._ledger).mkdir(parents=True)
        self._redis = chaos_redis(folder)
        self._workers: dict[int, subprocess.Popen[bytes]] = {}

    def run(self, seed: int, say: Say) -> Tally:
        """The whole round. Returns what became of the tasks."""
        self._redis.start()
        self._redis.wait_ready()
        for number in range(1, WORKERS + 1):
            self._start(number)
        began = now()
        subprocess.run([*self._command, "submit", str(TASKS)], env=self._environment(0), cwd=ROOT, check=True)

        def kill(number: int) -> None:
            say(f"SIGKILL of {name_of(number)}")
            self._kill(number)

        def wait() -> None:
            wanted = len(self._runs()) + RUNS_BETWEEN
            eventually(lambda: len(self._runs()) >= wanted, 60, f"{wanted} starts")

        _kills(wait, kill, seed)
        tasks = {f"task{number}" for number in range(TASKS)}
        try:
            eventually(lambda: self._ended() >= tasks, PATIENCE_SECONDS, "the end of all tasks")
        except AssertionError:
            say(f"after {PATIENCE_SECONDS:g} s not all have ended")
        return tally(tasks, self._runs(), began)

    def close(self) -> None:
        """Ends all that was started."""
        for number in list(self._workers):
            self._end(number)
        self._redis.kill()

    def _start(self, number: int) -> None:
        command = [*self._command, "worker", name_of(number), str(SLOTS)]
        log = self._folder / f"{name_of(number)}.log"
        self._workers[number] = process.spawn(
            Program(command, log, environment=self._environment(number), directory=ROOT)
        )

    def _kill(self, number: int) -> None:
        """The whole worker, as when its container is killed; another one takes its place after a second."""
        self._end(number)
        pause(DOWN_SECONDS)
        self._start(number)

    def _end(self, number: int) -> None:
        worker = self._workers.pop(number)
        for each in _session(worker.pid):
            os.kill(each, signal.SIGKILL)
        worker.wait()

    def _runs(self) -> list[Run]:
        return ledger.runs(self._ledger)

    def _ended(self) -> set[str]:
        return {run.task for run in self._runs() if run.how == RETURNED}

    def _environment(self, number: int) -> dict[str, str]:
        return {
            **os.environ,
            LEDGER_VARIABLE: str(self._ledger),
            "WORKER_ID": name_of(number),
            "PEER_REDIS_PORT": str(self._redis.place.port),
            "PEER_LEASE_SECONDS": str(LEASE_SECONDS),
        }
