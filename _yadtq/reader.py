"""The reader thread of a pool: hears the guard and the children, and posts what came of the jobs."""

import threading
import time
from collections.abc import Callable, Collection
from functools import partial

from _yadtq import guard
from _yadtq.children import Child, Children
from _yadtq.clock import Clock
from _yadtq.jobs import Interrupted, Lost, PoolMessage, Printed
from _yadtq.process import Born, Dead, Fired, GuardProcess
from _yadtq.watch import Watch

# How often to look whether the guard still guards, and how late a guard may be at its deadline.
GUARD_CHECK_SECONDS, GUARD_GRACE_SECONDS = 0.5, 0.5
# In one round, what came through pipes is read before the outcomes that came after it.
PIPES_FIRST, CHILDREN_NEXT, GUARD_LAST = 0, 1, 2


class Reader(threading.Thread):
    """Lives as long as the guard. What is public here is for the pool, which takes `lock` for it.

    lock: guards all that is public here; notified after whatever has changed.
    live_until: seconds of CLOCK_BOOTTIME until which children may live; None: not confirmed yet.
    is_over: all processes are dead. unposted: outcomes that have left `children` and are not posted yet.
    """

    def __init__(
        self, names: Collection[str], setup: bytes, post: Callable[[list[PoolMessage]], None], clock: Clock
    ) -> None:
        """Starts the guard's process; `start` then starts the thread. Raises OSError."""
        super().__init__(name="pool-reader", daemon=True)
        self.lock = threading.Condition(threading.Lock())
        self.guarding = GuardProcess()
        self.children = Children(names, setup, self.guarding, self._watch_child)
        self.live_until: float | None = None
        self.is_closing = False
        self.is_over = False
        self.unposted = 0
        self._post = post
        self._clock = clock
        self._guard_has_ended = False
        self._watch = Watch()
        self._watch.add(self.guarding.fileno(), GUARD_LAST, self._hear_guard)

    def end_all(self, reason: str) -> None:
        """Under the lock: has the guard kill all children and end, and this thread with it."""
        if not self.is_over:
            self.children.ending = self.children.ending or reason
            self.guarding.fire()

    def taken(self) -> list[PoolMessage]:
        """Under the lock: what `children` have to tell, for `publish`."""
        messages = self.children.take_messages()
        self.unposted += _outcomes(messages)
        return messages

    def publish(self, messages: list[PoolMessage]) -> None:
        """Posts messages that were `taken`. Without the lock."""
        if not messages:
            return
        self._post(messages)
        outcomes = _outcomes(messages)
        if outcomes:
            with self.lock:
                self.unposted -= outcomes

    def run(self) -> None:
        try:
            self._serve()
        except BaseException as error:
            # Without this thread nobody learns what came of a job: nothing may go on.
            self.guarding.kill()
            self._end(f"its reader failed: {error!r}")
            raise
        finally:
            self._watch.close()

    def _serve(self) -> None:
        check_at = 0.0
        while not self.is_over:
            pause = self._round(self._watch.wait(GUARD_CHECK_SECONDS))
            now = self._clock.monotonic()
            if now >= check_at and not self.is_over:
                check_at = now + GUARD_CHECK_SECONDS
                self._check_guard()
            if pause:
                time.sleep(pause)

    def _round(self, readable: Collection[int]) -> float:
        """Hears whoever has something to tell; returns seconds for which the next may gather."""
        with self.lock:
            for action in self._watch.actions(readable):
                action()
            self.children.balance(self._clock.monotonic())
            self.lock.notify_all()
            messages = self.taken()
            pause = self.children.slots.gather_seconds()
        self.publish(messages)
        if self._guard_has_ended:
            self._end("")
        return pause

    def _watch_child(self, child: Child) -> None:
        """Called in either thread, under the lock. What it adds here and below is called under the lock too."""
        self._watch.add(child.process.reports.fileno(), CHILDREN_NEXT, partial(self._hear_child, child))
        for pipe in child.process.pipes:
            self._watch.add(pipe, PIPES_FIRST, partial(self._hear_pipe, child, pipe))

    def _hear_child(self, child: Child) -> None:
        self.children.hear(child, self._clock.monotonic())

    def _hear_pipe(self, child: Child, pipe: int) -> None:
        if not self.children.hear_pipe(child, pipe):
            self._watch.remove(pipe)

    def _hear_guard(self) -> None:
        try:
            for event in self.guarding.receive():
                self._heed(event)
        except EOFError:
            self._guard_has_ended = True

    def _heed(self, event: Born | Dead | Fired) -> None:
        match event:
            case Born(number, handle):
                self.children.born(number, handle)
            case Dead(number, reason):
                self._unwatch(self.children.child(number))
                self.children.bury(number, reason, self._clock.monotonic())
            case Fired(reason):
                self.children.ending = self.children.ending or f"its guard has fired: {reason}"

    def _unwatch(self, child: Child) -> None:
        for descriptor in (child.process.reports.fileno(), *child.process.pipes):
            self._watch.remove(descriptor)

    def _check_guard(self) -> None:
        """Kills a guard that guards nothing, and the kernel its children with it."""
        with self.lock:
            late = self.live_until is not None and self._clock.boottime() > self.live_until + GUARD_GRACE_SECONDS
            if late or self.guarding.is_stopped():
                reason = "its guard was stopped by a signal"
                self.children.ending = self.children.ending or (guard.DEADLINE if late else reason)
                self.guarding.kill()

    def _end(self, reason: str) -> None:
        """The guard is gone: waits, without the lock, until every child is dead, and says so."""
        if self.is_over:
            return
        how = self.guarding.wait()
        with self.lock:
            self.children.ending = self.children.ending or reason or f"its guard {how}"
            living = self.children.living
        for child in living:
            child.process.await_death()
        guard.kill_leftovers(self.guarding.pid)
        with self.lock:
            now = self._clock.monotonic()
            for child in living:
                self._unwatch(child)
                self.children.bury(child.process.number, "died with its guard", now)
            self.is_over = True
            self._watch.remove(self.guarding.fileno())
            self.guarding.close()
            waiting = self.children.slots.recall()
            self.children.messages += [Interrupted(job, now, now, begun=False) for job in waiting]
            if not self.is_closing:
                self.children.messages.append(Lost(self.children.ending))
            messages = self.taken()
            self.lock.notify_all()
        self.publish(messages)


def _outcomes(messages: list[PoolMessage]) -> int:
    return sum(not isinstance(message, (Printed, Lost)) for message in messages)
