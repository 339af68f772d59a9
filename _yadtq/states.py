"""The states of a task and every way from one to the other. docs/states.md is generated from TRANSITIONS."""

from typing import NamedTuple

QUEUED, PROCESSING, SUCCESS, FAILED, REJECTED = "queued", "processing", "success", "failed", "rejected"
STATUSES = (QUEUED, PROCESSING, SUCCESS, FAILED, REJECTED)
FINAL = frozenset({SUCCESS, FAILED, REJECTED})

# What a person reads for a stored status.
SHOWN = {QUEUED: "queued", PROCESSING: "in-progress", SUCCESS: "completed", FAILED: "failed", REJECTED: "rejected"}
STORED = {shown: stored for stored, shown in SHOWN.items()}


class Transition(NamedTuple):
    """One arrow: status before and after ('' does not exist), by which script, its name in events, caused by whom."""

    before: str
    after: str
    script: str
    action: str
    cause: str


TRANSITIONS = (
    Transition("", QUEUED, "register", "register", "a client submits"),
    Transition("", QUEUED, "take", "admit", "a worker reads another producer's message, or ours of a forgotten task"),
    Transition("", REJECTED, "take", "reject", "a worker reads a message that is no task"),
    Transition(QUEUED, "", "withdraw", "withdraw", "a client's submission failed, and it never runs"),
    Transition(QUEUED, PROCESSING, "take", "take", "a worker with a free slot takes it"),
    Transition(PROCESSING, SUCCESS, "settle", "success", "its handler returned"),
    Transition(PROCESSING, FAILED, "settle", "failed", "it raised for the last time, or its process died too often"),
    Transition(PROCESSING, QUEUED, "settle", "retry", "its handler raised; it waits until retry_at"),
    Transition(PROCESSING, QUEUED, "settle", "crash", "its own process died"),
    Transition(PROCESSING, QUEUED, "settle", "release", "its worker stops, or had not begun it"),
    Transition(PROCESSING, QUEUED, "take", "release", "the answer that gave it was never read"),
    Transition(PROCESSING, QUEUED, "confirm", "release", "Redis was restarted, and its worker does not hold it"),
    Transition(PROCESSING, QUEUED, "take", "reclaim", "its worker's lease lapsed"),
    Transition(PROCESSING, FAILED, "take", "failed", "its worker's lease lapsed once too often"),
    Transition(FAILED, QUEUED, "retry", "requeue", "a person retries it"),
    Transition(SUCCESS, "", "tidy", "expire", "its result's life time is over"),
    Transition(FAILED, "", "tidy", "expire", "its result's life time is over"),
    Transition(REJECTED, "", "tidy", "expire", "its result's life time is over"),
)
