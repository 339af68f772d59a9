"""What must be true when a schedule has come to rest (DESIGN §4): the event log, the records and what was seen agree.

Where Redis came back without something that Kafka did not know either, just that is forgiven (DESIGN §1).
"""

import json
from typing import TYPE_CHECKING, Any

from _yadtq.states import FINAL
from tests.simulation.lives import Event, Lives
from tests.simulation.observer import ACKNOWLEDGED, REFUSED, UNWRITTEN, Run, Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

INDEXES = {
    "registered": "queued", "ready": "queued", "delayed": "queued", "processing": "processing", "success": "success",
    "failed": "failed", "rejected": "rejected",
}  # fmt: skip
OPEN = """local epoch, open = redis.call('HGET', KEYS[1] .. 'meta', 'epoch'), {}
if not epoch then return {} end
local E = KEYS[1] .. epoch .. ':'
for _, name in ipairs({'registered', 'delayed', 'processing'}) do
  open[#open + 1] = name .. ' ' .. redis.call('ZCARD', E .. name)
end
open[#open + 1] = 'ready ' .. redis.call('LLEN', E .. 'ready')
open[#open + 1] = 'outbox ' .. redis.call('XLEN', KEYS[1] .. 'events')
open[#open + 1] = 'unconfirmed ' .. redis.call('SCARD', KEYS[1] .. 'unconfirmed')
return open"""


def unfinished(world: "World") -> str:
    """What is still to be done, '' when nothing is."""
    server, redis = world.redis.server, world.redis
    found: list[str] = server.link("EVALSHA", server.script(OPEN), 1, redis.key(""))
    if not found:
        return "no queue"
    if redis.get("run") != redis.run_id:
        return "Redis is not led back"
    unread = [
        f"unread {number}" for number, end in world.kafka.ends().items()
        if end > int(server.link("HGET", redis.key("positions"), number) or 0)
    ]  # fmt: skip
    return ", ".join([each for each in found if not each.endswith(" 0")] + unread)


def judge(world: "World") -> None:
    """Raises Violation."""
    epoch = world.redis.get("epoch")
    events = event_log(world)
    gaps = len(events) < int(world.redis.get("seq"))
    lives = Lives(events, gaps)
    records = stored(world, epoch)
    told = {task_id: status for (e, task_id), status in lives.status.items() if e == epoch and status}
    kept = {task_id: record["status"] for task_id, record in records.items()}
    if told != kept:
        raise Violation(f"the event log tells of {told}, Redis of {kept}")
    check_runs(world, lives)
    if not gaps:
        check_histories(world, lives, records, epoch)
    check_submissions(world, lives, epoch)
    check_resets(world, lives)


# -- the event log and the records


def event_log(world: "World") -> list[Event]:
    """The events that count, in order. Raises Violation where one is missing or two have one number."""
    events: dict[int, Event] = {}
    lives = 0  # the oldest generation whose events count from here on
    for record in world.kafka.events:
        event = json.loads(record.value)
        if event.get("action") == "generation":
            lives = max(lives, event["before"] + 1)
            continue
        if event["generation"] < lives:
            continue  # void
        lives = generation = event.pop("generation")
        if record.key != f"{generation}-{event['seq']}".encode():
            raise Violation(f"an event with the number {event['seq']} has the key {record.key!r}")
        if events.setdefault(event["seq"], event) != event:
            raise Violation(f"two events have the number {event['seq']}: {events[event['seq']]} and {event}")
    last = int(world.redis.get("seq"))
    missing = set(range(1, last + 1)) - events.keys() - (world.observer.forgotten or set())
    if missing or max(events, default=0) > last:
        raise Violation(f"the event log lacks {sorted(missing)} of {last} events, and has {max(events, default=0)}")
    return [events[seq] for seq in sorted(events)]


def stored(world: "World", epoch: str) -> dict[str, dict[str, str]]:
    """The records of the epoch. Raises Violation where an index and a record do not agree."""
    link, key = world.redis.server.link, world.redis.key
    records: dict[str, dict[str, str]] = {}
    for name, status in INDEXES.items():
        index = key(f"{epoch}:{name}")
        for task_id in link("LRANGE", index, 0, -1) if name == "ready" else link("ZRANGE", index, 0, -1):
            flat = link("HGETALL", key(f"{epoch}:task:{task_id}"))
            if task_id in records:
                raise Violation(f"task {task_id} is in two indexes")
            records[task_id] = dict(zip(flat[::2], flat[1::2], strict=True))
            if records[task_id].get("status") != status:
                raise Violation(f"task {task_id} is in {name}, and its record says {records[task_id]}")
    everything = set(link("ZRANGE", key(f"{epoch}:all"), 0, -1))
    if everything != records.keys():
        raise Violation(f"the index of all has {everything}, the others {records.keys()}")
    return records


# -- what was seen


def check_runs(world: "World", lives: Lives) -> None:
    """No attempt starts twice; nothing is taken from a worker to which nothing has happened."""
    seen: dict[tuple[Any, ...], Run] = {}
    for run in world.observer.runs:
        life = lives.of_claim.get((run.task_id, run.token))
        if life is None and world.observer.forgotten is None:
            raise Violation(f"task {run.task_id} ran under the claim {run.token}, of which no event tells")
        if life is None:
            continue
        if (*life, run.attempt) in seen:
            raise Violation(f"attempt {run.attempt} of task {run.task_id} started twice")
        seen[(*life, run.attempt)] = run
    disturbed = {process.name for process in world.processes if process.disturbed}
    for worker, task_id in lives.reclaimed:
        if worker.rpartition("~")[0] not in disturbed:
            raise Violation(f"task {task_id} was taken from {worker}, to which nothing had happened")


def check_histories(world: "World", lives: Lives, records: dict[str, dict[str, str]], epoch: str) -> None:
    """Each start of which an event tells is told by the record too."""
    for run in world.observer.runs:
        record, life = records.get(run.task_id), lives.of_claim.get((run.task_id, run.token))
        if record is None or life is None or life != (epoch, run.task_id, lives.numbers[(epoch, run.task_id)]):
            continue
        told = {int(entry["n"]) for entry in json.loads(record.get("history", "[]"))} | {int(record.get("attempt", 0))}
        if run.attempt not in told:
            raise Violation(f"task {run.task_id} started as attempt {run.attempt}; its record tells of {sorted(told)}")


def check_submissions(world: "World", lives: Lives, epoch: str) -> None:
    """Acknowledged: it has an outcome, or was reset. Refused: it never ran. Nothing else ran."""
    observer = world.observer
    ran = {run.task_id for run in observer.runs}
    # One that was not answered, and whose event was lost, holds when what came after it is known.
    held = [token for token in observer.resets if token in lives.resets or observer.began_by[token] <= int(epoch)]
    last_reset = max((observer.resets[token] for token in held), default=0)
    words: dict[str, set[str]] = {}
    for row in observer.submissions:
        words.setdefault(row.task_id, set()).add(row.word)
        key = (epoch, row.task_id)
        owed = row.word == ACKNOWLEDGED and observer.registered.get(row.name, 0) > last_reset
        if owed and lives.status.get(key, "") not in FINAL and not (key in lives.ended and lives.status[key] == ""):
            raise Violation(f"task {row.task_id} was acknowledged, and is {lives.status.get(key) or 'gone'}")
        if row.word == UNWRITTEN and row.name in lives.registered:
            raise Violation(f"task {row.task_id} was registered, and its client was told of no task")
        if row.word == REFUSED and observer.forgotten is not None and row.name not in lives.withdrawn:
            words[row.task_id].add("forgiven")
    for task_id, told in words.items():
        if told == {REFUSED} and task_id in ran and task_id not in observer.foreign:
            raise Violation(f"task {task_id} was refused, and ran")
    for task_id in sorted(observer.foreign):
        if not observer.resets and (epoch, task_id) not in lives.ended:
            raise Violation(f"the message of task {task_id} is in Kafka, and nothing came of it")
    unexpected = ran - words.keys() - observer.foreign
    if unexpected:
        raise Violation(f"{unexpected} ran, and nobody had submitted it")


def check_resets(world: "World", lives: Lives) -> None:
    """What was reset stays away, and a reset that was answered is never forgotten."""
    observer = world.observer
    lost = observer.promised - {reset["request"] for reset in lives.resets.values()}
    if lost:
        raise Violation(f"the reset {lost} was done, and no event tells of it")
    for mark, before in lives.remade:
        if any(observer.resets.get(token, 0) > observer.marks[mark] for token in before):
            raise Violation(f"the task registered as {mark} was reset, and is there again")
