"""One life of a worker: from its join to the end of its lease. What it claims, it claims under this name.

The lease is the ownership. One heartbeat renews it and, only when Redis has answered, lets the children live on: the
guard kills them at the deadline that was confirmed last, which lies before the lease's end.
"""

import math
import random
import secrets
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from _yadtq.claims import Claim, Outcome, first_part
from _yadtq.clock import Clock
from _yadtq.decisions import Policy, decide, failed, release
from _yadtq.failure import Failure
from _yadtq.handlers import Handler
from _yadtq.jobs import Crashed, Ended, Interrupted, Job, TimedOut
from _yadtq.log import Log
from _yadtq.pool import Pool
from _yadtq.settings import Settings

if TYPE_CHECKING:  # it brings redis with it
    from _yadtq.store import Store

RELAY_LEASE_MS = 5000
MOST_BEAT_SECONDS = 1.0  # the lease clock gains a second a call at most
CUT = 200  # characters of arguments, results and reasons in a log line


class Incarnation:
    """A name, a pool, and what is claimed under that name. Used by the thread that decides.

    number: of the last take whose reply was read. outcomes: ended, not yet settled. lost: why the pool is dead, or ''.
    """

    def __init__(self, settings: Settings, store: "Store", pool: Pool, log: Log, clock: Clock) -> None:
        self.name = f"{settings.worker_id}~{secrets.token_hex(4)}"
        self.pool = pool
        self.outcomes: list[Outcome] = []
        self.number = 0
        self.lost = ""
        self._settings, self._store, self._log, self._clock = settings, store, log, clock
        self._policy = Policy(settings.task_max_retries, settings.retry_delay, random.random)
        self._claims: dict[str, Claim] = {}
        self._forgotten: set[str] = set()  # names of claims that Redis came back without
        self._executed = 0
        self._about = ""
        self._beat_at = 0.0

    # -- the lease

    def join(self, about: str, fit: bool) -> bool:
        """The first heartbeat: the pool may start tasks. fit: for being the relay. Returns whether it is."""
        sent_at = self._clock.boottime()
        is_relay = self._store.join(self.name, about, self._settings.concurrency, str(RELAY_LEASE_MS) if fit else "")
        self._renewed(sent_at)
        self._about = about
        return is_relay

    def beat(self, state: str, fit: bool) -> bool:
        """A heartbeat. fit: for being the relay. Returns whether it is. Raises LeaseLapsed, ServerUnreachable."""
        sent_at = self._clock.boottime()
        relay = str(RELAY_LEASE_MS) if state == "online" and fit else ""
        is_relay, about_wanted, unconfirmed = self._store.beat(
            self.name, state, self._executed, self.running(), "", relay
        )
        if about_wanted:
            self._store.beat(self.name, state, self._executed, self.running(), self._about, relay)
        self._renewed(sent_at)
        if unconfirmed:
            self.confirm()
        return is_relay

    def confirm(self) -> None:
        """After a restart of Redis: tells what it holds. What Redis has forgotten must die, and all with it."""
        held = [*self._claims.values(), *(outcome.claim for outcome in self.outcomes)]
        forgotten = self._store.confirm(self.name, self.number, [c for c in held if c.name not in self._forgotten])
        self._forgotten |= {claim.name for claim in forgotten}
        if forgotten:
            self.lost = self.lost or f"Redis came back without {len(forgotten)} of its claims"

    def beat_due_in(self) -> float:
        """Seconds until the next heartbeat is due."""
        pause = min(MOST_BEAT_SECONDS, self._settings.worker_timeout / 6)
        return self._beat_at + pause - self._clock.boottime()

    def running(self) -> str:
        """The claims begun and not settled, as scripts take them: if the lease lapses, these have crashed."""
        ended = [outcome.claim.name for outcome in self.outcomes if outcome.began_at is not None]
        return "\n".join([*self.pool.running(), *ended])

    def _renewed(self, sent_at: float) -> None:
        lease = self._settings.worker_timeout
        # More than the second by which one step of the machine's clock may move the clock of all leases.
        margin = max(min(1.2, lease * 0.6), min(3.0, lease / 4))
        self.pool.confirm(sent_at + lease - margin)
        self._beat_at = sent_at

    # -- the claims

    def start(self, claims: Iterable[Claim], handlers: Mapping[str, Handler]) -> None:
        """Gives claims to the pool; what this worker does not know has failed."""
        jobs = []
        for claim in claims:
            self._log.info("take", claim.id, f"{claim.task} args={claim.args[:CUT]} attempt={claim.attempt}")
            handler = handlers.get(claim.task)
            if handler is None:
                now = self._clock.monotonic()
                known = ", ".join(sorted(handlers))
                failure = Failure("UnknownTask", f"no task is named {claim.task!r}; this worker runs {known}")
                self.outcomes.append(failed(claim, failure, now, now))
                continue
            limits = (claim.time_limit, handler.time_limit, self._settings.task_time_limit)
            limit = next(each for each in limits if each is not None)
            self._claims[claim.name] = claim
            jobs.append(Job(claim.name, claim.id, claim.task, claim.args, claim.kwargs, claim.attempt, limit))
        if jobs:
            self.pool.submit(jobs)

    def ended(self, end: Ended | Crashed | TimedOut | Interrupted) -> None:
        """A job has left the pool: its outcome waits to be settled."""
        self.outcomes.append(decide(end, self._claims.pop(end.job.claim), self._policy))

    def give_back(self, jobs: Iterable[Job], reason: str) -> None:
        """Jobs that the pool has handed back, and that never began."""
        now = self._clock.monotonic()
        self.outcomes += [release(self._claims.pop(job.claim), now, reason) for job in jobs]

    def refuse(self, claims: Iterable[Claim], reason: str) -> None:
        """Claims that are given back as they came."""
        now = self._clock.monotonic()
        self.outcomes += [release(claim, now, reason) for claim in claims]

    def settle(self) -> float:
        """Records the outcomes; the script refuses those whose claim is gone. Raises ServerUnreachable.

        Returns seconds until the soonest retry among them may start, inf when there is none.
        """
        soonest = math.inf
        while self.outcomes:
            part = first_part(self.outcomes)
            words = self._store.settle(self.name, part, self._clock.monotonic())
            for outcome, word in zip(part, words, strict=True):
                self._tell(outcome, word)
                soonest = min(soonest, outcome.delay_seconds if outcome.kind == "retry" else math.inf)
            del self.outcomes[: len(part)]
        return soonest

    def _tell(self, outcome: Outcome, word: str) -> None:
        claim = outcome.claim
        if word == "refused":
            self._log.warning("refused", claim.id, f"{outcome.kind} of attempt {claim.attempt}: its claim is gone")
            return
        self._executed += outcome.kind in ("success", "failed")
        spent = outcome.ended_at - outcome.began_at if outcome.began_at is not None else 0.0
        what = f"result={outcome.text[:CUT]}" if outcome.kind == "success" else f"reason={outcome.reason[:CUT]}"
        tell = self._log.info if outcome.kind in ("success", "release") else self._log.warning
        tell(outcome.kind, claim.id, f"{claim.task} attempt={claim.attempt} seconds={spent:.3f} {what}")
