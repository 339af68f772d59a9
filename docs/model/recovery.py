"""Redis comes back, perhaps poorer than it went: how it is led back (DESIGN §2, "When Redis comes back").

Modes of Redis: `open` · `stale` (the server's run id is not the stored one: no script acts) · `quarantine` (a new
generation; each worker says what it holds, and until then no task is handed out, settled or put back) · `gone` (empty).
A queue is founded by the same steps: `gone`, and the event log is empty.

Two processes may try at once. Each may be held up or die after any step, and Redis may go away again after any step.
"""

from collections.abc import Iterator
from functools import partial

from docs.model import observer
from docs.model.programs import Step, World
from docs.model.state import (  # fmt: skip
    GONE,
    NOWHERE,
    OPEN,
    QUARANTINE,
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

IDLE = Recoverer()


def restart_steps(world: World, state: State) -> Iterator[Step]:
    """Faults of Redis."""
    yield "Redis restarts and has kept all", "restart", lambda: _restart(world, state, state.redis)
    if state.redis.mode != GONE and state.redis != state.durable:
        yield "DURABLE POINT: what follows Redis may forget", "durable", lambda: state._replace(durable=state.redis)
    durable = state.durable
    if durable is not None:
        yield "Redis goes back to its durable point", "rollback", lambda: _restart(world, state, durable)
    empty = nothing(world.setup.tasks)
    yield "Redis loses everything", "lose", lambda: _restart(world, state, empty)
    if state.redis.mode == OPEN or "again" not in world.left(state.budget):
        return
    yield "Redis restarts again, before it is open", "again", lambda: _restart(world, state, state.redis)
    if durable is not None:
        yield "Redis goes back again, before it is open", "again", lambda: _restart(world, state, durable)
    if "lose" in world.names:
        yield "Redis loses everything again, before it is open", "again", lambda: _restart(world, state, empty)


def nothing(tasks: int) -> Redis:
    """A Redis without a queue."""
    return Redis((None,) * tasks, (), generation=0, mode=GONE)


def _restart(world: World, state: State, kept: Redis) -> State:
    """All connections break: calls under way are lost. What is in no file is forgotten."""
    guarded = {"forward", "quarantine"} & world.rules
    if guarded:
        kept = kept._replace(mode=GONE if kept.mode == GONE else STALE)
    else:
        seats = tuple(Seat(worker.name, "live") for worker in state.workers) if kept.mode == GONE else kept.seats
        kept = kept._replace(mode=OPEN, seats=seats, generation=1)
    if "election" in world.rules:  # a script names the run id that its process learned when it began
        state = state._replace(recoverers=tuple(each._replace(attempt=NOWHERE) for each in state.recoverers))
    forgot = state.forgot or state.redis[:-4] != kept[:-4]  # all but how it is led back
    kept = kept._replace(kept=kept.seq)
    state = state._replace(redis=kept, held=(), forgot=forgot)
    return state if guarded else observer.opened(observer.forgive(state, world.setup.strict))


# -- leading it back --------------------------------------------------------------------------------------------------


def recovery_steps(world: World, state: State) -> Iterator[Step]:
    """begin → marker → one event after the other → open → each worker confirms → quarantine ends."""
    mode = state.redis.mode
    for index, recoverer in enumerate(state.recoverers):
        if index and state.recoverers[index - 1] == recoverer == IDLE:
            continue  # two that have done nothing yet are alike
        if recoverer.step == "idle" and mode in (STALE, GONE):
            led = any(other.step != "idle" and other.attempt == state.redis.tries for other in state.recoverers)
            label = f"process {index} begins to lead Redis back{', for another one takes too long' if led else ''}"
            yield label, "overtake" if led else "", partial(_begin, world, state, index, 0)
        if recoverer.step == "begun":
            yield f"process {index} appends its marker", "", partial(_mark, world, state, index)
            label = f"process {index} dies; its marker of generation {recoverer.generation} is on the way"
            yield label, "late-marker", partial(_sent_late, world, state, index)
        if recoverer.step == "marked":
            yield from _lead_steps(world, state, index)
        if recoverer.step in ("begun", "marked"):
            yield f"process {index} dies; another one is there", "recoverer-dies", partial(_to, state, index)
    for marker in state.late_markers:
        left = tuple(each for each in state.late_markers if each != marker)
        after = state._replace(late_markers=left)
        yield f"the late marker of generation {marker[0]} arrives", "", partial(_marked, world, after, *marker)
    if mode == QUARANTINE:
        waited_for = any(not seat.confirmed and seat.lease != "lapsed" for seat in state.redis.seats)
        if not waited_for or "quarantine" not in world.rules:
            yield "the quarantine ends", "", lambda: state._replace(redis=state.redis._replace(mode=OPEN))


def _to(state: State, index: int, recoverer: Recoverer = IDLE) -> State:
    return state._replace(recoverers=put(state.recoverers, index, recoverer))


def _begin(world: World, state: State, index: int, above: int) -> State:
    """In Redis: the newest who has begun is the one (rule election), and his generation is the newest (rule begun).

    above: the newest generation that this process has seen in the event log. Where the process computes the generation,
    that of process 0, whose clock is ahead, is a higher one.
    """
    redis = state.redis._replace(mode=STALE, tries=state.redis.tries + 1)
    if "begun" in world.rules:
        generation = max(redis.generation, redis.begun, above) + 1
        redis = redis._replace(begun=generation)
    else:
        generation = max(redis.generation, above) + (2 if index == 0 else 1)
    return _to(state._replace(redis=redis), index, Recoverer("begun", redis.tries, generation, redis.kept))


def _mark(world: World, state: State, index: int) -> State:
    """What lies before the marker counts; what a late relay sends behind it is void. Then the log is read up to it."""
    recoverer, newest = state.recoverers[index], state.newest
    if "forward" in world.rules:
        known = max(state.logged, recoverer.kept) if "ends" in world.rules else recoverer.kept
        state = _marked(world, state, recoverer.generation, max(state.redis.generation, newest), known)
        if state.redis.mode in (STALE, GONE):
            state = observer.forgive(state, world.setup.strict)
    if _outdated(world, state, index):
        return _to(state, index)
    if newest >= recoverer.generation and "markercheck" in world.rules:
        return _begin(world, state, index, newest)
    return _to(state, index, recoverer._replace(step="marked"))


def _marked(world: World, state: State, generation: int, before: int, known: int) -> State:
    """A marker is in the log. before: the newest generation that its sender knew: only up to that it ends any."""
    lives = max(state.lives, before + 1 if "before" in world.rules else generation)
    if generation > state.newest:
        state = state._replace(newest=generation, markers=(*state.markers, (generation, known)))
    return state._replace(lives=lives)


def _sent_late(world: World, state: State, index: int) -> State:
    recoverer = state.recoverers[index]
    marker = (recoverer.generation, max(state.redis.generation, state.newest), recoverer.kept)
    return _to(state._replace(late_markers=(*state.late_markers, marker)), index)


def _outdated(world: World, state: State, index: int) -> bool:
    """Whether its scripts are refused (rule election). It may begin again."""
    redis, recoverer = state.redis, state.recoverers[index]
    return redis.mode != STALE or ("election" in world.rules and recoverer.attempt != redis.tries)


def _lead_steps(world: World, state: State, index: int) -> Iterator[Step]:
    redis = state.redis
    if _outdated(world, state, index):
        yield f"process {index} finds that it is outdated", "", partial(_to, state, index)
        return
    generation = state.recoverers[index].generation
    missing = [event for event in state.events if event.seq > redis.seq and event.stamp < generation]
    if missing and "forward" in world.rules:
        event = missing[0]
        label = f"process {index} applies event {event.seq} ({event.kind})"
        yield label, "", lambda: state._replace(redis=applied(world, redis, event))
    else:
        yield f"process {index} raises the generation", "", lambda: _open(world, state, index)


def applied(world: World, redis: Redis, event: Event) -> Redis:
    """One script: an event that Redis has forgotten happens again."""
    if event.base is not None:
        return event.base._replace(mode=redis.mode, tries=redis.tries, begun=redis.begun, kept=redis.kept)
    for task, record in event.changes:
        redis = recorded(redis, task, record)
    if event.kind == "join":
        redis = seated(redis, Seat(event.actor, "live"))
    if event.kind == "leave":
        redis = redis._replace(seats=tuple(seat for seat in redis.seats if seat.name != event.actor))
    if event.kind == "reset":
        redis = redis._replace(reset_in=event.generation, resets=(*redis.resets, event.actor))
    if event.generation > redis.generation:
        redis = redis._replace(generation=event.generation)
    return redis._replace(
        seq=event.seq, starts=event.starts, trimmed=event.seq, epoch=event.epoch, floor=event.floor,
        position=max(redis.position, event.position), ready=_ready(redis),
    )  # fmt: skip


def _ready(redis: Redis) -> tuple[int, ...]:
    """The list of ready tasks follows from the records."""
    places = [record.place if record else "" for record in redis.records]
    kept = [task for task in redis.ready if places[task] == "ready"]
    return (*kept, *(task for task, place in enumerate(places) if place == "ready" and task not in kept))


def _open(world: World, state: State, index: int) -> State:
    """One script: the new generation begins. A file that knows more than the queue that goes on now is refused from
    then on: it is of a branch that was abandoned."""
    redis, generation = state.redis, state.recoverers[index].generation
    if redis.seq < state.logged and "forward" in world.rules:
        raise Violation("the event log tells of something that Redis had forgotten when it was led back")
    if "forward" in world.rules:
        known = redis.seq if "ends" in world.rules else redis.kept
        told = {newer for newer, _ in redis.began}
        earlier = (each for each in state.markers if each[0] < generation and each[0] not in told)
        redis = redis._replace(generation=generation, began=(*redis.began, *earlier, (generation, known)))
    redis = redis._replace(mode=QUARANTINE)
    for record in redis.records:
        if record and record.place == "processing" and record.claim and seat_of(redis, record.claim[0]) is None:
            redis = seated(redis, Seat(record.claim[0], "grace"))
    redis = redis._replace(seats=tuple(seat._replace(confirmed=False) for seat in redis.seats))
    durable = state.durable if state.durable and state.durable.seq <= redis.seq else None
    return observer.opened(_to(state._replace(redis=redis, durable=durable), index))
