"""The rules of the protocol, taken out of the code one at a time: the simulation must find what goes wrong.

A rule is taken out by an edit of the scripts' text as they are loaded, or by another function in the place of one of
Python. docs/simulation.md has the table of what was found.
"""

import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from _yadtq import event_log, history, intake, outbox, recovery, store
from tests.simulation.plan import Plan
from tests.simulation.pool import SimulatedPool

Wanted = Callable[[Plan], bool]


@dataclass(frozen=True)
class Edit:
    """In every script, `old` becomes `new`."""

    old: str
    new: str


@dataclass(frozen=True)
class Swap:
    """Another value in the place of owner.name."""

    owner: Any
    name: str
    value: Any


@dataclass(frozen=True)
class Patch:
    """In the text of the method owner.name, `old` becomes `new`."""

    owner: type
    name: str
    old: str
    new: str

    def swap(self) -> Swap:
        """The method as it is then. Raises ValueError where the patch does not fit any more."""
        text = textwrap.dedent(inspect.getsource(getattr(self.owner, self.name)))
        if self.old not in text:
            raise ValueError(f"{self.owner.__name__}.{self.name} has no {self.old!r} any more")
        made: dict[str, Any] = {}
        exec(text.replace(self.old, self.new), vars(sys.modules[self.owner.__module__]), made)
        return Swap(self.owner, self.name, made[self.name])


Change: TypeAlias = Edit | Swap | Patch


@dataclass(frozen=True)
class Rule:
    """about: what the rule says. changes: without it. wanted: plans in which it can matter."""

    about: str
    changes: tuple[Change, ...]
    wanted: Wanted = lambda _: True


class Rules:
    """What is changed in the code while the simulation runs."""

    def __init__(self, changes: tuple[Change, ...] = ()) -> None:
        self._edits = [each for each in changes if isinstance(each, Edit)]
        self._used: set[Edit] = set()
        self._swaps = [
            each.swap() if isinstance(each, Patch) else each for each in changes if not isinstance(each, Edit)
        ]

    def edited(self, text: str) -> str:
        """A script's text with the edits that fit."""
        for edit in self._edits:
            if edit.old in text:
                self._used.add(edit)
                text = text.replace(edit.old, edit.new)
        return text

    def unused(self) -> list[str]:
        """What edits look for, and no script that has run has it."""
        return [edit.old for edit in self._edits if edit not in self._used]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Changes the Python code while the block runs."""
        before = [(swap, vars(swap.owner)[swap.name]) for swap in self._swaps]
        for swap in self._swaps:
            setattr(swap.owner, swap.name, swap.value)
        try:
            yield
        finally:
            for swap, value in before:
                setattr(swap.owner, swap.name, value)


ALL = Rules()


def happens(*names: str) -> Wanted:
    """Plans with all of these faults of processes and servers."""
    return lambda plan: set(names) <= {name for _, name in plan.faults}


def chance(*names: str) -> Wanted:
    """Plans with all of these faults of calls, messages and runs."""
    return lambda plan: plan.chances.keys() >= set(names)


def long_runs(plan: Plan) -> bool:
    """Plans in which a handler may run for seconds, and somebody else could take its task."""
    return max(plan.run_seconds) >= 2 and plan.workers > 1


def goes_back(plan: Plan) -> bool:
    """Plans in which Redis goes back in time."""
    return happens("back")(plan) or happens("lose")(plan)


def resets_and_goes_back(plan: Plan) -> bool:
    return goes_back(plan) and plan.resets > 0


def shares(plan: Plan) -> bool:
    """Plans in which an id is submitted more than once, and messages are lost."""
    return plan.ids < plan.submissions and "refused" in plan.chances


RULES = {
    "offset": Rule(
        "take accepts a read only if it began where the queue is, and nothing below that",
        (
            Edit("elseif stored and stored ~= (first or began) or not stored and not first then", "elseif false then"),
            Edit("elseif (not stored or tonumber(m.offset) >= tonumber(stored)) and", "elseif"),
        ),
        lambda plan: plan.foreign > 0,
    ),
    "seek": Rule(
        "a look, without messages, compares the reader's place with the queue's too",
        (Swap(intake.Intake, "looks", lambda _: []),),
        goes_back,
    ),
    "mark": Rule(
        "a message with our header never creates a record",
        (
            Edit(
                "if its >= tonumber(generation) or its < reset_in then return false end",
                "do return redis.call('EXISTS', E .. 'task:' .. id) == 0 end",
            ),
            Edit("if m.kind ~= 'ours' or m.generation == generation then", "if m.kind ~= 'ours' then"),
        ),
        lambda plan: plan.resets > 0,
    ),
    "withdraw: claimed": Rule(
        "withdraw works only on a task that was never claimed",
        (Edit("if rec[1] ~= 'queued' or rec[4] then", "if rec[1] ~= 'queued' then"),),
        lambda plan: plan.chances.keys() >= {"unacknowledged", "raise"} and plan.settings.task_max_retries > 0,
    ),
    "withdraw: absent": Rule(
        "withdraw that finds no record answers unknown, not refused",
        (
            Edit(
                "if rec[2] ~= name or rec[3] then return {'ok', 'unknown'} end",
                "if not rec[1] then return {'ok', 'refused'} end\n"
                "if rec[2] ~= name or rec[3] then return {'ok', 'unknown'} end",
            ),
        ),
        lambda plan: plan.chances.keys() >= {"unacknowledged"} or goes_back(plan),
    ),
    "withdraw: sole": Rule(
        "withdraw works only for the one submission that registered the record",
        (Edit("if rec[2] ~= name or rec[3] then return", "if not rec[2] then return"),),
        shares,
    ),
    "foreignshared": Rule(
        "another producer's message of a known id makes its record unwithdrawable",
        (Edit("if not rec[5] then transition({action = 'share', id = m.id}) end", ""),),
        lambda plan: plan.foreign > 0 and plan.resets == 0 and "refused" in plan.chances,
    ),
    "withdrawgen": Rule(
        "withdraw of what an older generation registered changes nothing (keepold)",
        (
            Edit("if older or string.match(rec[6], '^%d+') ~= generation then return {'ok', 'unknown'} end", ""),
            Edit("older and 'unknown' or 'refused'", "'refused'"),
        ),
        goes_back,
    ),
    "tombstones": Rule(
        "what was withdrawn is not registered by a call that comes late",
        (Edit("if was_withdrawn(t, rec[6]) then return 'conflict' end", ""),),
        chance("held"),
    ),
    "callepoch": Rule(
        "a registration counts only in the epoch that its caller knew",
        (Edit("if ARGV[2] ~= epoch then", "if ARGV[2] == '' then"),),
        lambda plan: plan.resets > 0 and "held" in plan.chances,
    ),
    "onceonly": Rule(
        "a register that was repeated and is answered full or conflict is doubtful, not refused",
        (Patch(store.Store, "register", "doubtful = repeated and", "doubtful = False and"),),
        chance("held"),
    ),
    "resetnames": Rule(
        "a reset is known by its name even when others came after it",
        (Edit("while #lines > 16 do", "while #lines > 1 do"),),
        lambda plan: plan.resets > 1 and "held" in plan.chances,
    ),
    "guard": Rule(
        "the guard kills the children at the deadline that was confirmed last",
        (Swap(SimulatedPool, "guards", False),),
        happens("stop-worker"),
    ),
    "guardfinal": Rule(
        "when the guard has fired, this incarnation starts nothing any more",
        (Swap(SimulatedPool, "final", False),),
        lambda plan: happens("stop-worker")(plan) and plan.batch > 0 and long_runs(plan),
    ),
    "takenum: repeated": Rule(
        "a repeated take gives again what the first one gave",
        (
            Edit("local repeated = number == last", "local repeated = false"),
            Edit("if repeated or seen < last then id", "if false then id"),
        ),
        chance("lost"),
    ),
    "takenum: stale": Rule(
        "a take with a lower number is refused",
        (Edit("if number < last then return {'stale'} end", ""),),
        chance("held"),
    ),
    "grace": Rule(
        "a missing lease is not a lapsed one",
        (Edit("or lease_in_grace(owner, clock, lease_ms)", "or '0'"),),
        happens("delete-leases"),
    ),
    "lease clock": Rule(
        "the clock of all leases gains at most a second a call",
        (Edit("math.max(0, math.min(1000, now - tonumber(head[6])))", "math.max(0, now - tonumber(head[6]))"),),
        lambda plan: happens("clock-step")(plan) and long_runs(plan),
    ),
    "backpressure": Rule(
        "the outbox is never trimmed before Kafka has it",
        (Edit("'XADD', P .. 'events', token", "'XADD', P .. 'events', 'MAXLEN', '3', token"),),
    ),
    "relay": Rule(
        "an event is trimmed only after Kafka has acknowledged it",
        (
            Patch(
                outbox.Outbox,
                "forward",
                "sent, offset, error =",
                "self._store.trim(entries[-1][0], self._generation, 0)\n    sent, offset, error =",
            ),
        ),
    ),
    "fence": Rule(
        "an outcome counts only with the token of the claim",
        (
            Edit(
                "if rec[2] ~= claim then\n    local ended",
                "if rec[1] ~= 'processing' then\n    local ended",
            ),
        ),
        happens("stop-worker"),
    ),
    "attempts": Rule(
        "the attempt of a lapsed claim keeps its number, also when nobody knows whether it was begun",
        (Edit("if e.begun or e.action == 'reclaim' then", "if e.begun then"),),
        lambda plan: plan.batch > 0,
    ),
    "restarted": Rule(
        "no script acts on a server that was restarted before it has been led back",
        (Edit("if head[7] ~= run then return {'restarted'} end", ""),),
        goes_back,
    ),
    "forward": Rule(
        "what Redis has forgotten and the event log knows happens again",
        (Patch(recovery._Steps, "_apply", "self._store.apply(", "(lambda *_: None)("),),
        happens("back"),
    ),
    "void": Rule(
        "what a late relay sends behind the marker of a newer generation counts as nothing",
        (
            Patch(history.History, "add", "if entry.generation < self._lives:", "if False:"),
            Edit("if ARGV[2] ~= generation then return {'outdated'} end", ""),
        ),
        goes_back,
    ),
    "reissue": Rule(
        "an event is sent with the generation of the queue as it is sent, not as it was made",
        (Patch(event_log.EventLog, "append", "stamped(generation,", "stamped(entry[0].partition('-')[0],"),),
        lambda plan: goes_back(plan) or happens("restart")(plan),
    ),
    "quarantine": Rule(
        "after a restart nothing is handed out until every worker has confirmed what it holds",
        (Edit("redis.call('SADD', P .. 'unconfirmed', worker)", ""),),
        goes_back,
    ),
    "confirm": Rule(
        "a worker kills what Redis has forgotten",
        (Edit("forgotten[#forgotten + 1] = i", ""),),
        goes_back,
    ),
    "forgotten": Rule(
        "the number of a run that Redis has forgotten is not used again",
        (
            Edit("make.forgotten(e, key)", "make.ignored(e, key)"),
            Edit("local function give_up", "function make.forgotten() end\nlocal function give_up"),
        ),
        goes_back,
    ),
    "joinwait": Rule(
        "a worker takes nothing until its join is in Kafka",
        (Edit("local joining = told[3] ", "local joining = nil "),),
        lambda plan: happens("no-events", "back")(plan) and long_runs(plan),
    ),
    "resetwait": Rule(
        "Reset answers only when its event is in Kafka",
        (Patch(outbox.Outbox, "recorded", "if self._delivered(", "if True or self._delivered("),),
        resets_and_goes_back,
    ),
    "resetgen": Rule(
        "a message whose registration was lost is not made good when a reset came after it",
        (
            Edit("or its < reset_in then", "then"),
            Edit("if its == reset_in and tonumber(m.epoch) < tonumber(epoch) then return false end", ""),
        ),
        resets_and_goes_back,
    ),
    "ownmark": Rule(
        "a repeated registration publishes with the mark of the record",
        (Edit("return rec[7] == token and 'publish' or 'publish ' .. rec[7]", "return 'publish'"),),
        lambda plan: goes_back(plan) and plan.ids < plan.submissions,
    ),
    "sharedevent": Rule(
        "the second registration of an id is an event too",
        (
            Edit(
                "if rec[5] ~= t.submission and not rec[8] then transition({action = 'share', id = t.id}) end",
                "if rec[5] ~= t.submission then redis.call('HSET', E .. 'task:' .. t.id, 'shared', '1') end",
            ),
        ),
        lambda plan: goes_back(plan) and plan.ids < plan.submissions,
    ),
    "election": Rule(
        "only the newest attempt to lead Redis back may act",
        (
            Edit(
                "if led[1] ~= ARGV[1] or led[2] ~= ARGV[2] or run ~= ARGV[2] or head[7] == run then",
                "if false then",
            ),
            Edit(
                "if head[6] == ARGV[6] and head[5] ~= ARGV[2] and tonumber(head[7]) > now then",
                "if false then",
            ),
        ),
        goes_back,
    ),
    "markercheck": Rule(
        "a marker counts only if its generation is newer than all before it in the log",
        (
            Patch(
                recovery.Recovery,
                "_read",
                "if entry.generation >= limit:",
                "if False:",
            ),
        ),
        goes_back,
    ),
}
