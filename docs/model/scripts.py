"""The Lua scripts of `_yadtq/lua/`, as functions from the queue in Redis to the queue in Redis. One call, one instant.

`rules` are those that hold; without one, the script does what the design would have done before the model was asked.
"""

from typing import NamedTuple

from docs.model.state import (
    FINAL,
    FOREIGN,
    LOST,
    NOWHERE,
    Call,
    Event,
    Given,
    Job,
    Message,
    Read,
    Record,
    Redis,
    Seat,
    Token,
    Violation,
    recorded,
    seat_of,
    seated,
)  # fmt: skip


class Bounds(NamedTuple):
    """Small numbers that take the place of the settings. outbox: 0, no bound."""

    events: bool = False
    outbox: int = 0
    crashes: int = 3
    sweep: int = 9  # claims that one step of the sweep looks at
    retries: int = 1


class Taken(NamedTuple):
    """The answer of take. answers: a word and the expected position for each read. admitted: offsets."""

    word: str
    answers: tuple[tuple[str, int], ...] = ()
    jobs: tuple[Job, ...] = ()
    admitted: tuple[int, ...] = ()


class Scripts:
    """All transitions."""

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
        same = (before.epoch, before.floor, before.position) == (after.epoch, after.floor, after.position)
        if not changes and same and kind not in ("join", "leave"):
            return after
        after = after._replace(seq=before.seq + 1)
        if not self.bounds.events:
            claimed = any(new and new.claim and new.claim[1] == self.token(before) for _, new in changes)
            return after if claimed else after._replace(seq=before.seq)
        event = Event(
            after.generation, after.seq, kind, changes, after.epoch, after.floor, after.position, actor
        )  # fmt: skip
        outbox = (*after.outbox, event)
        if self.bounds.outbox and len(outbox) > self.bounds.outbox and "backpressure" not in self.rules:
            raise Violation("audit gap: an event is trimmed from the outbox before it was relayed")
        return after._replace(outbox=outbox)

    def token(self, redis: Redis) -> Token:
        return redis.generation, redis.seq + 1

    def full(self, redis: Redis) -> bool:
        bound = self.bounds.outbox
        return bool(bound) and "backpressure" in self.rules and len(redis.outbox) >= bound

    # -- register.lua, withdraw.lua ------------------------------------------------------------------------------------

    def register(self, redis: Redis, client: int, task: int) -> tuple[Redis, str, Token]:
        """The record of a new task. Returns a word (publish · known · conflict · full) and the mark of the message."""
        record = redis.records[task]
        withdrawn = record is not None and record.place == "withdrawn"
        if record is not None and client in (record.by if withdrawn else record.by[1:]):
            return redis, "conflict", (0, 0)  # this very submission was withdrawn: nothing undoes a refusal
        if record is None or withdrawn:
            if self.full(redis):
                return redis, "full", (0, 0)
            before = record.by if record and "tombstones" in self.rules else ()
            new = Record("registered", (client, *before), self.token(redis))
            after = self.commit(redis, recorded(redis, task, new), "register")
            return after, "publish", self.token(redis)
        mark = record.mark if "ownmark" in self.rules and record.mark != (0, 0) else self.token(redis)
        if record.by[0] != client:
            redis = self.commit(redis, recorded(redis, task, record._replace(shared=True)), "share")
        return redis, "publish" if record.place == "registered" else "known", mark

    def withdraw(self, redis: Redis, client: int, task: int, header: tuple[int, int]) -> tuple[Redis, str]:
        """A submission is taken back. header: epoch and generation of its registration, NOWHERE when not known."""
        epoch, generation = header
        record = redis.records[task] if epoch in (NOWHERE, redis.epoch) else None
        older = "withdrawgen" in self.rules and generation not in (NOWHERE, redis.generation)
        refused = "unknown" if older else "refused"
        if record is None:
            return redis, "unknown" if "absent" in self.rules else "refused"
        if "sole" in self.rules and (record.by[0] != client or record.shared):
            return redis, "unknown"
        if record.place == "withdrawn":
            return redis, refused
        if record.place not in ("registered", "ready", "delayed") or (record.claim and "attempt0" in self.rules):
            return redis, "acknowledged"
        if older and "keepold" in self.rules:
            return redis, "unknown"
        ready = tuple(each for each in redis.ready if each != task)
        after = recorded(redis._replace(ready=ready), task, Record("withdrawn", record.by))
        return self.commit(redis, after, "withdraw"), refused

    # -- take.lua ------------------------------------------------------------------------------------------------------

    def take(self, redis: Redis, call: Call, log: tuple[Message, ...], start: int) -> tuple[Redis, Taken]:
        """Admits reads, then hands out what is ready."""
        seat = seat_of(redis, call.who)
        if seat is None or seat.lease != "live":
            return redis, Taken("lapsed")
        if call.number < seat.take and "takenum" in self.rules:
            return redis, Taken("stale")
        if self.full(redis):
            return redis, Taken("full")
        before = redis
        repeated = call.number == seat.take and "takenum" in self.rules
        redis, jobs = self._give_again(redis, seat, call, repeated)
        answers: list[tuple[str, int]] = []
        admitted: list[int] = []
        for read in call.reads:
            redis, word, offsets = self._admit_read(redis, read, log, start)
            answers.append((word, redis.position))
            admitted += offsets
        redis = self._promote(redis)
        if any(each.lease == "lapsed" for each in redis.seats):
            redis = self.sweep(redis)
        if not repeated:
            redis, jobs = self._hand_out(redis, call)
        given = tuple((job.task, job.token) for job in jobs)
        seat = seat._replace(take=max(seat.take, call.number), given=given, running=call.running)
        redis = self.commit(before, seated(redis, seat), "take", call.who)
        return redis, Taken("ok", tuple(answers), jobs, tuple(admitted))

    def _give_again(self, redis: Redis, seat: Seat, call: Call, repeated: bool) -> tuple[Redis, tuple[Job, ...]]:
        """A repeated call gets what the first one gave; what an unread answer gave goes back."""
        jobs: list[Job] = []
        if "takenum" not in self.rules or not (repeated or call.seen < seat.take):
            return redis, ()
        for task, token in seat.given:
            record = redis.records[task]
            if not record or record.place != "processing" or record.claim != (seat.name, token):
                continue
            if repeated:
                jobs.append(_job(redis, task, record, token))
            else:
                redis = self.released(redis, task)
        return redis, tuple(jobs)

    def _admit_read(
        self, redis: Redis, read: Read, log: tuple[Message, ...], start: int
    ) -> tuple[Redis, str, list[int]]:
        """A read counts only if it began where the queue is."""
        stored = redis.position
        fits = read.began == stored or (stored == NOWHERE and read.first)
        if "range" in self.rules and read.first and read.began == start:
            fits = fits or stored < start
        if not fits and ("offset" in self.rules or read.began > stored):
            return redis, "seek", []
        admitted: list[int] = []
        for offset in range(read.began, read.next):
            ready = len(redis.ready)
            redis = self._admit(redis, log[offset], offset)
            if len(redis.ready) > ready:
                admitted.append(offset)
        return redis._replace(position=max(stored, read.next)), "admitted", admitted

    def _admit(self, redis: Redis, message: Message, offset: int) -> Redis:
        """One message makes a registered task ready, is a new task, or is dropped."""
        task, record = message.task, redis.records[message.task]
        known = record is not None and record.place != "withdrawn"
        if message.ours:
            lost = self._registration_lost(redis, message)
            if message.epoch != redis.epoch and not lost:
                return redis
            if not known and not lost and "mark" in self.rules:
                return redis  # rule mark: it never creates a record
            if not known and lost and offset < redis.floor:
                return redis
        elif offset < redis.floor:
            return redis
        if record is None or not known:
            record = Record("registered", (FOREIGN,), message.mark)
        elif not message.ours and "foreignshared" in self.rules:
            record = record._replace(shared=True)
            redis = recorded(redis, task, record)
        if record.place != "registered":
            return redis
        redis = recorded(redis, task, record._replace(place="ready", offset=offset))
        return redis._replace(ready=(*redis.ready, task))

    def _registration_lost(self, redis: Redis, message: Message) -> bool:
        """Whether the mark is of a registration that a Redis which went back has forgotten."""
        generation, seq = message.mark
        if "forward" not in self.rules or generation >= redis.generation or seq <= redis.end:
            return False
        reset_since = message.epoch < redis.epoch or generation < redis.reset_in
        return not (reset_since and "resetgen" in self.rules)

    def _promote(self, redis: Redis) -> Redis:
        for task, record in enumerate(redis.records):
            if record and record.place == "delayed":
                redis = recorded(redis, task, record._replace(place="ready"))
                redis = redis._replace(ready=(*redis.ready, task))
        return redis

    def _hand_out(self, redis: Redis, call: Call) -> tuple[Redis, tuple[Job, ...]]:
        jobs: list[Job] = []
        token = self.token(redis)
        taken, left = redis.ready[: call.free], redis.ready[call.free :]
        for task in taken:
            record = redis.records[task]
            assert record is not None
            record = record._replace(place="processing", attempt=record.attempt + 1, claim=(call.who, token))
            redis = recorded(redis, task, record)
            jobs.append(_job(redis, task, record, token))
        return redis._replace(ready=left), tuple(jobs)

    # -- putback.lua ---------------------------------------------------------------------------------------------------

    def _put_back(self, redis: Redis, task: int, action: str, begun: bool, lost: bool) -> Redis:
        """A claim ends without an outcome. lost: whoever settles it still is refused."""
        record = redis.records[task]
        assert record is not None
        keeps = begun or (action == "reclaim" and "attempts" in self.rules)
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
        redis = self.sweep(redis)
        return self.commit(before, redis, "join" if join and seat is None else "beat", name), "ok"

    def leave(self, redis: Redis, name: int) -> Redis:
        """A worker that has given back everything ends."""
        if seat_of(redis, name) is None:
            return redis
        after = redis._replace(seats=tuple(seat for seat in redis.seats if seat.name != name))
        return self.commit(redis, after, "leave", name)

    # -- reset.lua, tidy.lua, retry.lua --------------------------------------------------------------------------------

    def reset(self, redis: Redis, request: int, end: int) -> Redis:
        """Raises the epoch. A request that was answered changes nothing."""
        done = redis.resets if "resetnames" in self.rules else redis.resets[-1:]
        if request in done:
            return redis
        after = redis._replace(
            epoch=redis.epoch + 1, reset_in=redis.generation, floor=max(redis.floor, end), ready=(),
            records=(None,) * len(redis.records), resets=(*redis.resets, request), swept=(0, 0, 0), sweep_for=NOWHERE,
        )  # fmt: skip
        return self.commit(redis, after, "reset")

    def expire(self, redis: Redis, task: int) -> Redis:
        """The life of a result, or of a tombstone, is over. Of tombstones no event tells."""
        record, after = redis.records[task], recorded(redis, task, None)
        return self.commit(redis, after, "expire") if record and record.place in FINAL else after

    def requeue(self, redis: Redis, task: int) -> Redis:
        """A person starts a failed task again."""
        record = redis.records[task]
        assert record is not None
        record = record._replace(place="ready", settled=record.claim, failures=0, crashes=0)
        after = recorded(redis, task, record)._replace(ready=(*redis.ready, task))
        return self.commit(redis, after, "requeue")


def _job(redis: Redis, task: int, record: Record, token: Token) -> Job:
    return Job(task, redis.epoch, record.attempt, record.failures, token, "sent")
