"""The modes (which faults may happen, and how often), the rules, and where each rule is needed."""

from docs.model.claims import Bounds
from docs.model.programs import Setup

# What the code does today. --need shows what goes wrong without each.
BUILT = {
    "offset": "take accepts a read only if it began where the queue is",
    "seek": "a look, without messages, compares the reader's place with the queue's too",
    "mark": "a message with our header never creates a record",
    "attempt0": "withdraw works only on a task that was never claimed",
    "absent": "withdraw that finds no record, or another epoch, answers unknown, not refused",
    "sole": "withdraw works only for the one submission that registered the record",
    "sweepepoch": "the sweeper publishes with the epoch of the record, not as of now",
    "guardfinal": "when the guard has fired, this incarnation starts nothing any more",
    "takenum": "a take that was not answered is repeated with its number, and gives again what it gave",
    "grace": "a missing lease is not a lapsed one: who finds it missing writes one that its owner cannot renew",
    "backpressure": "a full outbox stops register and take; it is never trimmed",
    "fence": "an outcome counts only with the token of the claim, not with the attempt's number",
    "recall": "what the child has read cannot be recalled, and what was recalled the child cannot read",
    "attempts": "the attempt of a lapsed claim keeps its number, also when nobody knows whether it was begun",
    "foreignshared": "a header-less message of a known id makes its record unwithdrawable, like a second registration",
    "onceonly": "a register that was repeated, and is answered full or conflict, is unknown, not refused",
    "tombstones": "a tombstone, and the record that replaces it, keep the names of all submissions that were withdrawn",
    "callepoch": "a registration counts only in the epoch that its caller knew, not after a reset that came before it",
    "resetnames": "a reset keeps the names of the last requests that were answered, not only of the last one",
    # When Redis comes back:
    "forward": "the events that Redis has forgotten are applied to it, and a new generation begins",
    "void": "what a late relay sends behind the marker counts as nothing",
    "quarantine": "nothing is handed out, settled or put back until each worker has confirmed its claims, or lapsed",
    "resetwait": "Reset answers only when its event is in Kafka",
    "joinwait": "a worker takes nothing until its join is in Kafka",
    "resetgen": "a lost registration is not made good when a reset came since",
    "epochs": "in a reset's own generation, a lost registration counts from the epoch on that the reset began",
    "ends": "a registration is lost when neither Redis kept it nor the event log, not when the log alone has it",
    "ownmark": "a repeated registration publishes with the mark of the record",
    "sharedevent": "the second registration of an id is an event too",
    "withdrawgen": "withdraw of what an older generation registered answers unknown, not refused",
    "keepold": "and it changes nothing",
    "election": "only who began last may apply events and raise the generation, and only for this start of Redis",
    "begun": "Redis chooses the new generation: a later attempt has a newer one",
    "before": "a marker ends no newer generation than its sender knew",
    "markercheck": "a marker counts only if its generation is newer than all before it in the log",
    "trimgen": "the outbox is trimmed only of what was sent in the generation of now",
    "confirmonce": "who has confirmed, or is not asked to, changes nothing by confirming",
    "keptattempts": "a worker that confirms tells the number of a run that Redis has forgotten: no later one gets it",
    "oldattempts": "a claim of an older generation that goes back unbegun keeps its number",
    # Messages that nobody needs are deleted:
    "retain": "retention keeps what an unfinished task needs",
    "window": "retention keeps a message until the event log knows all that Redis knows of its task",
}
# In the code `reposition` does it, which the model does not have.
DESIGNED = {
    "range": "a reader that finds its place deleted goes on where the log begins",
}
RULES = {**BUILT, **DESIGNED}
ALL = frozenset(RULES)
AS_BUILT = frozenset(BUILT)

TWO = (0, 1)
SAME = (0, 0)
ONE = (0,)
EVENTS = Bounds(events=True)


def _mode(clients: tuple[int, ...] = ONE, tasks: int = 1, **faults: int) -> Setup:
    """A mode without events; a double name is written with an underscore."""
    return Setup(clients, tasks, faults=_named(faults))


def _named(faults: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple((name.replace("_", "-"), most) for name, most in faults.items())


def _late(setup: Setup, *scripts: str) -> Setup:
    return setup._replace(late=frozenset(scripts))


def _logged(setup: Setup, relay_steps: bool = False, outbox: int = 0) -> Setup:
    told = outbox > 0  # where Redis comes back, crashes are not counted
    return setup._replace(bounds=EVENTS._replace(outbox=outbox, told=told), relay_steps=relay_steps)


MODES = {
    "submit": _mode(TWO, 2, timeout=1, publish_fails=1, client_dies=1),
    "submit-crash": _mode(timeout=1, kill=1, child_dies=1, error=1),
    "sweeper": _mode(timeout=1, publish_fails=1, client_dies=1, sweep=2, expire=1, rebalance=1),
    "same-id": _mode(SAME, timeout=1, publish_fails=1, client_dies=1, expire=1),
    "crash": _mode(TWO, 2, child_dies=1, error=1),
    "crash-cap": _mode(kill=1, child_dies=1)._replace(bounds=Bounds(crashes=2)),
    "zombie": _mode(stop=2),
    "zombie-mix": _mode(stop=1, kill=1),
    "frozen": _mode(freeze=1)._replace(guard="frozen"),
    "no-guard": _mode(stop=1)._replace(guard="none"),
    "late-take": _late(_mode(TWO, 2, late=1), "take"),
    "late-take-stop": _late(_mode(late=1, stop=1), "take"),
    "late-settle": _late(_mode(late=1, stop=1), "settle"),
    "late-register": _late(_mode(late=1, timeout=1, publish_fails=1, sweep=1), "register"),
    "late-register-same": _late(_mode(SAME, late=1, publish_fails=2, sweep=1), "register"),
    "late-register-full": _late(_logged(_mode(TWO, 2, late=1, sweep=1), outbox=1), "register"),
    "late-register-reset": _late(_mode(late=1, timeout=1, publish_fails=1, reset=1, sweep=1), "register"),
    "late-reset": _late(_mode(late=1, reset=2), "reset"),
    "lease-key": _mode(delete_lease=2),
    "rebalance": _mode(TWO, 2, rebalance=2, expire=1),
    "foreign": _mode((), foreign=2, rebalance=2, expire=1, kill=1),
    "foreign-same": _mode(ONE, 2, foreign=2, publish_fails=1),
    "requeue": _mode(error=3, requeue=1),
    "batch": _mode(TWO, 2, kill=1)._replace(batch=2),
    "batch-recall": _mode(TWO, 2, recall=1)._replace(batch=2),
    "batch-late": _late(_mode(TWO, 2, late=1)._replace(batch=2), "take"),
    "sweep-rounds": _mode(TWO, 2, kill=1)._replace(batch=2, bounds=Bounds(sweep=1)),
    "reset": _mode(TWO, 2, reset=1, timeout=1),
    "reset-sweep": _mode(reset=1, sweep=2, client_dies=1, timeout=1),
    "reset-foreign": _mode((), foreign=2, reset=1, stop=1),
    "retention": _mode(retention=1, rebalance=1, kill=1),
    "outbox": _logged(_mode(TWO, 2), outbox=2),
    "relay": _logged(_mode(relay_dies=1, error=1), relay_steps=True),
    "restart": _logged(_mode(restart=1, relay_dies=1), relay_steps=True),
    "restart-twice": _logged(_mode(restart=2, overtake=1))._replace(recoverers=2),
    "restart-slow": _logged(_mode(restart=1))._replace(slow=True),
    "late-marker": _logged(_mode(durable=1, rollback=1, again=1, late_marker=2)),
    "restart-stop": _logged(_mode(restart=1, stop=1)),
    "restart-lease": _logged(_mode(restart=1, delete_lease=1)),
    "restart-late": _late(_logged(_mode(restart=1, late=1)), "confirm"),
    "rollback": _logged(_mode(durable=1, rollback=1), relay_steps=True),
    "rollback-twice": _logged(_mode(durable=1, rollback=2, overtake=1))._replace(recoverers=2),
    "rollback-again": _logged(_mode(durable=1, rollback=1, again=1, overtake=1))._replace(recoverers=2),
    "rollback-kill": _logged(_mode(durable=1, rollback=1, kill=1)),
    "rollback-stop": _logged(_mode(durable=1, rollback=1, stop=1)),
    "rollback-withdraw": _logged(_mode(durable=1, rollback=1, timeout=1, expire=1)),
    "rollback-same": _logged(_mode(SAME, durable=1, rollback=1, timeout=1)),
    "rollback-reset": _logged(_mode(durable=1, rollback=1, reset=2)),
    "rollback-requeue": _logged(_mode(durable=1, rollback=1, error=2, requeue=1)),
    "rollback-sweep": _logged(_mode(durable=1, rollback=1, sweep=1, client_dies=1)),
    "rollback-foreign": _logged(_mode((), foreign=2, durable=1, rollback=1, expire=1)),
    "rollback-batch": _logged(_mode(TWO, 2, durable=1, rollback=1)._replace(batch=2)),
    "rollback-retention": _logged(_mode(durable=1, rollback=1, retention=1)),
    "found": _logged(_mode(restart=1, overtake=1))._replace(empty=True, recoverers=2),
    "found-lost": _logged(_mode(lose=1))._replace(empty=True),
    "rebuild": _logged(_mode(lose=1, timeout=1)),
    "rebuild-slow": _logged(_mode(lose=1))._replace(slow=True),
    "rebuild-again": _logged(_mode(lose=1, again=1, overtake=1))._replace(recoverers=2, whole=True),
    "rebuild-twice": _logged(_mode(lose=1, restart=1, overtake=1))._replace(recoverers=2, whole=True),
    "rebuild-crash": _logged(_mode(lose=1, rollback=1, durable=1, recoverer_dies=1)),
    "rebuild-stop": _logged(_mode(lose=1, stop=1)),
    "rebuild-reset": _logged(_mode(lose=1, reset=1)),
    "rebuild-foreign": _logged(_mode((), foreign=2, lose=1, expire=1)),
    "rebuild-retention": _logged(_mode(lose=1, retention=1, kill=1)),
}
# Seconds: what `make test` runs.
SMALL = ("requeue", "late-reset", "late-register", "frozen", "restart-late", "restart-twice", "rebuild")
# What the promise must exclude: nothing is forgiven, or a message is repeated after the life time of its task's result.
STRICT = {
    "strict-rollback": MODES["rollback-kill"]._replace(strict=True),
    "strict-withdraw": MODES["rollback-withdraw"]._replace(strict=True),
    "strict-copy": _logged(_mode(durable=1, rollback=1, sweep=1, expire=1)),
}
# For each rule: where its absence shows.
NEED = {
    "offset": "foreign", "seek": "rollback", "mark": "sweeper", "attempt0": "submit-crash", "absent": "sweeper",
    "sole": "same-id", "guardfinal": "zombie", "takenum": "late-take", "grace": "lease-key", "backpressure": "outbox",
    "fence": "rollback-stop", "recall": "batch-recall", "attempts": "batch", "foreignshared": "foreign-same",
    "onceonly": "late-register-full", "tombstones": "late-register-same", "callepoch": "late-register-reset",
    "resetnames": "late-reset",
    "forward": "rollback", "void": "rollback", "quarantine": "rebuild-stop", "resetwait": "rollback-reset",
    "joinwait": "rollback-stop", "resetgen": "rollback-reset", "epochs": "rollback-reset", "ends": "rollback-withdraw",
    "ownmark": "rollback-same", "keepold": "rollback-same",
    "election": "restart-twice", "begun": "restart-twice", "before": "late-marker", "markercheck": "rebuild",
    "trimgen": "restart",
    "confirmonce": "restart-late", "keptattempts": "rollback", "oldattempts": "rollback-stop",
    "retain": "rebuild-retention", "window": "rebuild-retention",
}  # fmt: skip
# Rules that the others make superfluous within these bounds; kept as a second line of defence.
COVERED = {
    "sweepepoch": "mark: a message never creates a record, so one of a wrong epoch finds none",
    "withdrawgen": "keepold: nothing is withdrawn of an older generation, so nothing is refused",
    "sharedevent": "keepold: a second registration is forgotten only with its generation: then nothing is withdrawn",
    "range": "window and forward: what was deleted lies below the position that the event log knows",
}
# Too long for `make model`: `--long` runs them.
LONG = ("late-register-full", "sweep-rounds", "rebuild-crash")
# Rules that reasoning asked for, and whose absence breaks no mode (README).
UNSHOWN = ("ownmark",)
