"""Clients, the sweeper, and a person who resets: who may do what next."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from docs.model import observer
from docs.model.claims import Bounds
from docs.model.scripts import Scripts
from docs.model.state import NOWHERE, Call, Client, Message, Request, State, answers, put

Step: TypeAlias = tuple[
    str, str, Callable[[], State]
]  # what happens, the fault that it is ('' none), the world after it


class Setup(NamedTuple):
    """The bounds of one mode. clients: the task that each submits. faults: name → how many at most.

    guard: guard · none · frozen (the machine may freeze as a whole). late: scripts whose calls may be held up.
    relay_steps: the relay reads, sends and trims in three steps, not in one. recoverers: processes that may lead Redis
    back at once. slow: that may take longer than a lease. strict: nothing is forgiven that only a lost Redis knew.
    empty: the queue is not yet begun. whole: the event log is kept entry by entry for a Redis that loses everything.
    """

    clients: tuple[int, ...] = (0,)
    tasks: int = 1
    guard: str = "guard"
    batch: int = 1
    late: frozenset[str] = frozenset()
    bounds: Bounds = Bounds()
    relay_steps: bool = True
    recoverers: int = 1
    slow: bool = False
    strict: bool = False
    empty: bool = False
    whole: bool = False
    faults: tuple[tuple[str, int], ...] = ()


class World:
    """What the steps of one mode are made of."""

    def __init__(self, rules: frozenset[str], setup: Setup) -> None:
        self.rules, self.setup, self.scripts = rules, setup, Scripts(rules, setup.bounds)
        self.names = frozenset(name for name, _ in setup.faults)
        self._left: dict[tuple[int, ...], frozenset[str]] = {}

    def left(self, budget: tuple[int, ...]) -> frozenset[str]:
        """The faults that may still happen; '' may always."""
        found = self._left.get(budget)
        if found is None:
            names = (name for (name, _), most in zip(self.setup.faults, budget, strict=True) if most)
            found = self._left[budget] = frozenset(("", *names))
        return found


def become(after: State) -> Callable[[], State]:
    """A step whose outcome is known already."""
    return lambda: after


def client_steps(world: World, state: State) -> Iterator[Step]:
    """One submission after another: register, publish, be acknowledged; or withdraw."""
    for number, client in enumerate(state.clients):
        alike = world.setup.tasks > 1 and number > 0  # two tasks are alike: the first client goes first
        if client.step in ("new", "asked") and not (alike and state.clients[number - 1].step == "new"):
            yield from _register_steps(world, state, number)
        elif client.step == "registered":
            yield (
                f"client {number} sends task {world.setup.clients[number]} to Kafka",
                "",
                _sender(world, state, number),
            )
        elif client.step == "sent":
            yield from _sent_steps(world, state, number)
        elif client.step == "doubtful" and answers(state.redis):
            yield f"client {number} withdraws", "", partial(_withdraw, world, state, number)
        if client.step in ("asked", "registered", "sent", "doubtful"):
            yield f"client {number} dies", "client-dies", partial(_to, state, number, step="dead", mark=(0, 0))


def _to(state: State, number: int, **changes: Any) -> State:
    return state._replace(clients=put(state.clients, number, state.clients[number]._replace(**changes)))


def _register_steps(world: World, state: State, number: int) -> Iterator[Step]:
    task, asked = world.setup.clients[number], state.clients[number].step == "asked"
    moved = asked and "callepoch" in world.rules and state.clients[number].epoch != state.redis.epoch
    if answers(state.redis) and moved:  # an earlier call may have run before the reset
        yield f"client {number} is told of the reset", "", lambda: _to(state, number, step="doubtful", epoch=NOWHERE)
    elif answers(state.redis):
        yield f"client {number} registers task {task}", "", lambda: register(world, state, number, answered=True)
    if not asked and "register" in world.setup.late:
        call = Call("register", number, state.redis.epoch)
        held = (*state.held, call)
        label = f"client {number} asks to register task {task}; the call is held up"
        yield label, "late", partial(_asks, state, number, held)
    if asked:
        yield f"client {number} gives up", "", lambda: _to(state, number, step="doubtful", epoch=NOWHERE)


def _asks(state: State, number: int, held: tuple[Call, ...]) -> State:
    return _to(state, number, step="asked", asked=True, epoch=state.redis.epoch)._replace(held=held)


def register(world: World, state: State, number: int, answered: bool, asked_in: int = NOWHERE) -> State:
    """The script runs. answered: the client reads the answer. asked_in: the epoch that a late call was made for."""
    if "callepoch" in world.rules and asked_in not in (NOWHERE, state.redis.epoch):
        return state
    task, known = world.setup.clients[number], state.redis.records
    redis, word, mark = world.scripts.register(state.redis, number, task)
    epoch = redis.epoch
    state = observer.ran(state, redis)
    if answered and word == "publish" and known[task] is None:
        state = observer.ghost(state, task, reset=0)  # asked for after the reset: a task that it does not concern
    if not answered:
        return state
    unsure = state.clients[number].asked and "onceonly" in world.rules
    words = {"publish": "registered", "known": "acknowledged", "conflict": "refused", "full": "refused"}
    after = "unknown" if unsure and words[word] == "refused" else words[word]
    if after == "registered":
        return _to(state, number, step=after, epoch=epoch, mark=mark)
    return _to(state, number, step=after, epoch=NOWHERE, mark=(0, 0), at=redis.seq if word == "conflict" else 0)


def _message(world: World, client: Client, number: int) -> Message:
    return Message(world.setup.clients[number], client.epoch, client.mark)


def _sender(world: World, state: State, number: int) -> Callable[[], State]:
    message = _message(world, state.clients[number], number)
    return lambda: _to(state, number, step="sent")._replace(flying=(*state.flying, message))


def _sent_steps(world: World, state: State, number: int) -> Iterator[Step]:
    message = _message(world, state.clients[number], number)
    yield f"client {number} waits in vain for Kafka", "timeout", lambda: _to(state, number, step="doubtful")
    if message in state.flying:
        flying = tuple(each for each in state.flying if each != message)
        label = f"client {number}: the message is refused by Kafka"
        yield label, "publish-fails", lambda: _to(state, number, step="doubtful")._replace(flying=flying)
    if message in state.log:
        yield f"client {number} is acknowledged", "", lambda: acknowledged(world, state, number)


def acknowledged(world: World, state: State, number: int) -> State:
    """The same world; when the message of this client has arrived, it knows that."""
    message = _message(world, state.clients[number], number)
    if message not in state.log:
        return state
    record = state.redis.records[message.task]
    mine = record is None or record.shared or record.by[0] in (number, -1)
    after = "acknowledged" if mine else "done"  # done: of a task that has ended, and whose id is used again
    return _to(state, number, step=after, epoch=NOWHERE, mark=(0, 0))


def _withdraw(world: World, state: State, number: int) -> State:
    client = state.clients[number]
    generation = client.mark[0] or NOWHERE
    task = world.setup.clients[number]
    redis, word = world.scripts.withdraw(state.redis, number, task, (client.epoch, generation))
    state = observer.ran(state, redis)
    return _to(state, number, step=word, epoch=NOWHERE, mark=(0, 0), at=redis.seq)


def sweeper_steps(world: World, state: State) -> Iterator[Step]:
    """A task that was registered and never published is published, with the mark of its own registration."""
    redis = state.redis
    for task, record in enumerate(redis.records):
        if record and record.place == "registered" and answers(redis) and state.sweeper is None:
            message = Message(task, redis.epoch, record.mark)
            label = f"the sweeper finds task {task}, registered and not read"
            yield label, "sweep", become(state._replace(sweeper=message))
    if state.sweeper:
        message = state.sweeper
        if "sweepepoch" not in world.rules:
            message = message._replace(epoch=redis.epoch)
        label = f"the sweeper publishes task {message.task} at offset {len(state.log)}"
        yield label, "", lambda: state._replace(sweeper=None, log=(*state.log, message))


def reset_steps(world: World, state: State) -> Iterator[Step]:
    """A person resets: the end offset is noted, the script runs, the answer waits for its event (rule resetwait)."""
    if not state.reset:
        label = f"a person wants a reset, and the end offset {len(state.log)} is noted"
        resets = (*state.resets, Request("asked"))
        yield label, "reset", lambda: state._replace(reset=(len(state.log),), resets=resets)
        return
    request, end = len(state.resets) - 1, state.reset[0]
    if state.resets[request].step == "ran":
        logged = not world.setup.bounds.events or state.resets[request].at <= state.logged
        if "resetwait" not in world.rules or logged:
            yield "the person is told of the reset", "", lambda: _told(state, request)
        return
    if state.forgot:
        over = put(state.resets, request, Request("over"))
        yield "the person gives up", "", lambda: state._replace(reset=(), resets=over)
    if answers(state.redis):
        yield "the reset script runs", "", lambda: run_reset(world, state, request, end)
    if "reset" in world.setup.late and not any(call.script == "reset" for call in state.held):
        call = Call("reset", request, number=end)
        yield "the call of reset is held up, and is repeated", "late", lambda: state._replace(held=(*state.held, call))


def _told(state: State, request: int) -> State:
    return state._replace(reset=(), resets=put(state.resets, request, Request("done", state.resets[request].at)))


def run_reset(world: World, state: State, request: int, end: int) -> State:
    """The script runs, for the first time or again."""
    redis = world.scripts.reset(state.redis, request, end)
    if redis.epoch != state.redis.epoch and state.resets[request].step != "done":
        state = observer.was_reset(state, world.setup.clients, end, redis.seq)
    state = observer.ran(state, redis)
    if state.resets[request].step == "asked":
        state = state._replace(resets=put(state.resets, request, Request("ran", redis.seq)))
    return state
