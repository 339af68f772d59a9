"""The children of a pool: their jobs, what they say, their births and deaths.

Not thread-safe: the pool holds a lock around every call. Nothing here waits. What is to be posted gathers in
`messages`.
"""

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from _yadtq import packets
from _yadtq.errors import BadHandler, NotInMain, UsageError
from _yadtq.jobs import Crashed, Ended, Interrupted, PoolMessage, Printed, TimedOut
from _yadtq.output import STREAMS, Shown
from _yadtq.process import ChildProcess, GuardProcess
from _yadtq.slots import Placed, Slot, Slots

FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.1, 5.0
MOST_KILLED = 5  # children in a row, while they import the tasks and none has yet


@dataclass(slots=True, eq=False)
class Child:
    """What the pool knows of one child.

    slot: its place, once it is ready. condemned: number of the job for whose time limit it is being killed.
    fault: for which it is being killed; is_doomed: the guard knows of that. useful: it has ended a job, so its death is
    no sign of a fault that it was born with. shown: of its printed lines.
    """

    process: ChildProcess
    slot: Slot | None = None
    condemned: int = 0
    fault: str = ""
    is_doomed: bool = False
    useful: bool = False
    shown: Shown = field(default_factory=Shown)

    def running(self) -> Placed | None:
        return self.slot.jobs[0] if self.slot and self.slot.jobs else None


class Children:
    """The children and their jobs.

    names: of the tasks that they have. setup: the first packet of each child. on_birth: called with each new child.
    """

    def __init__(
        self, names: Collection[str], setup: bytes, guarding: GuardProcess, on_birth: Callable[[Child], None]
    ) -> None:
        self.slots = Slots(names)
        self.messages: list[PoolMessage] = []
        self.ending = ""  # why all children die; '' while they do not
        self.broken: UsageError | None = None  # why no child could begin
        self._setup = setup
        self._guarding = guarding
        self._on_birth = on_birth
        self._living: dict[int, Child] = {}
        self._births: list[float] = []  # instants at which children are due
        self._fruitless = 0  # children in a row that died without having ended or begun a job
        self._last = 0
        self._has_begun = False  # a child has imported the tasks
        self._killed = 0  # children before that one, by SIGKILL

    @property
    def living(self) -> list[Child]:
        return list(self._living.values())

    def child(self, number: int) -> Child:
        return self._living[number]

    def take_messages(self) -> list[PoolMessage]:
        """What is to be posted now, in this order."""
        messages, self.messages = self.messages, []
        return messages

    # Jobs

    def balance(self, now: float) -> None:
        """Hands jobs over, so that none waits in a busy child while another is free."""
        if self.ending:
            return
        self._hand_over(now)
        crowded = self.slots.overloaded(now)
        for slot in crowded:
            self.take_back(slot, now)
        if crowded:
            self._hand_over(now)

    def _hand_over(self, now: float) -> None:
        for slot, batch in self.slots.hand_over(now):
            process = self._living[slot.serial].process
            jobs = [(placed.number, placed.job) for placed in batch]
            is_free = len(slot.jobs) == len(jobs)
            sent = process.send(jobs)
            if not sent and is_free:  # of what was taken back something may still lie in its socket
                process.clear()
                sent = process.send(jobs)
            if sent < len(jobs):
                self.slots.refused(slot, len(jobs) - sent, now)

    def take_back(self, slot: Slot, now: float) -> None:
        """Makes what the child has not begun wait in the pool again."""
        numbers = self._living[slot.serial].process.take_back()
        if numbers:
            self.slots.taken_back(slot, numbers, now)

    def stop_expired(self, now: float) -> None:
        """Has the children killed whose job is over its time limit."""
        for slot in self.slots.expired(now):
            # Afterwards the child can begin nothing more; and it may just have ended the job in question.
            self.take_back(slot, now)
            child = self._living[slot.serial]
            running = child.running()
            if running and self._guarding.kill_child(slot.serial):
                slot.doomed = True
                child.condemned = running.number

    def stop_faulty(self) -> None:
        """Has the children killed that have a fault, where the guard took no requests before."""
        for child in self._living.values():
            if child.fault and not child.is_doomed:
                child.is_doomed = self._guarding.kill_child(child.process.number)

    # Births

    def expect(self, count: int, instant: float) -> None:
        """So many children are due at this instant."""
        self._births += [instant] * count

    def seconds_to_birth(self, now: float) -> float:
        return min(self._births, default=math.inf) - now

    def give_birth(self, now: float) -> None:
        """Starts the children that are due."""
        due = sum(instant <= now for instant in self._births)
        self._births = [instant for instant in self._births if instant > now]
        while due:
            try:
                self.spawn()
            except OSError as error:
                self.expect(due, now + LONGEST_BACKOFF_SECONDS)
                self._tell(f"no child process can be started: {error}; trying again in {LONGEST_BACKOFF_SECONDS:g} s")
                return
            due -= 1

    def spawn(self) -> None:
        """Starts a child. Raises OSError."""
        self._last += 1
        child = Child(ChildProcess(self._last, self._setup))
        if not self._guarding.spawn(child.process):
            child.process.close()
            raise OSError("the guard takes no requests")
        child.process.handed_over()
        self._living[self._last] = child
        self._on_birth(child)

    def born(self, number: int, handle: int) -> None:
        """The guard has started a child; `handle` is a descriptor of its process."""
        self._living[number].process.handle = handle

    # What children say

    def hear(self, child: Child, now: float) -> int:
        """Takes in a bounded part of what a child has told; returns how many packets."""
        return self._hear(child, child.process.reports.heard(), now)

    def _hear(self, child: Child, told: Iterator[bytes], now: float) -> int:
        taken = 0
        try:
            for packet in told:
                taken += 1
                self._take(child, packet)
        except packets.BadPacket as error:
            # Only a handler that meddles with its process' descriptors, or uses them all up, can bring this about.
            child.fault = child.fault or f"was killed: what it sent cannot be read ({error})"
            if child.slot:  # what it has not begun is not lost with it, and it gets nothing more
                child.slot.doomed = True
                self.take_back(child.slot, now)
            self.stop_faulty()
        return taken

    def hear_pipe(self, child: Child, pipe: int) -> bool:
        """Takes in what came past sys.stdout and sys.stderr; False when the pipe has ended."""
        lines = child.process.output(pipe)
        if lines:
            self._show_piped(child, child.process.pipes[pipe], lines)
        return lines is not None

    def _take(self, child: Child, packet: bytes) -> None:
        kind = packet[:1]
        if kind == packets.OUTCOME:
            self._take_outcome(child, packets.unpack_outcome(packet))
        elif kind == packets.PRINTED:
            self._show(child, *packets.unpack_printed(packet))
        elif kind == packets.FULL:
            child.shown.is_full = True
        elif kind == packets.READY:
            child.slot = self.slots.add(child.process.number)
            self._has_begun = True
        elif kind == packets.BROKEN:
            self._take_broken(*packets.unpack_note(packet))
        else:
            raise packets.BadPacket("it is of no known kind")

    def _take_outcome(self, child: Child, outcome: packets.Outcome) -> None:
        number, began_at, ended_at, result, failure, retryable, left_out = outcome
        placed = self.slots.ended(child.slot, number, ended_at, ended_at - began_at) if child.slot else None
        if placed is None:
            raise packets.BadPacket("it is the outcome of another job")
        child.useful = True
        self._fruitless = 0
        self._note_left_out(child, placed, left_out)
        self.messages.append(Ended(placed.job, result, failure, retryable, began_at, ended_at))

    def _take_broken(self, kind: str, text: str) -> None:
        if not self._has_begun:
            self.broken = NotInMain(text) if kind == NotInMain.__name__ else BadHandler(text)
        else:
            self._tell(text)

    def _show(self, child: Child, number: int, stream: int, lines: list[str]) -> None:
        if child.shown.number != number:
            running = child.running()
            known = running is not None and running.number == number
            child.shown = Shown(number, running.job.task_id if running and known else "")
        name = STREAMS[stream != 1]
        self.messages.extend(Printed(child.shown.task_id, name, line) for line in child.shown.admit(lines))

    def _show_piped(self, child: Child, stream: int, lines: list[str]) -> None:
        running = child.running()
        self._show(child, running.number if running else 0, stream, lines)

    def _note_left_out(self, child: Child, placed: Placed, left_out: int | None) -> None:
        if child.shown.number == placed.number:
            self.messages.extend(Printed(placed.job.task_id, STREAMS[1], line) for line in child.shown.notice(left_out))
            child.shown = Shown()

    def _tell(self, text: str) -> None:
        self.messages.append(Printed("", STREAMS[1], text))

    # Deaths

    def bury(self, number: int, reason: str, now: float) -> None:
        """Takes in the last words of a child that is dead, and says what came of its jobs."""
        child = self._living[number]
        while self.hear(child, now):
            continue
        self._hear(child, child.process.reports.last_words(), now)
        for stream, lines in child.process.rest_of_output():
            self._show_piped(child, stream, lines)
        reason = child.fault or reason
        if child.slot:
            self.take_back(child.slot, now)
            self.slots.remove(child.slot)
        placed = child.running()
        if placed:
            self._end_job(child, placed, reason, now)
        elif not self.ending:
            self._note_idle_death(child, reason)
        del self._living[number]
        child.process.close()
        if not self.ending:
            self.expect(1, now + self._backoff_seconds())

    def _end_job(self, child: Child, placed: Placed, reason: str, now: float) -> None:
        self._note_left_out(child, placed, None)
        self._fruitless = 0
        began_at = child.slot.began_at if child.slot else now
        if child.condemned == placed.number:
            self.messages.append(TimedOut(placed.job, began_at, now))
        elif child.condemned or self.ending:
            self.messages.append(Interrupted(placed.job, began_at, now, begun=True))
        else:
            self.messages.append(Crashed(placed.job, f"its process {reason}", began_at, now))
        # It had begun others too when an outcome before theirs could not be read: nobody knows how far it came.
        for further in list(child.slot.jobs)[1:] if child.slot else ():
            self.messages.append(Interrupted(further.job, began_at, now, begun=True))

    def _note_idle_death(self, child: Child, reason: str) -> None:
        if not self._has_begun:
            self._note_failed_start(reason)
        elif not child.condemned:
            self._fruitless += not child.useful
            self._tell(f"a child process without a task {reason}; it is replaced")

    def _note_failed_start(self, reason: str) -> None:
        # Who is killed from outside, by a person or by a machine short of memory, says nothing of the tasks.
        self._killed += 1
        if "SIGKILL" in reason and self._killed < MOST_KILLED:
            self._tell(f"the process that imports the tasks {reason}; it is started again")
        else:
            self.broken = self.broken or BadHandler(f"the process that imports the tasks {reason}")

    def _backoff_seconds(self) -> float:
        """How long a replacement waits: not at all, unless children die again and again without a task."""
        if self._fruitless <= 1:
            return 0.0
        return min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** min(self._fruitless - 2, 10))
