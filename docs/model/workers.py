"""Workers, their children and their guards: who may do what next."""

from collections.abc import Iterator
from functools import partial

from docs.model import observer
from docs.model.programs import Step, World
from docs.model.scripts import Taken
from docs.model.servers import registered
from docs.model.state import NOWHERE, Call, Given, Job, Read, State, Worker, put, seat_of, seated, works


def worker_steps(world: World, state: State) -> Iterator[Step]:
    """What each worker may do."""
    for index, worker in enumerate(state.workers):
        if worker.acts:
            if index == state.reader:
                yield from _reader_steps(world, state, index)
            if works(state.redis):
                yield from _life_steps(world, state, index)
            yield from _parent_steps(world, state, index)
        yield from _child_steps(world, state, index)
        gone = worker.power == "dead" and (worker.fired or world.setup.guard == "none")
        if gone and works(state.redis):
            yield (
                f"worker {index} is started again",
                "",
                partial(_join, world, state, index, Worker(worker.name + 2)),
            )


def to(state: State, index: int, worker: Worker) -> State:
    return state._replace(workers=put(state.workers, index, worker))


def running(worker: Worker) -> Given:
    """The claim that the child runs, or is about to."""
    return tuple((job.task, job.token) for job in worker.jobs if not job.ended)[:1]


# -- the reader -------------------------------------------------------------------------------------------------------


def _reader_steps(world: World, state: State, index: int) -> Iterator[Step]:
    worker, position = state.workers[index], state.redis.position
    if worker.at == NOWHERE and works(state.redis):
        yield (
            f"worker {index} is placed at {_place(position)}",
            "",
            lambda: to(state, index, _placed(state, worker, position)),
        )
        return
    if worker.at == NOWHERE or len(worker.reads) > worker.doubt:
        return
    end = len(state.log)
    if worker.at < state.start:
        if "range" in world.rules:
            label = f"worker {index} finds that the log begins behind its place, at {state.start}"
            yield label, "", lambda: to(state, index, worker._replace(at=state.start, first=True))
    elif worker.at < end:
        read = Read(worker.at, end, worker.first)
        after = worker._replace(at=end, first=False, reads=(*worker.reads, read))
        yield f"worker {index} reads offsets {read.began} to {read.next - 1}", "", lambda: to(state, index, after)


def _place(position: int) -> str:
    return "the beginning" if position == NOWHERE else str(position)


def _placed(state: State, worker: Worker, position: int) -> Worker:
    first = position == NOWHERE
    return worker._replace(at=state.start if first else position, first=first, reads=())


# -- the parent -------------------------------------------------------------------------------------------------------


def _life_steps(world: World, state: State, index: int) -> Iterator[Step]:
    """What the parent says to Redis."""
    worker = state.workers[index]
    if worker.lost:
        if worker.fired and not worker.jobs:
            yield f"worker {index} leaves and starts anew", "", lambda: _start_anew(world, state, index)
    else:
        if registered(world, state, worker.name):
            yield from _take_steps(world, state, index)
        yield f"worker {index} beats", "", lambda: _beat(world, state, index)
    ended = tuple(job for job in worker.jobs if job.ended)
    if ended:
        what = ", ".join(f"task {job.task} ({job.phase})" for job in ended)
        yield f"worker {index} settles {what}", "", lambda: _settle(world, state, index, ended)
        if "settle" in world.setup.late and not any(call.script == "settle" for call in state.held):
            call = Call("settle", worker.name, jobs=ended)
            label = f"worker {index} settles {what}; the call is held up"
            yield label, "late", lambda: state._replace(held=(*state.held, call))


def _take_steps(world: World, state: State, index: int) -> Iterator[Step]:
    worker = state.workers[index]
    room = 0 if worker.fired else world.setup.batch - sum(not job.ended for job in worker.jobs)
    reads = worker.reads
    if not reads and index == state.reader and worker.at != NOWHERE and "seek" in world.rules:
        reads = (Read(worker.at, worker.at, worker.first),)  # a look: is the reader where the queue is?
    if room <= 0 and not worker.reads and not worker.doubt:
        return
    call = Call("take", worker.name, worker.number + 1, worker.number, room, reads, running(worker))
    if "takenum" not in world.rules:
        call = call._replace(number=0)
    again = ", again with the same number" if worker.doubt else ""
    yield f"worker {index} takes{again}", "", lambda: _take(world, state, index, call)
    if "take" in world.setup.late and not worker.doubt:
        after = to(state, index, worker._replace(doubt="takenum" in world.rules))
        label = f"worker {index} takes; the call is held up"
        yield label, "late", lambda: after._replace(held=(*state.held, call))


def _take(world: World, state: State, index: int, call: Call) -> State:
    worker = state.workers[index]
    redis, taken = world.scripts.take(state.redis, call, state.log, state.start)
    state = observer.admitted(observer.ran(state, redis), taken.admitted)
    if taken.word == "lapsed":
        return to(state, index, worker._replace(lost=True))
    if taken.word != "ok":
        return state
    worker = worker._replace(
        number=worker.number + ("takenum" in world.rules), doubt=False, jobs=(*worker.jobs, *taken.jobs)
    )
    return _renumbered(to(state, index, _obey(state, worker, call.reads, taken)), index)


def _renumbered(state: State, index: int) -> State:
    """Numbers of takes rise for ever; only their order counts, so they are kept small."""
    worker = state.workers[index]
    under_way = [call.number for call in state.held if call.script == "take" and call.who == worker.name]
    number = min(worker.number, max(under_way) + 1 if under_way else 0)
    seat = seat_of(state.redis, worker.name)
    if seat is None or seat.take != worker.number:
        return state
    state = state._replace(redis=seated(state.redis, seat._replace(take=number)))
    return to(state, index, worker._replace(number=number))


def _obey(state: State, worker: Worker, reads: tuple[Read, ...], taken: Taken) -> Worker:
    """What intake.py makes of the answers: what was admitted is done, a reader that is elsewhere is placed anew."""
    worker = worker._replace(reads=())
    for read, (word, expected) in zip(reads, taken.answers, strict=True):
        if word == "seek" and expected != read.next:
            worker = _placed(state, worker, expected)
    return worker


def _beat(world: World, state: State, index: int) -> State:
    worker = state.workers[index]
    redis, word = world.scripts.beat(state.redis, worker.name, running(worker))
    state = observer.ran(state, redis)
    if word == "lapsed" or (worker.fired and "guardfinal" in world.rules):
        return to(state, index, worker._replace(lost=True, power="up"))
    return to(state, index, worker._replace(power="up", fired=False))


def _settle(world: World, state: State, index: int, ended: tuple[Job, ...]) -> State:
    worker = state.workers[index]
    redis, words = world.scripts.settle(state.redis, worker.name, ended)
    observer.answered(state, ended, words)
    state = observer.ran(state, redis)
    return to(state, index, worker._replace(jobs=tuple(job for job in worker.jobs if not job.ended)))


def _start_anew(world: World, state: State, index: int) -> State:
    """leave, then join under a new name; the reader goes on."""
    worker = state.workers[index]
    state = state._replace(redis=world.scripts.leave(state.redis, worker.name))
    after = worker._replace(name=worker.name + 2, power="up", fired=False, lost=False, number=0, doubt=False)
    return _join(world, state, index, after)


def _join(world: World, state: State, index: int, worker: Worker) -> State:
    redis, _ = world.scripts.beat(state.redis, worker.name, (), join=True)
    return to(observer.ran(state, redis), index, worker)


def _parent_steps(world: World, state: State, index: int) -> Iterator[Step]:
    """What the parent does by itself: recall, and the end of a life."""
    worker = state.workers[index]
    if worker.lost and not (worker.fired and all(job.ended for job in worker.jobs)):
        yield f"worker {index} stops its child: its lease is over", "", lambda: to(state, index, stopped(worker))
    unread = [job for job in worker.jobs if job.phase == "sent"]
    if unread and not worker.fired:
        yield f"worker {index} recalls what its child has not begun", "recall", lambda: _recall(world, state, index)


def _recall(world: World, state: State, index: int) -> State:
    """Who reads a packet has it: the child or the parent, never both (rule recall)."""
    worker, jobs = state.workers[index], []
    for job in worker.jobs:
        if job.phase == "sent" and "recall" not in world.rules:
            jobs.append(job)
        jobs.append(job._replace(phase="back") if job.phase == "sent" else job)
    return to(state, index, worker._replace(jobs=tuple(jobs)))


def stopped(worker: Worker) -> Worker:
    """The child is dead and reaped; what it had not ended is given back."""
    jobs = tuple(
        job if job.ended else job._replace(phase="back", begun=job.phase == "run") for job in worker.jobs
    )  # fmt: skip
    return worker._replace(fired=True, jobs=() if worker.power == "dead" else jobs)


# -- the child and the guard ------------------------------------------------------------------------------------------


def _child_steps(world: World, state: State, index: int) -> Iterator[Step]:
    worker = state.workers[index]
    if worker.power == "frozen":
        return
    alive = not worker.fired or ("guardfinal" not in world.rules and worker.power != "dead")
    place = next((n for n, job in enumerate(worker.jobs) if not job.ended), None)
    if alive and place is not None:
        job = worker.jobs[place]
        if job.phase == "sent":
            label = f"the child of worker {index} begins task {job.task}, attempt {job.attempt}"
            yield label, "", lambda: _begin(world, state, index, place)
        else:
            what = f"the handler of task {job.task} in worker {index}"
            yield f"{what} ends", "", lambda: _phase(state, index, place, "ok")
            yield f"{what} raises", "error", lambda: _phase(state, index, place, "error")
            yield f"{what} kills its child", "child-dies", lambda: _phase(state, index, place, "crash")
    if world.setup.guard != "none" and not worker.fired and _unconfirmed(world, state, worker):
        yield f"the guard of worker {index} fires", "", lambda: to(state, index, _fired(world, worker))


def _unconfirmed(world: World, state: State, worker: Worker) -> bool:
    """Whether no heartbeat may have been answered for so long that the deadline passes."""
    seat = seat_of(state.redis, worker.name)
    away = world.setup.slow and not works(state.redis)
    return away or worker.power != "up" or seat is None or seat.lease != "live"


def _fired(world: World, worker: Worker) -> Worker:
    after = stopped(worker)
    if "guardfinal" in world.rules or worker.power == "dead":
        return after
    kept = tuple(old if old.phase == "sent" else new for old, new in zip(worker.jobs, after.jobs, strict=True))
    return after._replace(jobs=kept)  # the parent may still start a child for these


def _begin(world: World, state: State, index: int, place: int) -> State:
    state = observer.started(state, index, state.workers[index].jobs[place], world.setup.guard != "frozen")
    return _phase(state, index, place, "run")


def _phase(state: State, index: int, place: int, phase: str) -> State:
    worker = state.workers[index]
    job = worker.jobs[place]._replace(phase=phase, begun=True)
    return to(state, index, worker._replace(jobs=put(worker.jobs, place, job)))
