"""The Lua scripts of `_yadtq/lua/` by which tasks come, are handed out and go; claims.py has the rest."""

from typing import NamedTuple

from docs.model.claims import Claims
from docs.model.state import (  # fmt: skip
    FINAL,
    FOREIGN,
    NOWHERE,
    Call,
    Job,
    Message,
    Read,
    Record,
    Redis,
    Seat,
    Token,
    recorded,
    seat_of,
    seated,
    start_of,
    with_start,
    without_start,
)


class Taken(NamedTuple):
    """The answer of take. answer: a word and the expected position, for the read. admitted: offsets."""

    word: str
    answer: tuple[str, int] | None = None
    jobs: tuple[Job, ...] = ()
    admitted: tuple[int, ...] = ()


class Scripts(Claims):
    """All transitions."""

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
            new = Record("registered", (client, *before), self.token(redis), attempt=start_of(redis, task))
            after = self.commit(redis, recorded(without_start(redis, task), task, new), "register")
            return after, "publish", self.token(redis)
        mark = record.mark if "ownmark" in self.rules and record.mark != (0, 0) else self.token(redis)
        if record.by[0] != client:
            redis = self.commit(redis, recorded(redis, task, record._replace(shared=True)), "share")
        return redis, "publish" if record.place == "registered" else "known", mark

    def withdraw(self, redis: Redis, client: int, task: int, header: tuple[int, int]) -> tuple[Redis, str]:
        """A submission is taken back. header: epoch and generation of its registration, NOWHERE when not known."""
        epoch, generation = header
        older = generation not in (NOWHERE, redis.generation)
        if older and "keepold" in self.rules:
            return redis, "unknown"
        record = redis.records[task] if epoch in (NOWHERE, redis.epoch) else None
        refused = "unknown" if older and "withdrawgen" in self.rules else "refused"
        if record is None:
            return redis, "unknown" if "absent" in self.rules else "refused"
        if "sole" in self.rules and (record.by[0] != client or record.shared):
            return redis, "unknown"
        if record.place == "withdrawn":
            return redis, refused
        if record.place not in ("registered", "ready", "delayed") or (record.claim and "attempt0" in self.rules):
            return redis, "acknowledged"
        ready = tuple(each for each in redis.ready if each != task)
        after = recorded(redis._replace(ready=ready), task, Record("withdrawn", record.by))
        if record.attempt:
            after = with_start(after, task, record.attempt)
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
        answer: tuple[str, int] | None = None
        admitted: list[int] = []
        if call.read:
            redis, word, admitted = self._admit_read(redis, call.read, log, start)
            answer = (word, redis.position)
        redis = self._promote(redis)
        if any(each.lease == "lapsed" for each in redis.seats):
            redis = self.sweep(redis)
        if not repeated and self._may_be_given(redis, call.who):
            redis, jobs = self._hand_out(redis, call)
        given = tuple((job.task, job.token) for job in jobs if self.bounds.told)
        seat = seat._replace(take=max(seat.take, call.number), given=given, running=call.running)
        redis = self.commit(before, seated(redis, seat), "take", call.who)
        return redis, Taken("ok", answer, jobs, tuple(admitted))

    def _may_be_given(self, redis: Redis, name: int) -> bool:
        """Whether the join of an incarnation is in the event log (rule joinwait)."""
        waits = any(event.kind == "join" and event.actor == name for event in redis.outbox)
        return not waits or "joinwait" not in self.rules

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
        elif offset < redis.floor:
            return redis
        if record is None or not known:
            record = Record("registered", (FOREIGN,), message.mark, attempt=start_of(redis, task))
            redis = without_start(redis, task)
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
        lost = any(newer > generation and seq > known for newer, known in redis.began)
        if "forward" not in self.rules or generation >= redis.generation or not lost:
            return False
        if generation == redis.reset_in:
            later = message.epoch >= redis.epoch if "epochs" in self.rules else message.epoch == redis.epoch
        else:
            later = generation > redis.reset_in
        return later or "resetgen" not in self.rules

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

    # -- reset.lua, tidy.lua, retry.lua --------------------------------------------------------------------------------

    def reset(self, redis: Redis, request: int, end: int) -> Redis:
        """Raises the epoch. A request that was answered changes nothing."""
        done = redis.resets if "resetnames" in self.rules else redis.resets[-1:]
        if request in done:
            return redis
        after = redis._replace(
            epoch=redis.epoch + 1, reset_in=redis.generation, floor=max(redis.floor, end), ready=(),
            records=(None,) * len(redis.records), starts=(), resets=(*redis.resets, request), swept=(0, 0, 0),
            sweep_for=NOWHERE,
        )  # fmt: skip
        return self.commit(redis, after, "reset", request)

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
