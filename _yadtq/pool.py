"""The process pool in which a worker runs its handlers.

Two threads. The *decision thread* (the worker's) calls the methods here. The *reader thread* (reader.py) hears the
guard and the children. Both work on `Children` under one lock, held for microseconds; messages are posted without it,
and those about jobs by the reader only. Nothing that holds the lock waits for a process.

The pool takes no job back that a child may have begun, and says of none that it ended badly before the child that ran
it is dead, reaped, and rid of all that it had started.
"""

import sys
from collections.abc import Callable, Mapping, Sequence

from _yadtq import context, packets
from _yadtq.clock import Clock, SystemClock
from _yadtq.errors import BadHandler
from _yadtq.handlers import Handler, MainScript, described
from _yadtq.jobs import Interrupted, Job, PoolMessage
from _yadtq.process import allow_descriptors
from _yadtq.reader import Reader
from _yadtq.slots import IDLE_CHECK_SECONDS

# The first child must have imported the handlers by then.
START_SECONDS = 120.0
CLOSE_SECONDS = 5.0


class Pool:
    """`size` children, one task at a time each, and their guard. Its methods are for one thread.

    handlers: by task name. post: takes some of the pool's messages at once, in this thread and in the reader's; must
    not block.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        size: int,
        post: Callable[[list[PoolMessage]], None],
        clock: Clock | None = None,
    ) -> None:
        self._handlers = dict(handlers)
        self._size = size
        self._post = post
        self._clock = clock or SystemClock()
        self._reader: Reader | None = None

    def start(self) -> None:
        """Starts the guard and the children; returns when the first child is ready.

        Raises BadHandler when a child cannot import the handlers, NotInMain when their script starts a worker on
        import, OSError when the machine refuses processes or descriptors.
        """
        context.refuse_while_importing()
        allow_descriptors(self._size)
        self._reader = Reader(self._handlers, self._setup(), self._post, self._clock)
        self._reader.start()
        try:
            self._start_children(self._reader)
        except BaseException:
            self.close()
            raise

    def _setup(self) -> bytes:
        main = MainScript.of_this_process()
        content = {
            "handlers": described(self._handlers),
            "path": sys.path,
            "argv": sys.argv,
            "main": {"module": main.module, "path": main.path},
        }
        return packets.pack_note(packets.SETUP, 0, content)

    def _start_children(self, reader: Reader) -> None:
        """One child first: what is wrong with the handlers is then said once, and the others find files cached."""
        children = reader.children
        with reader.lock:
            children.spawn()
            self._await_first(reader)
            if children.broken:
                raise children.broken
            if children.ending:
                raise OSError(f"the pool ended while it started: {children.ending}")
            if not children.slots.open:
                modules = ", ".join(sorted({handler.module for handler in self._handlers.values()}))
                raise BadHandler(f"the modules of the tasks ({modules}) were not imported in {START_SECONDS:g} s")
            now = self._clock.monotonic()
            children.expect(self._size - 1, now)
            children.give_birth(now)

    def _await_first(self, reader: Reader) -> None:
        """Returns when a child is ready, or none ever will be; one that was killed is replaced meanwhile."""
        children = reader.children
        late_at = self._clock.monotonic() + START_SECONDS
        while not (children.slots.open or children.broken or children.ending):
            now = self._clock.monotonic()
            if now > late_at:
                return
            children.give_birth(now)
            reader.lock.wait(min(late_at, now + children.seconds_to_birth(now)) - now)

    def confirm(self, deadline: float) -> None:
        """Children may live until `deadline` (seconds of CLOCK_BOOTTIME) unless confirmed again.

        Must come before the first `submit`.
        """
        reader = self._started()
        with reader.lock:
            reader.live_until = deadline
            if not reader.is_over:
                reader.guarding.confirm(deadline)

    def room(self) -> int:
        """How many more jobs are welcome now; with long jobs only, the number of free children."""
        reader = self._started()
        with reader.lock:
            return 0 if reader.children.ending else reader.children.slots.room(self._clock.monotonic())

    def submit(self, jobs: Sequence[Job]) -> None:
        """Takes jobs over. When the pool has ended, each comes back at once as Interrupted, not begun.

        Raises RuntimeError before the first `confirm`.
        """
        reader = self._started()
        with reader.lock:
            if reader.live_until is None:
                raise RuntimeError("confirm() must say how long children may live before jobs are submitted")
            now = self._clock.monotonic()
            if not reader.is_over:
                reader.children.slots.submit(jobs)
                reader.children.balance(now)
                return
            reader.children.messages += [Interrupted(job, now, now, begun=False) for job in jobs]
            messages = reader.taken()
        reader.publish(messages)

    def running(self) -> list[str]:
        """Claims that have begun and not ended: at most one a child."""
        reader = self._started()
        with reader.lock:
            return reader.children.slots.running()

    def held(self) -> int:
        """Jobs inside, begun or not. When it is 0, the outcome of every job has been posted."""
        reader = self._started()
        with reader.lock:
            return reader.children.slots.held() + reader.unposted

    def tick(self) -> float:
        """Does what is due: moves jobs that wait behind slow ones, enforces time limits, replaces dead children.

        Returns seconds until it wants to be called again, at most 1.0. To be called after messages were posted, too.
        """
        reader = self._started()
        children = reader.children
        with reader.lock:
            if children.ending:
                return IDLE_CHECK_SECONDS
            now = self._clock.monotonic()
            children.stop_expired(now)
            children.stop_faulty()
            children.give_birth(now)
            children.slots.unblock()
            children.balance(now)
            seconds = min(children.slots.seconds_to_check(now), max(0.001, children.seconds_to_birth(now)))
            messages = reader.taken()
        reader.publish(messages)
        return seconds

    def recall(self) -> list[Job]:
        """Takes back, for good, every job that has not begun."""
        reader = self._started()
        with reader.lock:
            now = self._clock.monotonic()
            for slot in reader.children.slots.open:
                reader.children.take_back(slot, now)
            return reader.children.slots.recall()

    def stuck(self) -> list[Job]:
        """Takes back, for good, the jobs that no child here is expected to be free for soon."""
        reader = self._started()
        with reader.lock:
            return reader.children.slots.stuck(self._clock.monotonic())

    def abort(self) -> None:
        """Kills all children. Each job inside comes back as Interrupted, then Lost follows; the pool is at its end."""
        reader = self._started()
        with reader.lock:
            reader.end_all("it was told to stop")

    def close(self) -> None:
        """Stops everything; returns when all processes are reaped and all descriptors closed. May be repeated.

        Jobs that are still inside come back as Interrupted. Raises RuntimeError when a process cannot be killed.
        """
        reader = self._reader
        if not reader:
            return
        with reader.lock:
            reader.is_closing = True
            reader.end_all("it was closed")
        reader.join(CLOSE_SECONDS)
        if reader.is_alive():
            reader.guarding.kill()
            reader.join(CLOSE_SECONDS)
        if reader.is_alive():
            raise RuntimeError("a child process could not be killed; it waits in the kernel, see `ps` (state D)")

    def _started(self) -> Reader:
        if not self._reader:
            raise RuntimeError("start() comes first")
        return self._reader
