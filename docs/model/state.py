"""The world of the model: what Redis, Kafka, the workers, the clients and the observer know at one instant.

All values are immutable, so that a state can be a key. A task, a client and an incarnation are small numbers.
"""

from typing import NamedTuple, TypeAlias, TypeVar

Token: TypeAlias = tuple[int, int]  # generation, seq
Claim: TypeAlias = tuple[int, Token]  # incarnation, token
Given: TypeAlias = tuple[tuple[int, Token], ...]  # task and token of each claim

NOWHERE = -1  # no position is stored · nobody · no offset
FOREIGN = -1  # registered by a message of another producer
LOST: Claim = (NOWHERE, (0, 0))  # a claim that nobody holds any more
FINAL = ("success", "failed")

OPEN, STALE, QUARANTINE, GONE = "open", "stale", "quarantine", "gone"  # of Redis: see recovery.py


class Violation(Exception):
    """A step that breaks the promise."""


class Record(NamedTuple):
    """A task in Redis, with the index that holds it."""

    place: str  # registered · ready · delayed · processing · success · failed · withdrawn (a tombstone)
    by: tuple[int, ...]  # who registered it: of a tombstone, all who withdrew it
    mark: Token = (0, 0)
    shared: bool = False
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    claim: Claim | None = None
    settled: Claim | None = None
    offset: int = NOWHERE  # of its message


class Seat(NamedTuple):
    """What Redis knows of an incarnation."""

    name: int
    lease: str  # live · grace · lapsed · '' missing
    take: int = 0
    given: Given = ()
    running: Given = ()
    confirmed: bool = True


class Event(NamedTuple):
    """An entry of the outbox, or of yadtq_events. generation and seq: of the call that wrote it (its token).

    stamp: the generation in which the relay sent it; 0 in the outbox. A reset names its request as its actor.
    """

    generation: int
    seq: int
    kind: str
    changes: tuple[tuple[int, Record | None], ...] = ()
    epoch: int = 0
    floor: int = 0
    position: int = NOWHERE
    starts: tuple[tuple[int, int], ...] = ()
    actor: int = NOWHERE
    stamp: int = 0
    base: "Redis | None" = None  # of many events in one: what they make of an empty Redis


class Redis(NamedTuple):
    """The queue in Redis."""

    records: tuple[Record | None, ...]
    seats: tuple[Seat, ...]
    ready: tuple[int, ...] = ()
    generation: int = 1
    began: tuple[tuple[int, int], ...] = ()  # generation → the last seq that was known when it began
    starts: tuple[tuple[int, int], ...] = ()  # task without a record → attempt of a run that Redis has forgotten
    seq: int = 0
    epoch: int = 0
    reset_in: int = 0  # generation of the last reset
    floor: int = 0
    position: int = NOWHERE
    outbox: tuple[Event, ...] = ()
    trimmed: int = 0  # the newest seq that it knows to be in the event log; the log is read from there
    resets: tuple[int, ...] = ()  # requests that were answered
    swept: tuple[int, int, int] = (0, 0, 0)  # the claim up to which a round of the sweep has come
    sweep_for: int = NOWHERE  # the incarnation for which the round is made
    mode: str = OPEN
    tries: int = 0  # to lead it back
    begun: int = 0  # the newest generation of those tries
    kept: int = 0  # the seq with which it came back


class Message(NamedTuple):
    """A message of yadtq_tasks. epoch and mark are its header; a foreign one has none."""

    task: int
    epoch: int = NOWHERE
    mark: Token = (0, 0)

    @property
    def ours(self) -> bool:
        return self.epoch != NOWHERE


class Read(NamedTuple):
    """What polls have brought, as the worker hands it in. began = next: a look, nothing was read."""

    began: int
    next: int
    first: bool


class Job(NamedTuple):
    """A claim inside a worker: sent (in the child's socket) · run · and its outcome: ok · error · crash · back."""

    task: int
    epoch: int
    attempt: int
    failures: int
    token: Token
    phase: str
    begun: bool = False

    @property
    def ended(self) -> bool:
        return self.phase not in ("sent", "run")


class Worker(NamedTuple):
    """One worker of one child."""

    name: int  # of its incarnation
    power: str = "up"  # up · stopped · cut · dead · frozen · thawed
    fired: bool = False  # its guard has killed the child for good
    lost: bool = False  # it knows that its lease is over
    at: int = NOWHERE  # where its reader is; NOWHERE: not placed
    first: bool = False  # it was placed where the log begins
    jobs: tuple[Job, ...] = ()
    number: int = 0  # of the last take whose answer was read
    doubt: bool = False

    @property
    def acts(self) -> bool:
        return self.power in ("up", "thawed")


class Client(NamedTuple):
    """One submission."""

    step: str = "new"  # new asked registered sent doubtful · acknowledged refused unknown dead done
    epoch: int = NOWHERE
    mark: Token = (0, 0)
    asked: bool = False  # a call of it was not answered
    at: int = 0  # seq of what a refusal rests on


class Call(NamedTuple):
    """A call that is held up on its way to Redis; nobody waits for its answer any more."""

    script: str
    who: int
    number: int = 0
    seen: int = 0
    free: int = 0
    read: Read | None = None
    running: Given = ()
    jobs: tuple[Job, ...] = ()


class Recoverer(NamedTuple):
    """A process that leads Redis back. step: idle · begun (its marker is on the way) · marked."""

    step: str = "idle"
    attempt: int = 0
    generation: int = 0
    kept: int = 0  # the seq with which Redis came back


class Ghost(NamedTuple):
    """What the observer knows of a task. Nothing makes him forget."""

    outcome: str = ""
    at: int = 0  # seq of the outcome
    started: bool = False
    reset: int = 0  # seq of the reset that removed it
    attempt: int = 0  # the highest that was started
    settled: Token = (0, 0)  # the last claim whose outcome was recorded


class Request(NamedTuple):
    """A reset that somebody asks for. step: asked · ran · done (and told) · over (given up). at: seq of its event."""

    step: str
    at: int = 0


class State(NamedTuple):
    """The world."""

    clients: tuple[Client, ...]
    redis: Redis
    workers: tuple[Worker, ...]
    ghosts: tuple[Ghost, ...]
    budget: tuple[int, ...]  # what is left of each fault
    flying: tuple[Message, ...] = ()  # on the way to Kafka
    log: tuple[Message, ...] = ()  # yadtq_tasks: one partition
    start: int = 0  # offset where it begins
    admitted: frozenset[int] = frozenset()  # offsets that made a task ready
    reader: int = 0  # the worker that the group gave the partition to
    held: tuple[Call, ...] = ()
    sweeper: Message | None = None  # what it is about to publish
    reset: tuple[int, ...] = ()  # the end offset that it noted
    resets: tuple[Request, ...] = ()
    events: tuple[Event, ...] = ()  # yadtq_events: what counts, and may still be needed
    logged: int = 0  # the last seq of it
    newest: int = 1  # generation of its newest marker
    lives: int = 1  # the oldest generation whose events count from here on
    late_markers: tuple[tuple[int, int, int], ...] = ()  # under way, of the dead: generation, the one before, last seq
    markers: tuple[tuple[int, int], ...] = ()  # its markers: generation, and the last seq that was known then
    relay: tuple[Event, ...] = ()  # what it has read from the outbox
    sent: bool = False  # and whether Kafka has acknowledged it
    late: tuple[Event, ...] = ()  # what a dead relay has under way
    durable: Redis | None = None  # Redis may fall back to this
    recoverers: tuple[Recoverer, ...] = ()
    forgot: bool = False  # Redis has gone back


Item = TypeVar("Item")


def put(items: tuple[Item, ...], index: int, item: Item) -> tuple[Item, ...]:
    """The same items, one of them replaced."""
    return (*items[:index], item, *items[index + 1 :])


def without(items: tuple[Item, ...], item: Item) -> tuple[Item, ...]:
    """The same items, one occurrence of `item` removed."""
    index = items.index(item)
    return (*items[:index], *items[index + 1 :])


def seat_of(redis: Redis, name: int) -> Seat | None:
    """What Redis knows of an incarnation."""
    return next((seat for seat in redis.seats if seat.name == name), None)


def seated(redis: Redis, seat: Seat) -> Redis:
    """The same queue with this seat."""
    others = [each for each in redis.seats if each.name != seat.name]
    return redis._replace(seats=tuple(sorted((*others, seat))))


def recorded(redis: Redis, task: int, record: Record | None) -> Redis:
    return redis._replace(records=put(redis.records, task, record))


def answers(redis: Redis) -> bool:
    """Whether scripts act: not while Redis is being led back."""
    return redis.mode in (OPEN, QUARANTINE)


def works(redis: Redis) -> bool:
    """Whether tasks are handed out, settled and put back."""
    return redis.mode == OPEN


def start_of(redis: Redis, task: int) -> int:
    """The attempt of a run that Redis has forgotten with the record of its task; 0: none."""
    return next((attempt for each, attempt in redis.starts if each == task), 0)


def with_start(redis: Redis, task: int, attempt: int) -> Redis:
    """The number of a run is kept until its task has a record again."""
    attempt = max(start_of(redis, task), attempt)
    return redis._replace(starts=(*without_start(redis, task).starts, (task, attempt)))


def without_start(redis: Redis, task: int) -> Redis:
    """The task has a record again, which keeps the number."""
    return redis._replace(starts=tuple(each for each in redis.starts if each[0] != task))
