"""Numbers of calls rise for ever. Only their order counts: they are made small again once no event log needs them."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from docs.model.state import Claim, Client, Job, Message, Record, Redis, State, Token, Worker

NONE: Token = (0, 0)


def renumbered(state: State) -> State:
    """The same world with the smallest numbers that keep their order. Seats must hold none (Bounds.told)."""
    if state.held:
        return state
    redis, tokens = state.redis, _tokens(state)
    numbers = sorted({seq for _, seq in tokens})
    began = tuple(
        (newer, bisect_right(numbers, known))
        for newer, known in redis.began
        if any(generation < newer and seq > known for generation, seq in tokens)
    )
    redis = redis._replace(seq=len(numbers), began=began)
    state = state._replace(redis=redis, logged=len(numbers))
    if not numbers or numbers[-1] == len(numbers):
        return state
    places = {seq: place for place, seq in enumerate(numbers, 1)}
    new = {(generation, seq): (generation, places[seq]) for generation, seq in tokens}
    return _with(state, {**new, NONE: NONE})


def _tokens(state: State) -> set[Token]:
    """All that are written anywhere."""
    found: set[Token] = {message.mark for message in (*state.flying, *state.log)}
    found.update(client.mark for client in state.clients)
    found.update(ghost.settled for ghost in state.ghosts)
    found.update(job.token for worker in state.workers for job in worker.jobs)
    for record in state.redis.records:
        if record:
            found.add(record.mark)
            found.update(claim[1] for claim in (record.claim, record.settled) if claim)
    if state.sweeper:
        found.add(state.sweeper.mark)
    found.add(state.redis.swept[:2])
    found.discard(NONE)
    return found


def _with(state: State, new: dict[Token, Token]) -> State:
    redis = state.redis
    return state._replace(
        redis=_in_redis(redis, new),
        clients=tuple(_in_client(each, new) for each in state.clients),
        workers=tuple(_in_worker(each, new) for each in state.workers),
        ghosts=tuple(each._replace(settled=new[each.settled]) for each in state.ghosts),
        flying=tuple(_in_messages(state.flying, new)),
        log=tuple(_in_messages(state.log, new)),
        sweeper=state.sweeper and state.sweeper._replace(mark=new[state.sweeper.mark]),
    )


def _in_redis(redis: Redis, new: dict[Token, Token]) -> Redis:
    records = tuple(record and _in_record(record, new) for record in redis.records)
    return redis._replace(records=records, swept=(*new[redis.swept[:2]], redis.swept[2]))


def _in_record(record: Record, new: dict[Token, Token]) -> Record:
    return record._replace(
        mark=new[record.mark], claim=_in_claim(record.claim, new), settled=_in_claim(record.settled, new)
    )


def _in_claim(claim: Claim | None, new: dict[Token, Token]) -> Claim | None:
    return claim and (claim[0], new[claim[1]])


def _in_client(client: Client, new: dict[Token, Token]) -> Client:
    return client._replace(mark=new[client.mark])


def _in_worker(worker: Worker, new: dict[Token, Token]) -> Worker:
    return worker._replace(jobs=tuple(_in_job(job, new) for job in worker.jobs))


def _in_job(job: Job, new: dict[Token, Token]) -> Job:
    return job._replace(token=new[job.token])


def _in_messages(messages: Iterable[Message], new: dict[Token, Token]) -> Iterator[Message]:
    return (message._replace(mark=new[message.mark]) for message in messages)
