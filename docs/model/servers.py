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
    Record,
    State,
    Violation,
    Worker,
    lapses,
    put,
    seat_of,
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
    for task in range(world.setup.tasks):
        label = f"another producer appends task {task} at offset {len(state.log)}"
        yield label, "foreign", become(state._replace(log=(*state.log, Message(task))))
    holder, other = state.workers[state.reader], 1 - state.reader
    if state.workers[other].acts:
        fault = "rebalance" if holder.power in ("up", "cut", "thawed") else ""
        after = state._replace(
            reader=other,
            workers=put(state.workers, other, state.workers[other]._replace(at=NOWHERE, first=False, reads=())),
        )
        yield f"the partition moves to worker {other}", fault, lambda: after
    if state.redis.position != NOWHERE:
        yield from _retention_steps(world, state)


def _retention_steps(world: World, state: State) -> Iterator[Step]:
    """The relay's holder deletes the messages that nobody needs any more."""
    end = state.redis.position
    if "retain" in world.rules:
        end = next((o for o in range(state.start, end) if _needed(world, state, o)), end)
    if end > state.start and works(state.redis):
        label = f"the messages below offset {end} are deleted"
        yield label, "retention", lambda: state._replace(start=end)


def _needed(world: World, state: State, offset: int) -> bool:
    """By an unfinished task; and by the rebuild, as long as the event log does not know the task's end."""
    task = state.log[offset].task
    record = state.redis.records[task]
    unfinished = record is not None and record.place not in (*FINAL, "withdrawn")
    if unfinished or "window" not in world.rules or not world.setup.bounds.events:
        return unfinished
    return not any(new is None or new.place in (*FINAL, "withdrawn") for new in history(state, task))


def history(state: State, task: int) -> list[Record | None]:
    """What the event log tells of a task, oldest first."""
    return [new for event in valid(state.events) for each, new in event.changes if each == task]


# -- time and faults --------------------------------------------------------------------------------------------------


def time_steps(world: World, state: State) -> Iterator[Step]:
    """Leases lapse, processes and machines stop and go on, somebody deletes a key."""
    for index, worker in enumerate(state.workers):
        if worker.power == "up":
            for fault, power in (("kill", "dead"), ("stop", "stopped"), ("cut", "cut"), ("freeze", "frozen")):
                yield f"worker {index}: {fault}", fault, partial(_power, state, index, power)
        elif worker.power in ("stopped", "cut", "frozen"):
            power = "thawed" if worker.power == "frozen" else "up"
            yield f"worker {index} goes on", "", partial(_power, state, index, power)
    for seat in state.redis.seats:
        owner = next((worker for worker in state.workers if worker.name == seat.name), None)
        over = owner is None or owner.fired or owner.power == "frozen"
        over = over or (world.setup.guard == "none" and owner is not None and not owner.acts)
        if seat.lease in ("live", "grace") and over and lapses(state.redis):
            redis = seated(state.redis, seat._replace(lease="lapsed"))
            yield f"the lease of incarnation {seat.name} lapses", "", become(state._replace(redis=redis))
        if owner and owner.power == "up" and seat.lease == "live" and works(state.redis):
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
    if works(state.redis):
        for call in dict.fromkeys(state.held):
            after = state._replace(held=without(state.held, call))
            label = f"the {call.script} that was held up runs; nobody reads its answer"
            yield label, "", partial(_run, world, after, call)


def _run(world: World, state: State, call: Call) -> State:
    if call.script == "register":
        return programs.register(world, state, call.who, answered=False)
    if call.script == "reset":
        return programs.run_reset(world, state, call.who, call.number)
    if call.script == "settle":
        return observer.ran(state, world.scripts.settle(state.redis, call.who, call.jobs)[0])
    redis, taken = world.scripts.take(state.redis, call, state.log, state.start)
    return observer.admitted(observer.ran(state, redis), taken.admitted)


def house_steps(world: World, state: State) -> Iterator[Step]:
    """Records expire, and a person starts a failed task again."""
    if not works(state.redis):
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
        yield (
            f"Kafka appends event {event.id} of a relay that is gone",
            "",
            partial(_append, world, after, event),
        )
    if outbox and not world.setup.relay_steps and works(state.redis):
        yield (
            f"the relay sends event {outbox[0].id}",
            "",
            lambda: _trim(world, _append(world, state, outbox[0]), outbox[0]),
        )
    if not world.setup.relay_steps:
        return
    if outbox and not state.relay:
        yield f"the relay reads event {outbox[0].id}", "", lambda: state._replace(relay=outbox[:1], sent=False)
    if state.relay:
        event = state.relay[0]
        if not state.sent:
            yield f"the relay sends event {event.id}", "", lambda: _append(world, state, event)._replace(sent=True)
        elif works(state.redis):
            yield (
                f"the relay trims event {event.id}",
                "",
                lambda: _trim(world, state, event)._replace(relay=(), sent=False),
            )
        late = state.late if state.sent else (*state.late, event)
        yield "the relay dies", "relay-dies", lambda: state._replace(relay=(), sent=False, late=late)


def void(world: World, events: tuple[Event, ...], event: Event) -> bool:
    """Behind the marker of a newer generation, an event of an older one counts as nothing (rule void)."""
    return "void" in world.rules and any(each.generation > event.generation for each in events)


def _append(world: World, state: State, event: Event) -> State:
    if void(world, state.events, event):
        return state
    if any(each.generation > event.generation for each in state.events):
        raise Violation("the event log tells of something that Redis had forgotten when it was led back")
    same = next((each for each in state.events if each.id == event.id and each.kind != "marker"), None)
    if same is None:
        return state._replace(events=(*state.events, event))
    if same != event:
        raise Violation("audit gap: a new event has the id of one from before Redis went back, and is dropped")
    return state


def _trim(world: World, state: State, event: Event) -> State:
    kept = tuple(each for each in state.redis.outbox if each.id > event.id)
    for each in state.redis.outbox:
        if each not in kept and each not in state.events:
            raise Violation(f"audit gap: event {each.id} ({each.kind}) leaves the outbox and is not in the event log")
    return state._replace(redis=state.redis._replace(outbox=kept))


def valid(events: tuple[Event, ...]) -> list[Event]:
    """The events that count, by their number."""
    return sorted((event for event in events if event.kind != "marker"), key=lambda event: event.seq)


def registered(world: World, state: State, name: int) -> bool:
    """Whether an incarnation may take tasks: its join is in the event log (rule joinwait)."""
    if "joinwait" not in world.rules or not world.setup.bounds.events or seat_of(state.redis, name) is None:
        return True
    return any(event.kind == "join" and event.actor == name for event in state.events)
