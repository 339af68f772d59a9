"""Kafka, the passing of time, faults, the relay of events, and the retention of the task topic."""

from collections.abc import Iterator
from functools import partial

from docs.model import observer, programs
from docs.model.programs import Step, World, become
from docs.model.state import (  # fmt: skip
    FINAL,
    NOWHERE,
    Call,
    Event,
    Message,
    State,
    Violation,
    Worker,
    answers,
    put,
    seated,
    without,
    works,
)


def kafka_steps(world: World, state: State) -> Iterator[Step]:
    """Messages arrive; the group moves the partition."""
    for message in dict.fromkeys(state.flying):
        label = f"Kafka appends task {message.task} at offset {len(state.log)}"
        after = state._replace(flying=without(state.flying, message), log=(*state.log, message))
        yield label, "", become(after)
    for task in range(world.setup.tasks if "foreign" in world.left(state.budget) else 0):
        label = f"another producer appends task {task} at offset {len(state.log)}"
        yield label, "foreign", become(state._replace(log=(*state.log, Message(task))))
    holder, other = state.workers[state.reader], 1 - state.reader
    free = holder.power not in ("up", "cut", "thawed")
    if state.workers[other].acts and (free or "rebalance" in world.left(state.budget)):
        fault = "" if free else "rebalance"
        after = state._replace(
            reader=other,
            workers=put(state.workers, other, state.workers[other]._replace(at=NOWHERE, first=False)),
        )
        yield f"the partition moves to worker {other}", fault, lambda: after
    if state.redis.position != NOWHERE:
        yield from _retention_steps(world, state)


def _retention_steps(world: World, state: State) -> Iterator[Step]:
    """The relay's holder deletes the messages that nobody needs any more."""
    end = state.redis.position
    if "retain" in world.rules:
        end = next((o for o in range(state.start, end) if _needed(world, state, o)), end)
    if end > state.start and answers(state.redis):
        label = f"the messages below offset {end} are deleted"
        yield label, "retention", lambda: state._replace(start=end)


def _needed(world: World, state: State, offset: int) -> bool:
    """By an unfinished task; and for the rebuild, as long as the event log does not know all that was."""
    task = state.log[offset].task
    record = state.redis.records[task]
    unfinished = record is not None and record.place not in (*FINAL, "withdrawn")
    untold = any(task == each for event in state.redis.outbox for each, _ in event.changes)
    return unfinished or (untold and "window" in world.rules)


# -- time and faults --------------------------------------------------------------------------------------------------


def time_steps(world: World, state: State) -> Iterator[Step]:
    """Leases lapse, processes and machines stop and go on, somebody deletes a key."""
    left = world.left(state.budget)
    for index, worker in enumerate(state.workers):
        if worker.power == "up":
            for fault, power in (("kill", "dead"), ("stop", "stopped"), ("cut", "cut"), ("freeze", "frozen")):
                if fault in left:
                    yield f"worker {index}: {fault}", fault, partial(_power, state, index, power)
        elif worker.power in ("stopped", "cut", "frozen"):
            power = "thawed" if worker.power == "frozen" else "up"
            yield f"worker {index} goes on", "", partial(_power, state, index, power)
    for seat in state.redis.seats:
        owner = next((worker for worker in state.workers if worker.name == seat.name), None)
        over = owner is None or owner.fired or owner.power == "frozen"
        over = over or (world.setup.guard == "none" and owner is not None and not owner.acts)
        if seat.lease in ("live", "grace") and over and answers(state.redis):
            redis = seated(state.redis, seat._replace(lease="lapsed"))
            yield f"the lease of incarnation {seat.name} lapses", "", become(state._replace(redis=redis))
        if owner and owner.power == "up" and seat.lease == "live" and answers(state.redis):
            redis = seated(state.redis, seat._replace(lease=""))
            label = f"the lease of worker {state.workers.index(owner)} is deleted by hand"
            yield label, "delete-lease", become(state._replace(redis=redis))


def _power(state: State, index: int, power: str) -> State:
    worker = state.workers[index]._replace(power=power)
    if power == "dead":  # the child lives on until the guard fires
        worker = Worker(worker.name, power, worker.fired, jobs=() if worker.fired else worker.jobs)
    return state._replace(workers=put(state.workers, index, worker))


def held_steps(world: World, state: State) -> Iterator[Step]:
    """A call that was held up runs after all."""
    if answers(state.redis):
        for call in dict.fromkeys(state.held):
            if call.script in ("take", "settle") and not works(state.redis):
                continue
            after = state._replace(held=without(state.held, call))
            label = f"the {call.script} that was held up runs; nobody reads its answer"
            yield label, "", partial(_run, world, after, call)


def _run(world: World, state: State, call: Call) -> State:
    if call.script == "register":
        return programs.register(world, state, call.who, answered=False, asked_in=call.number)
    if call.script == "reset":
        return programs.run_reset(world, state, call.who, call.number)
    if call.script == "confirm":
        return observer.ran(state, world.scripts.confirm(state.redis, call)[0])
    if call.script == "settle":
        return observer.ran(state, world.scripts.settle(state.redis, call.who, call.jobs)[0])
    redis, taken = world.scripts.take(state.redis, call, state.log, state.start)
    return observer.admitted(observer.ran(state, redis), taken.admitted)


def house_steps(world: World, state: State) -> Iterator[Step]:
    """Records expire, and a person starts a failed task again."""
    if not answers(state.redis):
        return
    for task, record in enumerate(state.redis.records):
        kept = any(call.script == "register" for call in state.held)  # a tombstone outlives every call under way
        if record and record.place in (FINAL if kept else (*FINAL, "withdrawn")):
            redis = world.scripts.expire(state.redis, task)
            yield f"the record of task {task} expires", "expire", partial(observer.ran, state, redis)
        if record and record.place == "failed" and not world.scripts.full(state.redis):
            redis = world.scripts.requeue(state.redis, task)
            label = f"a person starts task {task} again"
            yield label, "requeue", become(observer.ghost(state, task, outcome="")._replace(redis=redis))


# -- the relay --------------------------------------------------------------------------------------------------------


def relay_steps(world: World, state: State) -> Iterator[Step]:
    """The outbox goes to yadtq_events, and is trimmed when Kafka has acknowledged it."""
    outbox = state.redis.outbox
    for event in state.late:
        after = state._replace(late=without(state.late, event))
        label = f"Kafka appends event {event.seq} of a relay that is gone"
        yield label, "", partial(append, world, after, event)
    if not world.setup.relay_steps:
        if outbox and answers(state.redis):
            label = f"the relay sends event {outbox[0].seq} ({outbox[0].kind})"
            yield label, "", lambda: relayed(world, state)
        return
    if outbox and not state.relay and answers(state.redis):
        after = state._replace(relay=(stamped(state, outbox[0]),), sent=False)
        yield f"the relay reads event {outbox[0].seq} ({outbox[0].kind})", "", become(after)
    if state.relay:
        yield from _sending_steps(world, state, state.relay[0])


def _sending_steps(world: World, state: State, event: Event) -> Iterator[Step]:
    over = state._replace(relay=(), sent=False)
    if not state.sent:
        yield f"the relay sends event {event.seq}", "", lambda: append(world, state, event)._replace(sent=True)
    elif answers(state.redis):
        yield f"the relay trims event {event.seq}", "", lambda: _trim(world, over, event)
    late = state.late if state.sent else (*state.late, event)
    yield "the relay dies", "relay-dies", lambda: over._replace(late=late)


def relayed(world: World, state: State) -> State:
    """The oldest entry of the outbox is sent, and trimmed."""
    event = stamped(state, state.redis.outbox[0])
    return _trim(world, append(world, state, event), event)


def stamped(state: State, event: Event) -> Event:
    """An entry as it is sent: in the generation of now."""
    return event._replace(stamp=state.redis.generation)


def append(world: World, state: State, event: Event) -> State:
    """Kafka appends an event. Readers drop what is behind a marker that ended its generation, then a known seq."""
    if event.stamp < state.lives:
        if "void" in world.rules:
            return state
        if event.seq > state.logged and event._replace(stamp=0) not in state.redis.outbox:
            raise Violation("the event log tells of something that Redis had forgotten when it was led back")
    if event.seq <= state.logged:
        same = next((each for each in state.events if each.seq == event.seq and each.base is None), None)
        if same and same._replace(stamp=event.stamp) != event:
            raise Violation("audit gap: a new event has the number of one from before Redis went back, and is dropped")
        return state
    if event.seq != state.logged + 1:
        raise Violation("audit gap: an event is missing in the event log")
    return state._replace(events=(*state.events, event), logged=event.seq)


def _trim(world: World, state: State, event: Event) -> State:
    redis = state.redis
    if event.stamp != redis.generation and "trimgen" in world.rules:
        return state
    kept = tuple(each for each in redis.outbox if each.seq > event.seq)
    if len(kept) < len(redis.outbox) and event.seq > state.logged:
        raise Violation(f"audit gap: event {event.seq} ({event.kind}) leaves the outbox and is not in the event log")
    return state._replace(redis=redis._replace(outbox=kept, trimmed=max(redis.trimmed, event.seq)))
