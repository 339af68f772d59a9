"""The plainest form of a state: what cannot matter any more is left out, and what happens in any case happens at once.

Two states that differ only in this have the same continuations, so the search sees one of them only.
"""

from docs.model.numbering import renumbered
from docs.model.programs import World, acknowledged
from docs.model.recovery import IDLE, applied, nothing, recovery_steps
from docs.model.servers import relayed
from docs.model.state import GONE, NOWHERE, OPEN, STALE, Event, State, answers, put

OF_REDIS = frozenset({"restart", "rollback", "lose"})
OF_LEADING = frozenset({"overtake", "recoverer-dies", "late-marker"})
OF_WAITING = frozenset({"timeout", "client-dies"})


def plain(world: World, state: State) -> State:
    """The form in which states are compared."""
    left = world.left(state.budget)
    if "again" in left and state.redis.mode != OPEN:  # what has happened to Redis may happen once more
        left |= world.names & OF_REDIS
    if not left & OF_WAITING:
        state = _acknowledged(world, state)
    if not left & OF_REDIS and answers(state.redis):
        state = _undated(state)
    return _plain_log(world, state, left) if world.setup.bounds.events else state


def _plain_log(world: World, state: State, left: frozenset[str]) -> State:
    """What Redis may forget, and what the event log tells."""
    if state.durable is not None and "rollback" not in left:
        state = state._replace(durable=None)
    if any(each.step != "idle" for each in state.recoverers):
        state = _rested(world, state)
    if not (left & OF_REDIS or state.late or state.relay):  # Redis will not go away any more
        if state.redis.mode in (STALE, GONE) and not left & OF_LEADING:
            state = _led_back(world, state)
        if _is_safe(world, state):
            return renumbered(_unlogged(state))
    if "lose" not in left and not world.setup.relay_steps and not world.setup.bounds.outbox:
        state = _relayed(world, state)
    return _shortened(world, state, left)


def _acknowledged(world: World, state: State) -> State:
    """A client whose message has arrived is told so at once: nothing else can happen to it."""
    for number, client in enumerate(state.clients):
        if client.step == "sent":
            state = acknowledged(world, state, number)
    return state


def _undated(state: State) -> State:
    """Nothing will be forgotten any more, so it does not matter when it was."""
    if any(each.at or each.reset > 1 for each in state.ghosts):
        ghosts = tuple(each._replace(at=0, reset=min(each.reset, 1)) for each in state.ghosts)
        state = state._replace(ghosts=ghosts)
    if any(each.at for each in state.clients):
        state = state._replace(clients=tuple(each._replace(at=0) for each in state.clients))
    if any(each.at and each.step == "done" for each in state.resets):
        resets = (each._replace(at=0) if each.step == "done" else each for each in state.resets)
        state = state._replace(resets=tuple(resets))
    return state


def _rested(world: World, state: State) -> State:
    """A process that leads Redis back, is outdated and can do nothing but find that out, has found it out.

    All are alike: those that have begun go first.
    """
    if not {"election", "begun"} <= world.rules:
        return state
    tries = state.redis.tries if state.redis.mode == STALE else NOWHERE
    recoverers = state.recoverers
    for index, each in enumerate(recoverers):
        ended = each.step == "marked" or (each.step == "begun" and each.generation <= state.newest)
        if ended and each.attempt != tries:
            recoverers = put(recoverers, index, IDLE)
    order = sorted(recoverers, key=lambda each: (each.step == "idle", each))
    return state._replace(recoverers=tuple(order))


def _led_back(world: World, state: State) -> State:
    """When nothing can disturb it any more, Redis is led back at once."""
    if world.setup.slow or not {"forward", "election", "begun"} <= world.rules:
        return state
    while state.redis.mode in (STALE, GONE) and sum(each.step != "idle" for each in state.recoverers) < 2:
        _, _, act = next(iter(recovery_steps(world, state)))
        state = act()
    return state


def _is_safe(world: World, state: State) -> bool:
    """Whether nobody leads Redis back: then events are of no consequence any more."""
    if world.setup.bounds.outbox or world.setup.bounds.told or not answers(state.redis):
        return False
    if not world.names & OF_REDIS:
        return False  # the relay is what this mode is about
    idle = all(each.step == "idle" or each.generation <= state.redis.generation for each in state.recoverers)
    return idle and not state.late_markers


def _unlogged(state: State) -> State:
    """Events are sent at once, and nobody reads them."""
    redis = state.redis
    if redis.outbox or redis.trimmed or redis.tries or redis.begun or redis.kept:
        redis = redis._replace(outbox=(), trimmed=0, tries=0, begun=0, kept=0)
        state = state._replace(redis=redis)
    if state.newest or state.events or state.markers:
        state = state._replace(recoverers=(IDLE,) * len(state.recoverers), events=(), newest=0, lives=0, markers=())
    return state


def _relayed(world: World, state: State) -> State:
    """What Redis can't forget any more may as well be in the event log."""
    durable, redis = state.durable, state.redis
    while redis.outbox and answers(redis) and (durable is None or redis.outbox[0].seq <= durable.seq):
        state = relayed(world, state)
        redis = state.redis
    if durable and durable.outbox and durable.outbox[-1].seq <= state.logged:
        state = state._replace(durable=durable._replace(outbox=(), trimmed=durable.seq))
    return state


def _shortened(world: World, state: State, left: frozenset[str]) -> State:
    """Events that Redis has in any case are never applied again. For an empty Redis, those are one big event."""
    redis, durable = state.redis, state.durable
    if state.markers and "lose" not in left:
        known = set(redis.began) & set(durable.began) if durable else set(redis.began)
        state = state._replace(markers=tuple(each for each in state.markers if each not in known))
    low = min(redis.seq, durable.seq) if durable else redis.seq
    if not state.events or state.events[0].seq > low:
        return state
    old = tuple(event for event in state.events if event.seq <= low)
    kept: tuple[Event, ...] = old
    if "lose" not in left:
        kept = ()
    elif not world.setup.whole and len(old) > 1:
        kept = (_folded(world, old),)
    return state if kept == old else state._replace(events=(*kept, *state.events[len(old) :]))


def _folded(world: World, events: tuple[Event, ...]) -> Event:
    """One event that does to an empty Redis what all these do, one after the other."""
    base = nothing(world.setup.tasks)
    for event in events:
        base = applied(world, base, event)
    return events[-1]._replace(kind="all", changes=(), actor=0, base=base)
