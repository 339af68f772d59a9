"""The workers of one manager: each has a name, a log, and a process that is started again when it has died."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yadtq
from local import families, process
from local.backoff import Backoff
from local.families import Remains

HUNG_SECONDS = 10.0  # after the time that a worker has to drain, it is killed
LAST_WORDS_BYTES = 4096
FAILED_SECONDS = 1.0  # after a process could not be started


@dataclass(frozen=True, slots=True)
class Plan:
    """What every worker has in common. prefix: of its name. folder: of logs. notes: of pid files.

    environment: on top of this process' own. drain_seconds: that a worker has, by its own settings.
    """

    prefix: str
    folder: Path
    notes: Path
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    drain_seconds: float = 25.0


@dataclass(frozen=True, slots=True)
class Dead:
    """A worker of which no process lives any more. birth: as `yadtq.Worker` has it."""

    name: str
    birth: str
    reason: str


@dataclass(frozen=True, slots=True)
class Row:
    """A worker as `status` shows it. state: starting · online · draining · waiting (to be started again) · offline.

    since: seconds in which its process has run, or until its next start. restarts: since the manager's start.
    reason: of its last death.
    """

    name: str
    state: str
    process: int
    since: float
    restarts: int
    busy: int
    slots: int
    executed: int
    reason: str


class Life:
    """One start of a worker. log_start: how long its log was then. Raises OSError when it cannot be started."""

    def __init__(self, program: process.Program, mark: str) -> None:
        self.log_start = program.log.stat().st_size if program.log.exists() else 0
        self.mark = mark
        self.started_at = time.monotonic()
        self.process: subprocess.Popen[bytes] = process.spawn(program)
        self.birth = yadtq.birth_of(self.process.pid)
        self.ticks = process.start_time(self.process.pid) or 0


class Member:
    """A name of the crew, and what has become of those who bore it."""

    def __init__(self, number: int, plan: Plan) -> None:
        self.number = number
        self.name = f"{plan.prefix}{number}"
        self.log = plan.folder / f"{self.name}.log"
        self.pid_file = plan.notes / f"{self.name}.pid"
        self.life: Life | None = None
        self.backoff = Backoff()
        self.restart_at = 0.0
        self.restarts = 0
        self.draining_at: float | None = None
        self.hung = False
        self.reason = ""

    def last_words(self, life: Life) -> str:
        """The last line that this life has written, '' when it said nothing."""
        try:
            with self.log.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                begin = life.log_start if life.log_start <= size else 0  # the log was moved away meanwhile
                log.seek(max(begin, size - LAST_WORDS_BYTES))
                lines = log.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        return next((yadtq.visible(line.strip(), 500) for line in reversed(lines) if line.strip()), "")


class Crew:
    """All members. One thread: the one that starts the processes must live as long as they should.

    bury: is given each worker of which nothing lives any more.
    """

    def __init__(self, plan: Plan, log: yadtq.Log, bury: Callable[[Dead], None]) -> None:
        self._plan, self._log, self._bury = plan, log, bury
        self._family = secrets.token_hex(8)
        self._starts = 0
        self._members: dict[int, Member] = {}
        self._remains: list[tuple[Dead, Remains]] = []

    @property
    def births(self) -> set[str]:
        """The processes that take tasks, or will."""
        return {m.life.birth for m in self._members.values() if m.life and m.draining_at is None}

    @property
    def is_gone(self) -> bool:
        """Whether no process of any worker is left."""
        return not self._remains and not any(member.life for member in self._members.values())

    @property
    def is_restless(self) -> bool:
        """Whether something is to be looked at again at once."""
        return bool(self._remains)

    # -- towards the wanted number

    def fill(self, target: int, workers: Mapping[str, yadtq.Worker], now: float) -> None:
        """Starts what is missing, and drains one that is too many, if one has nothing to do.

        workers: birth → worker, as the queue knows them.
        """
        staying = [member for member in self._members.values() if member.draining_at is None]
        for number in range(1, target + 1):
            if len(staying) < target and number not in self._members:
                self._members[number] = Member(number, self._plan)
                staying.append(self._members[number])
        if len(staying) > target:
            self._dismiss(staying, workers, now)
        for member in self._members.values():
            if member.life is None and member.draining_at is None and now >= member.restart_at:
                self._start(member)

    def drain(self, hurry: bool = False) -> None:
        """SIGTERM for all. hurry: also for those that drain already, which ends their patience."""
        for number, member in list(self._members.items()):
            if member.life is None:
                del self._members[number]
            elif member.draining_at is None or hurry:
                self._drain(member, member.draining_at or time.monotonic())

    def _dismiss(self, staying: list[Member], workers: Mapping[str, yadtq.Worker], now: float) -> None:
        down = [member for member in staying if member.life is None]
        idle = [m for m in staying if m.life and (known := workers.get(m.life.birth)) and not known.busy]
        chosen = max(down or idle, key=lambda member: member.number, default=None)
        if chosen and chosen.life is None:
            del self._members[chosen.number]
        elif chosen:
            self._drain(chosen, now)

    def _drain(self, member: Member, now: float) -> None:
        if member.life:
            self._log.info("drain", text=f"{member.name}, process {member.life.process.pid}")
            member.draining_at = now
            member.life.process.terminate()

    def _start(self, member: Member) -> None:
        self._starts += 1
        mark = f"{self._family}-{self._starts}"
        # Each worker says by itself whether it is ready, but they cannot share a file for that.
        own = {"WORKER_ID": member.name, "READY_FILE": "", families.MARK: mark}
        environment = {**self._plan.environment, **own}
        program = process.Program(self._plan.command, member.log, environment=environment)
        try:
            member.life = Life(program, mark)
            process.write_pid_file(member.pid_file, member.life.process.pid)
        except OSError as error:
            member.backoff, pause = member.backoff.after(0.0, 0)
            member.restart_at = time.monotonic() + max(pause, FAILED_SECONDS)
            self._log.error("start", text=f"{member.name}: {error} (trying again)")
        if member.life:
            self._log.info("start", text=f"{member.name}, process {member.life.process.pid}")

    # -- what has died

    def look(self, now: float) -> None:
        """Notes who has died, and why; ends what they have left, and has them buried."""
        for member in list(self._members.values()):
            if member.life and (code := member.life.process.poll()) is not None:
                self._died(member, member.life, code, now)
            elif member.life and member.draining_at is not None:
                self._press(member, member.life, now)
            process.bound_log(member.log)
        living = {member.life.process.pid for member in self._members.values() if member.life}
        families.reap(living)
        if self._remains:
            self._clear(living, now)

    def _died(self, member: Member, life: Life, code: int, now: float) -> None:
        member.life = None
        member.pid_file.unlink(missing_ok=True)
        reason = f"its process {life.process.pid} {described(code)}"
        self._remains.append((Dead(member.name, life.birth, reason), Remains(life.mark, life.ticks, now)))
        if member.draining_at is not None:
            self._log.info("left", text=f"{member.name}: {reason}")
            del self._members[member.number]
            return
        member.backoff, pause = member.backoff.after(now - life.started_at, code)
        member.restart_at, member.restarts = now + pause, member.restarts + 1
        words = member.last_words(life)
        member.reason = f"{reason}; its last words: {words}" if words else f"{reason} without a word"
        again = f"it starts again in {pause:g} s" if pause else "it starts again"
        self._log.warning("died", text=f"{member.name}: {member.reason} (log: {member.log}); {again}")

    def _press(self, member: Member, life: Life, now: float) -> None:
        patience = self._plan.drain_seconds + HUNG_SECONDS
        if member.draining_at is not None and now > member.draining_at + patience and not member.hung:
            member.hung = True
            self._log.error("hung", text=f"{member.name} has not ended {patience:g} s after SIGTERM: it is killed")
            life.process.kill()

    def _clear(self, living: set[int], now: float) -> None:
        left = families.relatives(living)
        for dead, remains in list(self._remains):
            if not remains.over(left, now):
                continue
            self._remains.remove((dead, remains))
            if remains.certain:
                self._bury(dead)
            else:
                self._log.error("remains", text=f"{dead.name}: something that it started cannot be ended; its tasks "
                                                f"start again when its lease is over")  # fmt: skip

    # -- for a person

    def rows(self, workers: Mapping[str, yadtq.Worker], now: float) -> list[Row]:
        """One row a member. workers: birth → worker, as the queue knows them."""
        return [_row(member, workers, now) for _, member in sorted(self._members.items())]


def described(code: int) -> str:
    """How a process ended, by its return code."""
    if code < 0:
        return f"was ended by {signal.Signals(-code).name if -code in set(signal.Signals) else f'signal {-code}'}"
    return f"ended with exit code {code}" if code else "ended by itself"


def worker_program() -> tuple[str, ...]:
    """The command that runs a worker, from any directory."""
    return sys.executable, str(Path(__file__).resolve().parents[1] / "worker.py")


def _row(member: Member, workers: Mapping[str, yadtq.Worker], now: float) -> Row:
    life = member.life
    if life is None:
        pause = max(0.0, member.restart_at - now)
        return Row(member.name, "waiting", 0, pause, member.restarts, 0, 0, 0, member.reason)
    known = workers.get(life.birth)
    state = "draining" if member.draining_at is not None else known.state if known else "starting"
    busy, slots, executed = (known.busy, known.slots, known.tasks_executed) if known else (0, 0, 0)
    pid, lived = life.process.pid, now - life.started_at
    return Row(member.name, state, pid, lived, member.restarts, busy, slots, executed, member.reason)
