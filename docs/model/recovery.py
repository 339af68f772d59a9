"""Redis comes back, perhaps poorer than it went: how it is led back (DESIGN §2, "When Redis comes back").

Modes of Redis: `open` · `stale` (the server's run id is not the stored one: no script acts) · `confirming` (a new
generation; each worker says what it holds) · `gone` (empty: a person starts the rebuild). The code has none of this.

Two processes may try at once. Each may die after any step, and Redis may go away again after any step.
"""

from collections.abc import Iterator
from functools import partial

from docs.model import observer
from docs.model.programs import Step, World
from docs.model.servers import history, valid
from docs.model.state import (  # fmt: skip
    CONFIRMING,
    FINAL,
    GONE,
    NOWHERE,
    OPEN,
    STALE,
    Event,
    Recoverer,
    Redis,
    Seat,
    State,
    Violation,
    put,
    recorded,
    seat_of,
    seated,
)
from docs.model.workers import stopped


def restart_steps(world: World, state: State) -> Iterator[Step]:
    """Faults of Redis."""
    yield "Redis restarts and has kept all", "restart", lambda: _restart(world, state, state.redis)
    if state.redis.mode != GONE:
        yield "DURABLE POINT: what follows Redis may forget", "durable", lambda: state._replace(durable=state.redis)
    durable = state.durable
    if durable is not None:
        yield "Redis goes back to its durable point", "rollback", lambda: _restart(world, state, durable)
    empty = Redis((None,) * world.setup.tasks, (), generation=0, seq=-2, mode=GONE)
    yield "Redis loses everything", "lose", lambda: _restart(world, state, empty)


def _restart(world: World, state: State, kept: Redis) -> State:
    """All connections break. What is in no file is forgotten."""
    guarded = {"forward", "quarantine"} & world.rules
    if guarded:
        kept = kept._replace(mode=GONE if kept.mode == GONE else STALE)
    else:
        seats = tuple(Seat(worker.name, "live") for worker in state.workers) if kept.mode == GONE else kept.seats
        kept = kept._replace(mode=OPEN, seats=seats, generation=1, seq=max(0, kept.seq))
    poorer = state.redis[:-2] != kept[:-2]  # all but mode and tries
    recoverers = tuple(each._replace(attempt=NOWHERE) for each in state.recoverers)  # the run id is another one
    state = state._replace(redis=kept, held=(), recoverers=recoverers, forgot=state.forgot or poorer)
    return state if guarded else _forgive(world, state)


def _forgive(world: World, state: State) -> State:
    """What neither Redis nor the event log knows any more is beyond every promise (README); unless `strict`."""
    position = max([state.redis.position, *(event.position for event in state.events)])
    state = state._replace(admitted=frozenset(offset for offset in state.admitted if offset < position))
    if world.setup.strict:
        return state
    for task, known in enumerate(state.ghosts):
        record = state.redis.records[task]
        told = [*history(state, task), record]
        if known.outcome and not any(each and each.place in FINAL for each in told):
            state = observer.ghost(state, task, outcome="")
        for number, client in enumerate(state.clients):
            untold = not any(each and each.place == "withdrawn" for each in told)
            if client.step == "refused" and world.setup.clients[number] == task and untold:
                state = state._replace(clients=put(state.clients, number, client._replace(step="unknown")))
    return _forgive_reset(state)


def _forgive_reset(state: State) -> State:
    """A reset whose answer nobody has had is asked again."""
    epoch = max([state.redis.epoch, *(event.epoch for event in state.events)])
    for request, progress in enumerate(state.resets):
        if progress == "ran" and request >= epoch:
            state = state._replace(resets=put(state.resets, request, "asked"))
            for task in range(len(state.ghosts)):
                state = observer.ghost(state, task, reset=False)
    return state


# -- leading it back --------------------------------------------------------------------------------------------------


def recovery_steps(world: World, state: State) -> Iterator[Step]:
    """begin → marker → one event after the other → finish → each worker confirms → open."""
    mode = state.redis.mode
    for index, recoverer in enumerate(state.recoverers):
        if index and state.recoverers[index - 1] == Recoverer():
            continue  # two that have done nothing yet are alike
        if recoverer.step == "idle" and mode in (STALE, GONE):
            yield f"process {index} begins to lead Redis back", "", partial(_begin, world, state, index)
        if recoverer.step == "begun":
            yield f"process {index} appends its marker", "", partial(_mark, world, state, index)
        if recoverer.step == "marked":
            yield from _lead_steps(world, state, index)
        if recoverer.step in ("begun", "marked"):
            yield f"process {index} dies", "recoverer-dies", partial(_to, state, index, Recoverer("dead"))
    if mode == CONFIRMING:
        yield from _confirm_steps(world, state)


def _to(state: State, index: int, recoverer: Recoverer) -> State:
    return state._replace(recoverers=put(state.recoverers, index, recoverer))


def _begin(world: World, state: State, index: int) -> State:
    """In Redis: the newest who has begun is the one (rule election). And it reads the event log's newest generation."""
    redis = state.redis._replace(mode=STALE, tries=state.redis.tries + 1)
    generation = max([redis.generation, *(event.generation for event in state.events)]) + 1
    return _to(state._replace(redis=redis), index, Recoverer("begun", redis.tries, generation))


def _mark(world: World, state: State, index: int) -> State:
    """What lies before the marker counts; what a late relay sends behind it is void."""
    recoverer = state.recoverers[index]
    if "markercheck" in world.rules and any(event.generation >= recoverer.generation for event in state.events):
        return _to(state, index, Recoverer())  # another one was faster: it begins anew
    marker = Event(recoverer.generation, 0, "marker")
    state = _to(state, index, recoverer._replace(step="marked", marker=len(state.events)))
    if "forward" in world.rules:
        state = state._replace(events=(*state.events, marker))
    return _forgive(world, state) if state.redis.mode in (STALE, GONE) else state


def _lead_steps(world: World, state: State, index: int) -> Iterator[Step]:
    redis, recoverer = state.redis, state.recoverers[index]
    outdated = redis.mode != STALE or ("election" in world.rules and recoverer.attempt != redis.tries)
    if outdated:
        yield f"process {index} finds that it is outdated", "", lambda: _to(state, index, Recoverer())
        return
    missing = [event for event in valid(state.events[: recoverer.marker]) if event.seq > redis.seq]
    if missing and "forward" in world.rules:
        event = missing[0]
        yield f"process {index} applies event {event.id} ({event.kind})", "", lambda: _apply(state, event)
    else:
        yield f"process {index} raises the generation", "", lambda: _finish(world, state, index)


def _apply(state: State, event: Event) -> State:
    """One script: an event that Redis has forgotten happens again."""
    redis = state.redis
    for task, record in event.changes:
        newest = history(state, task)[-1]
        open_still = newest is not None and newest.place not in (*FINAL, "withdrawn")
        if record and redis.records[task] is None and open_still and 0 <= record.offset < state.start:
            raise Violation(f"task {task} is not finished, and the message with its arguments was deleted")
        redis = recorded(redis, task, record)
    if event.kind == "join":
        redis = seated(redis, Seat(event.actor, "live"))
    if event.kind == "leave":
        redis = redis._replace(seats=tuple(seat for seat in redis.seats if seat.name != event.actor))
    if event.kind == "reset":
        redis = redis._replace(reset_in=event.generation, resets=(*redis.resets, event.epoch - 1))
    return state._replace(
        redis=redis._replace(
            seq=event.seq, generation=max(redis.generation, event.generation), epoch=event.epoch, floor=event.floor,
            position=max(redis.position, event.position), ready=_ready(redis),
        )
    )  # fmt: skip


def _ready(redis: Redis) -> tuple[int, ...]:
    """The list of ready tasks follows from the records."""
    places = [record.place if record else "" for record in redis.records]
    kept = [task for task in redis.ready if places[task] == "ready"]
    return (*kept, *(task for task, place in enumerate(places) if place == "ready" and task not in kept))


def _finish(world: World, state: State, index: int) -> State:
    """One script: the new generation begins. Events that wait in the outbox belong to it now (rule reissue)."""
    redis, generation = state.redis, state.recoverers[index].generation
    known = {event.id for event in state.events}
    outbox = tuple(event for event in redis.outbox if event.id not in known)
    if "reissue" in world.rules:
        outbox = tuple(event._replace(generation=generation) for event in outbox)
    elif "forward" not in world.rules:
        generation = redis.generation
    redis = redis._replace(outbox=outbox, end=redis.seq, generation=generation, mode=CONFIRMING)
    for record in redis.records:
        if record and record.place == "processing" and record.claim and seat_of(redis, record.claim[0]) is None:
            redis = seated(redis, Seat(record.claim[0], "grace"))
    redis = redis._replace(seats=tuple(seat._replace(confirmed=False) for seat in redis.seats))
    return _to(state._replace(redis=redis), index, Recoverer())


# -- the workers confirm ----------------------------------------------------------------------------------------------


def _confirm_steps(world: World, state: State) -> Iterator[Step]:
    redis = state.redis
    for index, worker in enumerate(state.workers):
        seat = seat_of(redis, worker.name)
        if worker.acts and not worker.lost and (seat is None or not seat.confirmed):
            label = f"worker {index} says what it holds, and kills what is not its own"
            yield label, "", partial(_confirm, world, state, index, seat)
    waited_for = [seat for seat in redis.seats if not seat.confirmed and seat.lease != "lapsed"]
    if not waited_for or "quarantine" not in world.rules:
        yield "the queue opens", "", lambda: state._replace(redis=redis._replace(mode=OPEN))


def _confirm(world: World, state: State, index: int, seat: Seat | None) -> State:
    """What Redis does not know as this worker's is killed, what the worker does not hold goes back."""
    worker, redis = state.workers[index], state.redis
    if seat is None or worker.fired:
        if seat is not None:
            redis = seated(redis, seat._replace(lease="lapsed"))
        after = stopped(worker)._replace(lost=True)
        return state._replace(redis=redis, workers=put(state.workers, index, after))
    held = {(job.task, job.token): job for job in worker.jobs}
    for task, record in enumerate(redis.records):
        if record and record.place == "processing" and record.claim and record.claim[0] == worker.name:
            if (task, record.claim[1]) in held:
                continue
            redis = world.scripts.released(redis, task)
    jobs = tuple(job for job in worker.jobs if _stands(redis, worker.name, job.task, job.token))
    given = tuple((job.task, job.token) for job in jobs)
    redis = seated(
        redis, seat._replace(lease="live", confirmed=True, take=worker.number, given=given, running=given[:1])
    )
    after = worker._replace(jobs=jobs, doubt=False, power="up")
    redis = world.scripts.commit(state.redis, redis, "confirm", worker.name)
    return state._replace(redis=redis, workers=put(state.workers, index, after))


def _stands(redis: Redis, name: int, task: int, token: tuple[int, int]) -> bool:
    record = redis.records[task]
    return record is not None and record.place == "processing" and record.claim == (name, token)
