"""Workers, their children and their guards: who may do what next."""

from collections.abc import Iterator
from functools import partial

from docs.model import observer
from docs.model.programs import Step, World
from docs.model.scripts import Taken
from docs.model.state import (  # fmt: skip
    NOWHERE,
    QUARANTINE,
    Call,
    Given,
    Job,
    Read,
    State,
    Worker,
    answers,
    put,
    seat_of,
    seated,
    works,
)


def worker_steps(world: World, state: State) -> Iterator[Step]:
    """What each worker may do."""
    for index, worker in enumerate(state.workers):
        if worker.acts:
            if index == state.reader:
                yield from _reader_steps(world, state, index)
            if answers(state.redis):
                yield from _life_steps(world, state, index)
            yield from _parent_steps(world, state, index)
        yield from _child_steps(world, state, index)
        gone = worker.power == "dead" and (worker.fired or world.setup.guard == "none")
        if gone and answers(state.redis):
            label = f"worker {index} is started again"
            yield label, "", partial(_join, world, state, index, Worker(worker.name + 2))


def to(state: State, index: int, worker: Worker) -> State:
    return state._replace(workers=put(state.workers, index, worker))


def running(world: World, worker: Worker) -> Given:
    """The claim that the child runs, or is about to, as a heartbeat tells it."""
    if not world.setup.bounds.told:
        return ()
    return tuple((job.task, job.token) for job in worker.jobs if not job.ended)[:1]


# -- the reader -------------------------------------------------------------------------------------------------------


def _reader_steps(world: World, state: State, index: int) -> Iterator[Step]:
    """The reader is placed. What it reads it hands in with the next take: the log never changes, so that the instant
    of reading does not matter."""
    worker, position = state.workers[index], state.redis.position
    if worker.at == NOWHERE and answers(state.redis):
        label = f"worker {index} is placed at {'the beginning' if position == NOWHERE else position}"
        yield label, "", lambda: to(state, index, _placed(state, worker, position))
    elif NOWHERE < worker.at < state.start and "range" in world.rules:
        label = f"worker {index} finds that the log begins behind its place, at {state.start}"
        yield label, "", lambda: to(state, index, worker._replace(at=state.start, first=True))


def _placed(state: State, worker: Worker, position: int) -> Worker:
    first = position == NOWHERE
    return worker._replace(at=state.start if first else position, first=first)


# -- the parent -------------------------------------------------------------------------------------------------------


def _life_steps(world: World, state: State, index: int) -> Iterator[Step]:
    """What the parent says to Redis."""
    worker = state.workers[index]
    if state.redis.mode == QUARANTINE:
        yield from _confirm_steps(world, state, index)
    if worker.lost:
        if worker.fired and not worker.jobs:
            yield f"worker {index} leaves and starts anew", "", lambda: _start_anew(world, state, index)
    else:
        if works(state.redis):
            yield from _take_steps(world, state, index)
        yield f"worker {index} beats", "", lambda: _beat(world, state, index)
    ended = tuple(job for job in worker.jobs if job.ended)
    if ended and works(state.redis):
        what = ", ".join(f"task {job.task} ({job.phase})" for job in ended)
        yield f"worker {index} settles {what}", "", lambda: _settle(world, state, index, ended)
        if "settle" in world.setup.late and not any(call.script == "settle" for call in state.held):
            call = Call("settle", worker.name, jobs=ended)
            label = f"worker {index} settles {what}; the call is held up"
            yield label, "late", lambda: state._replace(held=(*state.held, call))


def _take_steps(world: World, state: State, index: int) -> Iterator[Step]:
    worker = state.workers[index]
    room = 0 if worker.fired else world.setup.batch - sum(not job.ended for job in worker.jobs)
    reads = list(_reads(world, state, index))
    if room <= 0 and not worker.doubt and not any(read and read.next > read.began for read in reads):
        return
    for read in reads:
        call = Call("take", worker.name, worker.number + 1, worker.number, room, read, running(world, worker))
        if "takenum" not in world.rules:
            call = call._replace(number=0)
        what = f"takes{_told(read)}{', again with the same number' if worker.doubt else ''}"
        yield f"worker {index} {what}", "", partial(_take, world, state, index, call)
        if "take" in world.setup.late and not worker.doubt:
            after = to(state, index, worker._replace(doubt="takenum" in world.rules))
            label = f"worker {index} {what}; the call is held up"
            yield label, "late", partial(after._replace, held=(*state.held, call))


def _reads(world: World, state: State, index: int) -> Iterator[Read | None]:
    """What the next take may hand in: nothing read, or what was read until now, all of it or less.

    Who has lost the partition goes on until a take tells it that another one has read on.
    """
    worker = state.workers[index]
    if worker.at == NOWHERE or worker.at < state.start:
        yield None
        return
    if "seek" in world.rules:
        yield Read(worker.at, worker.at, worker.first)  # is the reader where the queue is?
    else:
        yield None
    for end in range(worker.at + 1, len(state.log) + 1):
        yield Read(worker.at, end, worker.first)


def _told(read: Read | None) -> str:
    return f" and hands in offsets {read.began} to {read.next - 1}" if read and read.next > read.began else ""


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
    return _renumbered(to(state, index, _obey(state, worker, call.read, taken)), index)


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


def _obey(state: State, worker: Worker, read: Read | None, taken: Taken) -> Worker:
    """What intake.py makes of the answer: what was admitted is done, a reader that is elsewhere is placed anew."""
    if read is None or taken.answer is None:
        return worker
    word, expected = taken.answer
    if word == "seek" and expected != read.next:
        mine = state.workers[state.reader].name == worker.name
        return _placed(state, worker, expected) if mine else worker._replace(at=NOWHERE, first=False)
    return worker._replace(at=read.next, first=worker.first and read.next == read.began)


def _beat(world: World, state: State, index: int) -> State:
    worker = state.workers[index]
    redis, word = world.scripts.beat(state.redis, worker.name, running(world, worker))
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


def _confirm_steps(world: World, state: State, index: int) -> Iterator[Step]:
    """A heartbeat has told that the queue waits for this worker."""
    worker, seat = state.workers[index], seat_of(state.redis, state.workers[index].name)
    if seat is None or seat.confirmed:
        return
    call = Call("confirm", worker.name, worker.number, jobs=worker.jobs)
    yield f"worker {index} says what it holds", "", lambda: _confirm(world, state, index, call)
    if "confirm" in world.setup.late and not any(each.script == "confirm" for each in state.held):
        label = f"worker {index} says what it holds; the call is held up, and is repeated"
        yield label, "late", lambda: state._replace(held=(*state.held, call))


def _confirm(world: World, state: State, index: int, call: Call) -> State:
    """What Redis does not know is killed with all that runs; this incarnation gives back the rest and is another."""
    worker = state.workers[index]
    redis, word, gone = world.scripts.confirm(state.redis, call)
    state = observer.confirmed(observer.ran(state, redis), gone)
    if word == "lapsed":
        return to(state, index, worker._replace(lost=True))
    if word == "gone":
        worker = stopped(worker._replace(jobs=tuple(job for job in worker.jobs if job not in gone)))
        return to(state, index, worker._replace(lost=True))
    return to(state, index, worker._replace(doubt=False, power="up", lost=worker.lost or worker.fired))


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
    """Who reads a job's number has it: the child or the parent, never both (rule recall)."""
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
    if not answers(state.redis):
        return world.setup.slow or worker.power != "up"
    return worker.power != "up" or seat is None or seat.lease != "live"


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
