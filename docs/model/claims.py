"""The Lua scripts of `_yadtq/lua/` that end a claim (settle, beat, leave, confirm, the sweep), and what all share.

They are functions from the queue in Redis to the queue in Redis. One call, one instant. `rules` are those that hold;
without one, the script does what the design would have done before the model was asked.
"""

from typing import NamedTuple

from docs.model.state import (  # fmt: skip
    LOST,
    NOWHERE,
    QUARANTINE,
    Call,
    Event,
    Given,
    Job,
    Redis,
    Seat,
    Token,
    Violation,
    recorded,
    seat_of,
    seated,
    with_start,
    works,
)


class Bounds(NamedTuple):
    """Small numbers that take the place of the settings. outbox: 0, no bound."""

    events: bool = False
    outbox: int = 0
    crashes: int = 3
    sweep: int = 9  # claims that one step of the sweep looks at
    retries: int = 1
    told: bool = True  # Redis knows what runs, so that a crash is counted, and what the last take gave


class Claims:
    """What a worker may own, and how it ends."""

    def __init__(self, rules: frozenset[str], bounds: Bounds) -> None:
        self.rules, self.bounds = rules, bounds

    # -- prelude.lua ---------------------------------------------------------------------------------------------------

    def commit(self, before: Redis, after: Redis, kind: str, actor: int = NOWHERE) -> Redis:
        """What changed is one event with one number. Without events, only claims need a number of their own."""
        changes = tuple(
            (task, new)
            for task, (old, new) in enumerate(zip(before.records, after.records, strict=True))
            if old != new and not (old and new and old._replace(shared=True) == new and "sharedevent" not in self.rules)
        )
        same = (before.epoch, before.floor, before.position, before.starts) == (
            after.epoch, after.floor, after.position, after.starts
        )  # fmt: skip
        if not changes and same and kind not in ("join", "leave", "reset"):
            return after
        after = after._replace(seq=before.seq + 1)
        if not self.bounds.events:
            claimed = any(new and new.claim and new.claim[1] == self.token(before) for _, new in changes)
            return after if claimed else after._replace(seq=before.seq)
        place = (after.epoch, after.floor, after.position, after.starts)
        outbox = (*after.outbox, Event(after.generation, after.seq, kind, changes, *place, actor))
        if self.bounds.outbox and len(outbox) > self.bounds.outbox and "backpressure" not in self.rules:
            raise Violation("audit gap: an event is trimmed from the outbox before it was relayed")
        return after._replace(outbox=outbox)

    def token(self, redis: Redis) -> Token:
        return redis.generation, redis.seq + 1

    def full(self, redis: Redis) -> bool:
        bound = self.bounds.outbox
        return bool(bound) and "backpressure" in self.rules and len(redis.outbox) >= bound

    # -- transitions.lua, sweep.lua ------------------------------------------------------------------------------------

    def _put_back(self, redis: Redis, task: int, action: str, begun: bool, lost: bool) -> Redis:
        """A claim ends without an outcome. lost: whoever settles it still is refused."""
        record = redis.records[task]
        assert record is not None
        keeps = begun or (action == "reclaim" and "attempts" in self.rules)
        older = record.claim is not None and record.claim[1][0] < redis.generation
        keeps = keeps or (older and "oldattempts" in self.rules)
        record = record._replace(
            attempt=record.attempt if keeps else record.attempt - 1,
            failures=record.failures + (action == "retry"),
            crashes=record.crashes + (action == "crash" or (action == "reclaim" and begun)),
            claim=LOST if lost else record.claim,
            settled=record.settled if lost else record.claim,
        )
        if action == "retry":
            return recorded(redis, task, record._replace(place="delayed"))
        redis = recorded(redis, task, record._replace(place="ready"))
        return redis._replace(ready=(task, *redis.ready))

    def released(self, redis: Redis, task: int) -> Redis:
        """A claim that nobody holds goes back, and counts as nothing."""
        return self._put_back(redis, task, "release", begun=False, lost=True)

    def sweep(self, redis: Redis) -> Redis:
        """One bounded step over all claims: those of lapsed workers are put back. A round ends with their lease."""
        target, cursor = redis.sweep_for, redis.swept
        if target == NOWHERE:
            target = next((seat.name for seat in redis.seats if seat.lease == "lapsed"), NOWHERE)
            cursor = (0, 0, 0) if target != NOWHERE else cursor
        rows = sorted(
            (*record.claim[1], task)
            for task, record in enumerate(redis.records)
            if record and record.place == "processing" and record.claim
        )
        rows = [row for row in rows if row > cursor][: self.bounds.sweep]
        for row in rows:
            cursor = row
            redis = self._sweep_one(redis, row[2])
        if len(rows) < self.bounds.sweep:
            redis = redis._replace(seats=tuple(seat for seat in redis.seats if seat.name != target))
            target, cursor = NOWHERE, (0, 0, 0)
        return redis._replace(sweep_for=target, swept=cursor)

    def _sweep_one(self, redis: Redis, task: int) -> Redis:
        record = redis.records[task]
        assert record is not None
        assert record.claim is not None
        name, token = record.claim
        seat = seat_of(redis, name)
        if (seat is None or seat.lease == "") and "grace" in self.rules:
            return seated(
                redis, (seat or Seat(name, ""))._replace(lease="grace")
            )  # a missing lease is not a lapsed one
        if seat and seat.lease in ("live", "grace"):
            return redis
        line = (task, token)
        begun = seat is not None and (line in seat.running or line in seat.given[:1])
        if begun and record.crashes + 1 >= self.bounds.crashes:
            return recorded(redis, task, record._replace(place="failed", crashes=record.crashes + 1, claim=LOST))
        return self._put_back(redis, task, "reclaim", begun=begun, lost=True)

    # -- settle.lua ----------------------------------------------------------------------------------------------------

    def settle(self, redis: Redis, name: int, jobs: tuple[Job, ...]) -> tuple[Redis, tuple[str, ...]]:
        """Outcomes, each fenced by its claim. Returns a word for each: settled · already · refused."""
        before, words = redis, []
        for job in jobs:
            redis, word = self._settle_one(redis, name, job)
            words.append(word)
        return self.commit(before, redis, "settle", name), tuple(words)

    def _settle_one(self, redis: Redis, name: int, job: Job) -> tuple[Redis, str]:
        record, claim = redis.records[job.task], (name, job.token)
        if record is None or job.epoch != redis.epoch:
            return redis, "refused"
        if record.settled == claim or (record.claim == claim and record.place != "processing"):
            return redis, "already"
        fenced = record.claim == claim
        if "fence" not in self.rules:
            fenced = record.place == "processing" and record.attempt == job.attempt
        if not fenced:
            return redis, "refused"
        if job.phase == "ok" or (job.phase == "error" and job.failures >= self.bounds.retries):
            return recorded(
                redis, job.task, record._replace(place="success" if job.phase == "ok" else "failed")
            ), "settled"
        if job.phase == "crash" and record.crashes + 1 >= self.bounds.crashes:
            return recorded(redis, job.task, record._replace(place="failed", crashes=record.crashes + 1)), "settled"
        action = {"error": "retry", "crash": "crash", "back": "release"}[job.phase]
        return self._put_back(redis, job.task, action, begun=job.begun, lost=False), "settled"

    # -- beat.lua, leave.lua -------------------------------------------------------------------------------------------

    def beat(self, redis: Redis, name: int, running: Given, join: bool = False) -> tuple[Redis, str]:
        """A heartbeat, or the first one. Returns ok or lapsed."""
        before, seat = redis, seat_of(redis, name)
        if not join and (seat is None or seat.lease != "live"):
            if (seat is None or seat.lease == "") and "grace" in self.rules:
                redis = seated(redis, (seat or Seat(name, ""))._replace(lease="grace"))
            return redis, "lapsed"
        redis = seated(redis, (seat or Seat(name, ""))._replace(lease="live", running=running))
        if works(redis):
            redis = self.sweep(redis)
        return self.commit(before, redis, "join" if join and seat is None else "beat", name), "ok"

    def leave(self, redis: Redis, name: int) -> Redis:
        """A worker that has given back everything ends."""
        if seat_of(redis, name) is None:
            return redis
        after = redis._replace(seats=tuple(seat for seat in redis.seats if seat.name != name))
        return self.commit(redis, after, "leave", name)

    # -- confirm.lua ---------------------------------------------------------------------------------------------------

    def confirm(self, redis: Redis, call: Call) -> tuple[Redis, str, tuple[Job, ...]]:
        """In quarantine a worker says what it holds. Returns ok · gone and the claims that Redis does not know."""
        seat = seat_of(redis, call.who)
        if redis.mode != QUARANTINE and "confirmonce" in self.rules:
            return redis, "ok", ()
        if seat is None or seat.lease == "lapsed" or (seat.confirmed and "confirmonce" in self.rules):
            return redis, "ok" if seat and seat.confirmed else "lapsed", ()
        before, held = redis, {(job.task, job.token) for job in call.jobs}
        gone = tuple(job for job in call.jobs if not _stands(redis, call.who, job))
        for job in gone:
            redis = self._keep_attempt(redis, job)
        for task, record in enumerate(redis.records):
            mine = record and record.place == "processing" and record.claim and record.claim[0] == call.who
            if record and record.claim and mine and (task, record.claim[1]) not in held:
                redis = self.released(redis, task)
        if not gone:  # numbers of takes only rise: those that an older file knows are lower (README)
            redis = seated(redis, seat._replace(confirmed=True, take=call.number, given=()))
        return self.commit(before, redis, "confirm", call.who), "gone" if gone else "ok", gone

    def _keep_attempt(self, redis: Redis, job: Job) -> Redis:
        """A start that Redis has forgotten had a number: no later one gets it."""
        record = redis.records[job.task]
        if job.epoch != redis.epoch or "keptattempts" not in self.rules:
            return redis
        if not record or record.place == "withdrawn":
            return with_start(redis, job.task, job.attempt)
        return recorded(redis, job.task, record._replace(attempt=max(record.attempt, job.attempt)))


def _stands(redis: Redis, name: int, job: Job) -> bool:
    """Whether Redis knows this claim."""
    record = redis.records[job.task]
    return record is not None and record.place == "processing" and record.claim == (name, job.token)
