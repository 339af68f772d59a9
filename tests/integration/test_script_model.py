"""Random sequences of all that can happen, against a model of what must be true after each step."""

from dataclasses import dataclass, field

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from _yadtq.claims import Claim
from _yadtq.messages import Foreign, Message, Rejected, Submission
from tests.support.script_queue import Hand, ScriptQueue

NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f"])
CONTENTS = st.sampled_from(["[1]", "[1]", "[1]", "[2]"])
FINAL = ("success", "failed", "rejected")
MAX_CRASHES, SLOTS = 3, 2


@dataclass
class Known:
    """What the model knows of a task that exists."""

    status: str = "queued"
    args: str = "[1]"
    crashes: int = 0


@dataclass
class Life:
    """A worker's incarnation and the claims that it believes in.

    sent: number of its last take. unread: what that gave, in an answer that was lost.
    """

    hand: Hand
    claims: list[Claim] = field(default_factory=list)
    sent: int = 0
    unread: list[Claim] = field(default_factory=list)


class Machine(RuleBasedStateMachine):
    """Clients, two workers that die and come back, one Kafka partition, resets, retries, time."""

    queue: ScriptQueue  # set by the test

    @initialize()
    def begin(self) -> None:
        self.queue.begin_anew()
        self.known: dict[str, Known] = {}
        self.number = 0
        self.lives = [self.new_life(), self.new_life()]
        self.lost: list[tuple[Hand, Claim]] = []  # claims that somebody still holds and that are nobody's any more
        self.settled: list[tuple[Hand, Claim, str]] = []
        self.submissions: list[Submission] = []
        self.files: list[dict[str, bytes]] = []

    def new_life(self) -> Life:
        self.number += 1
        return Life(self.queue.worker(f"worker~{self.number}", slots=SLOTS))

    # -- clients

    @rule(name=NAMES, args=CONTENTS, publish=st.booleans())
    def submit(self, name: str, args: str, publish: bool) -> None:
        task = self.queue.task(name, args)
        (word,) = self.queue.register(task)
        before = self.known.get(name)
        if before is None:
            assert word == "publish"
            self.known[name] = Known(args=args)
            self.submissions.append(task)
        else:
            assert (word == "conflict") == (args != before.args)
        if publish and word == "publish":
            self.queue.publish(task)

    @rule(name=NAMES, args=CONTENTS)
    def send_foreign(self, name: str, args: str) -> None:
        self.queue.send_foreign(name, args)

    @rule()
    def send_bad(self) -> None:
        self.queue.send_bad()

    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        assume(self.submissions)
        task = data.draw(st.sampled_from(self.submissions))
        before = self.known.get(task.id)
        word = self.queue.withdraw(task)
        if word == "refused" and before is not None and before.status == "queued":
            current = self.queue.status(task.id)
            assert current in ("", "queued")  # queued: withdrawn long ago, and another submission has the id
            if current == "":
                del self.known[task.id]
        if word == "refused":  # and nothing that comes late undoes it
            assert self.queue.register(task) == ["conflict"]

    @rule(name=NAMES)
    def retry(self, name: str) -> None:
        self.number += 1
        before = self.known.get(name)
        word = self.queue.store.retry(name, f"r{self.number}")
        assert word == ("absent" if before is None else "requeued" if before.status == "failed" else before.status)
        if before is not None and before.status == "failed":
            before.status, before.crashes = "queued", 0

    @rule()
    def reset(self) -> None:
        self.number += 1
        removed, _ = self.queue.store.reset(f"r{self.number}", {0: len(self.queue.kafka.get(0, []))})
        assert removed == len(self.known)
        self.known.clear()
        for life in self.lives:
            self.lost += [(life.hand, claim) for claim in life.claims + life.unread]
            life.claims.clear()
            life.unread.clear()

    # -- workers

    @rule(
        which=st.integers(0, 1),
        free=st.integers(0, 3),
        times=st.sampled_from([1, 1, 2]),
        read=st.sampled_from([True, True, True, False]),
    )
    def take(self, which: int, free: int, times: int, read: bool) -> None:
        """A take, perhaps repeated; its answer may be lost."""
        self.taken(self.lives[which], free, times, read)

    def taken(self, life: Life, free: int, times: int, read: bool) -> None:
        reads = self.queue.reads()
        floor = int(self.queue.redis.hget(f"{self.queue.prefix}floors", "0") or 0)
        self.goes_back(life)
        life.sent += 1
        for _ in range(times):  # a repeated call is the same call
            taken = life.hand.call_take(life.sent, life.hand.number, free, reads, life.claims)
        for offset, message in ((m.offset, m) for r in reads for m in r.messages):
            self.admitted(offset, message, floor)
        for claim in taken.claims:
            assert self.known[claim.id].status == "queued"
            assert self.known[claim.id].args == claim.args
            self.known[claim.id].status = "processing"
        if read:
            life.claims += taken.claims
            life.hand.number = life.sent
        else:
            life.unread += taken.claims

    def goes_back(self, life: Life) -> None:
        """What nobody has read is nobody's."""
        for claim in life.unread:
            self.known[claim.id].status = "queued"
            self.lost.append((life.hand, claim))
        life.unread.clear()

    def admitted(self, offset: int, message: Message, floor: int) -> None:
        """What becomes of a message that a take has read."""
        if isinstance(message, Rejected):
            self.known[f"rejected-0-{offset}"] = Known("rejected", "[]")
        elif isinstance(message, Foreign) and offset >= floor:
            task = message.submission
            if self.known.setdefault(task.id, Known(args=task.args)).args != task.args:
                self.known[f"rejected-0-{offset}"] = Known("rejected", task.args)

    @rule(data=st.data(), kind=st.sampled_from(["success", "failed", "retry", "crash", "release"]), begun=st.booleans())
    def settle(self, data: st.DataObject, kind: str, begun: bool) -> None:
        holding = [life for life in self.lives if life.claims]
        assume(holding)
        life = data.draw(st.sampled_from(holding))
        claim = data.draw(st.sampled_from(life.claims))
        life.claims.remove(claim)
        assert life.hand.settle(claim, kind, begun=begun or kind != "release") == "settled"
        self.settled.append((life.hand, claim, kind))
        task = self.known[claim.id]
        task.crashes += kind == "crash"
        ended = kind in FINAL
        task.status = kind if ended else "failed" if kind == "crash" and task.crashes >= MAX_CRASHES else "queued"

    @precondition(lambda self: self.settled)
    @rule(data=st.data())
    def settle_again(self, data: st.DataObject) -> None:
        hand, claim, kind = data.draw(st.sampled_from(self.settled[-3:]))
        assert hand.settle(claim, kind) != "settled"

    @precondition(lambda self: self.lost)
    @rule(data=st.data())
    def settle_what_was_lost(self, data: st.DataObject) -> None:
        hand, claim = data.draw(st.sampled_from(self.lost))
        assert hand.settle(claim) == "refused"

    @rule(which=st.integers(0, 1), take=st.booleans(), finder=st.sampled_from(["worker", "server", "manager"]))
    def die(self, which: int, take: bool, finder: str) -> None:
        """Its lease lapses, or it is buried, and the other one takes over what it had begun: all that it held.

        Of what an unread answer gave, it may have begun as many as it has slots.
        """
        gone, other = self.lives[which], self.lives[1 - which]
        gone.hand.beat(gone.claims)
        self.queue.lapse(gone.hand.name)
        for claim in gone.claims + gone.unread:
            task = self.known[claim.id]
            task.crashes += claim not in gone.unread[SLOTS:]
            task.status = "failed" if task.crashes >= MAX_CRASHES else "queued"
            self.lost.append((gone.hand, claim))
        if take:
            self.taken(other, 1, 1, True)
        while self.queue.redis.zscore(f"{self.queue.prefix}leases", gone.hand.name) is not None:
            self.look(finder, gone.hand.name, other)
        self.lives[which] = self.new_life()

    def look(self, finder: str, worker: str, other: Life) -> None:
        """Somebody does a step of what ends a lost worker."""
        if finder == "worker":
            other.hand.beat(other.claims)
        elif finder == "server":
            assert self.queue.store.coordinate("server1", 6000, "{}", "") == (True, False)
        else:
            assert self.queue.store.bury(worker, worker, "killed by SIGKILL") in ("more", "buried")

    # -- Redis

    @rule()
    def remember(self) -> None:
        """Redis writes a file."""
        self.files.append(self.queue.dump())

    @rule(data=st.data(), back=st.booleans())
    def restart(self, data: st.DataObject, back: bool) -> None:
        """It is restarted, from its newest file or from an older one; Kafka has everything, and nothing is lost."""
        self.queue.relay()
        before = self.queue.state()
        self.queue.restart(data.draw(st.sampled_from(self.files)) if back and self.files else None)
        self.queue.lead()
        self.queue.equals(before)
        for worker in self.queue.redis.smembers(f"{self.queue.prefix}unconfirmed"):
            if worker not in {life.hand.name for life in self.lives}:
                self.queue.lapse(worker)
        for life in self.lives:
            assert self.queue.store.confirm(life.hand.name, life.hand.number, life.claims) == []
            self.goes_back(life)
            life.hand.beat(life.claims)

    # -- time

    @rule(name=NAMES)
    def become_due(self, name: str) -> None:
        if name in self.queue.members("delayed"):
            self.queue.make_due(name)

    @rule(name=NAMES)
    def expire(self, name: str) -> None:
        task = self.known.get(name)
        if task is not None and task.status in FINAL:
            self.queue.redis.zadd(self.queue.key(task.status), {name: 1})
            del self.known[name]
        self.queue.store.tidy()

    # -- what must be true after each step

    @invariant()
    def all_agree(self) -> None:
        self.queue.check()
        assert {name: self.queue.status(name) for name in self.known} == {n: t.status for n, t in self.known.items()}
        assert set(self.queue.members("all")) == self.known.keys()
        holders = [claim.name for life in self.lives for claim in life.claims + life.unread]
        assert len(holders) == len(set(holders)) == self.queue.counts()["processing"]


def test_random_sequences_of_everything(queue: ScriptQueue) -> None:
    class Here(Machine):
        pass

    Here.queue = queue
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=30,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
