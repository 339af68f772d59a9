"""The observer: sees all, forgets nothing, and raises a Violation when the promise is broken (DESIGN §1, §4)."""

from typing import Any

from docs.model.state import FINAL, FOREIGN, Ghost, Job, Record, Redis, State, Violation, Worker, put, start_of


def ghost(state: State, task: int, **changes: Any) -> State:
    """The same world, and the observer knows something more of a task."""
    return state._replace(ghosts=put(state.ghosts, task, state.ghosts[task]._replace(**changes)))


def ran(state: State, redis: Redis) -> State:
    """A script ran: new outcomes are noted, final states are final, a new record begins a new task."""
    for task, (old, new) in enumerate(zip(state.redis.records, redis.records, strict=True)):
        if old == new or new is None:
            continue
        if new.place in FINAL:
            if old and old.place in FINAL and old.place != new.place:
                raise Violation(f"the outcome of task {task} changes from {old.place} to {new.place}")
            if not old or old.place not in FINAL:
                state = _outcome(state, task, new, redis.seq)
        elif old is None or old.place == "withdrawn":
            state = _begins(state, task, new)
    return state._replace(redis=redis)


def _outcome(state: State, task: int, record: Record, seq: int) -> State:
    known = state.ghosts[task]
    if known.outcome and not known.reset:
        raise Violation(f"task {task} gets a second outcome: {known.outcome}, then {record.place}")
    settled = record.claim[1] if record.claim else (0, 0)
    return ghost(state, task, outcome=record.place, at=seq, settled=settled)


def _begins(state: State, task: int, record: Record) -> State:
    """The id had no record: it is a new task, and who was told of the old one's end has had his answer."""
    known = state.ghosts[task]
    clients = state.clients
    for number, client in enumerate(clients):
        if client.step == "acknowledged" and known.outcome:
            clients = put(clients, number, client._replace(step="done"))
    if record.by[0] == FOREIGN and not record.mark[0]:
        known = known._replace(reset=0)  # another producer sends the id again: a new task
    if record.by[0] != FOREIGN or not record.mark[0]:
        known = known._replace(outcome="", attempt=0)
    return state._replace(clients=clients, ghosts=put(state.ghosts, task, known))


def admitted(state: State, offsets: tuple[int, ...]) -> State:
    """Messages made tasks ready."""
    for offset in offsets:
        if state.ghosts[state.log[offset].task].reset:
            raise Violation(f"task {state.log[offset].task} was reset and is there again")
        if offset in state.admitted:
            raise Violation(f"the message at offset {offset} is admitted twice")
    return state._replace(admitted=state.admitted | set(offsets))


def started(state: State, index: int, job: Job, machines_act: bool) -> State:
    """A child begins a job. machines_act: no machine freezes as a whole, so two runs at once are a fault of ours."""
    task, known = job.task, state.ghosts[job.task]
    for other, worker in enumerate(state.workers):
        runs = any(each.phase == "run" and each[:2] == job[:2] for each in worker.jobs)
        if other != index and runs and machines_act:
            raise Violation(f"overlap: task {task} runs in worker {other} and in worker {index}")
    holds = _holds(state.redis, state.workers[index], job)
    if known.outcome and not known.reset and holds:
        raise Violation(f"task {task} runs again after its outcome ({known.outcome})")
    if job.attempt <= known.attempt and holds and not known.reset:
        raise Violation(f"attempt {job.attempt} of task {task} starts twice, and the history tells of one start")
    if known.reset or job.epoch != state.redis.epoch:
        return state
    counts = holds or not state.forgot  # of a start that Redis has forgotten, its worker tells when it confirms
    return ghost(state, task, started=True, attempt=max(known.attempt, job.attempt) if counts else known.attempt)


def _holds(redis: Redis, worker: Worker, job: Job) -> bool:
    record = redis.records[job.task]
    return record is not None and record.place == "processing" and record.claim == (worker.name, job.token)


def answered(state: State, jobs: tuple[Job, ...], words: tuple[str, ...]) -> None:
    """A worker reads the answer of settle."""
    for job, word in zip(jobs, words, strict=True):
        known = state.ghosts[job.task]
        if word == "refused" and known.settled == job.token and not known.reset and not state.forgot:
            raise Violation(f"a repeated outcome of task {job.task} is refused, though it was recorded")


def was_reset(state: State, clients: tuple[int, ...], end: int, seq: int) -> State:
    """The reset script ran: what was there before is gone for good."""
    for task, record in enumerate(state.redis.records):
        sent = any(m.task == task and offset < end for offset, m in enumerate(state.log))
        if sent or _was_forgotten(state, clients, task) or (record and record.place != "withdrawn"):
            state = ghost(state, task, reset=state.ghosts[task].reset or max(seq, 1))
    return state


def _was_forgotten(state: State, clients: tuple[int, ...], task: int) -> bool:
    """Whether it was registered in an older generation, and perhaps forgotten."""
    marks = [m.mark for m in (*state.log, *state.flying) if m.task == task and m.ours]
    marks += [
        client.mark for number, client in enumerate(state.clients) if clients[number] == task and any(client.mark)
    ]
    return any(generation < state.redis.generation for generation, _ in marks)


def check(state: State, clients: tuple[int, ...]) -> None:
    """Refused means never."""
    foreign = {message.task for message in state.log if not message.ours}
    for number, task in enumerate(clients):
        known = state.ghosts[task]
        if state.clients[number].step != "refused" or not known.started or known.reset or task in foreign:
            continue
        others = [c.step for other, c in enumerate(state.clients) if clients[other] == task and other != number]
        if all(each in ("new", "refused") for each in others):
            raise Violation(f"client {number} was told refused, but task {task} was started")


def promised(state: State, clients: tuple[int, ...]) -> bool:
    """Whether every task that somebody may rely on has an outcome."""
    owed = {task for number, task in enumerate(clients) if state.clients[number].step == "acknowledged"}
    owed |= {m.task for offset, m in enumerate(state.log) if not m.ours and offset >= state.redis.floor}
    return all(_settled(state.ghosts[task], state.redis.records[task]) for task in owed)


def _settled(known: Ghost, record: Record | None) -> bool:
    return known.reset > 0 or known.outcome != "" or (record is not None and record.place in FINAL)


# -- when Redis comes back --------------------------------------------------------------------------------------------


def forgive(state: State, strict: bool) -> State:
    """What neither Redis nor the event log knows any more is beyond every promise (README); unless `strict`."""
    position = max([state.redis.position, *(event.position for event in state.events)])
    state = state._replace(admitted=frozenset(offset for offset in state.admitted if offset < position))
    if strict:
        return state
    known = max(state.redis.seq, state.logged)
    told = {each.at for each in state.resets if each.step == "done"}
    ghosts = tuple(_forgiven(each, known, told) for each in state.ghosts)
    clients = tuple(
        each._replace(step="unknown") if each.step == "refused" and each.at > known else each for each in state.clients
    )
    resets = tuple(
        each._replace(step="asked") if each.step == "ran" and each.at > known else each for each in state.resets
    )  # whoever has had no answer asks again
    return state._replace(ghosts=ghosts, clients=clients, resets=resets)


def _forgiven(known: Ghost, seq: int, told: set[int]) -> Ghost:
    """Without an outcome after that number, and without a reset of which nobody was told."""
    if known.outcome and known.at > seq:
        known = known._replace(outcome="", at=0)
    return known._replace(reset=0) if known.reset > seq and known.reset not in told else known


def opened(state: State) -> State:
    """Of starts, Redis knows those of its records; of a run that it forgot, what the worker says when it confirms."""
    for task, record in enumerate(state.redis.records):
        attempt = min(state.ghosts[task].attempt, record.attempt if record else start_of(state.redis, task))
        state = ghost(state, task, attempt=attempt)
    return state


def confirmed(state: State, gone: tuple[Job, ...]) -> State:
    """A worker told the number of a start that Redis had forgotten."""
    for job in gone:
        if job.epoch == state.redis.epoch:
            state = ghost(state, job.task, attempt=max(state.ghosts[job.task].attempt, job.attempt))
    return state
