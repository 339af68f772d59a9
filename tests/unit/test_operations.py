"""What Operator makes of what the servers say: a slow Kafka, pages that end in time, entries that nobody can read."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from _yadtq import operations
from _yadtq.errors import ServerUnreachable
from _yadtq.oversight import Overview
from _yadtq.records import Health
from yadtq import Casualty, Operator, Server, Settings, Span, TaskClient, UsageError, WorkerFailure

AWAY = ServerUnreachable("kafka", "Kafka does not answer at k:1: start it or set KAFKA_BROKER")
STATS = ["ok", "2", "7", "1", "2", "3", "4", "5", "6", "0", "8", ["0", "10", "1", "20"]]


class FakeServers:
    """Kafka, Redis and what leads it back, in one. tasks: id → record, in the order of the list."""

    def __init__(self) -> None:
        self.ends_of: Callable[[], dict[int, int]] = lambda: {0: 15, 1: 20, 2: 3}
        self.asked = self.closed = 0
        self.settings = Settings.load({})
        self.overviewed = Overview(100_000, False, None, (), "", "", {}, ())
        self.tasks: dict[str, dict[str, str]] = {}
        self.calls: list[tuple[Any, ...]] = []
        self.words: list[str] = []
        self.tick: Callable[[], None] = lambda: None

    def opened(self, call: Callable[[], Any]) -> Any:
        return call()

    def close(self) -> None:
        self.closed += 1

    def ends(self) -> dict[int, int]:
        self.asked += 1
        return self.ends_of()

    def problem(self) -> str:
        return "away"

    def overview(self, span_ms: int, spans: int, failures: int) -> Overview:
        self.calls.append((span_ms, spans, failures))
        return self.overviewed

    def workers(self) -> list[tuple[str, bool, dict[str, str]]]:
        return [("w~1", True, {"state": "online", "slots": "4"})]

    def stats(self) -> list[Any]:
        return STATS

    def statuses(self, ids: Sequence[str]) -> list[str]:
        return [self.tasks.get(each, {}).get("status", "") for each in ids]

    def records(self, ids: Sequence[str]) -> list[dict[str, str]]:
        return [self.tasks.get(each, {}) for each in ids]

    def match(self, *given: Any) -> tuple[list[str], int, bool]:
        """Only by prefix. Looks at two places a call."""
        *_, prefix, first, _, most = given
        places = list(self.tasks)[first : first + 2]
        self.tick()
        return [each for each in places if each.startswith(prefix)][:most], len(places), first + 2 < len(self.tasks)

    def bury(self, *given: str) -> str:
        self.calls.append(given)
        return self.words.pop(0)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeServers:
    made = FakeServers()
    monkeypatch.setattr(operations, "servers", lambda _: (made, made))
    monkeypatch.setattr(operations, "recovery", lambda *_: made)
    return made


@pytest.fixture
def operator(fake: FakeServers) -> Iterator[Operator]:
    with Operator(Settings.load({}, kafka_broker="k:1")) as opened:
        yield opened


# -- the picture


def test_a_snapshot_puts_everything_together(fake: FakeServers, operator: Operator) -> None:
    fake.overviewed = Overview(100_000, True, 97_500, ((1, 2), (3, 4)), "w~1", "s1", {}, ())
    seen = operator.snapshot(spans=2, failures=5)
    assert fake.calls == [(1_800_000, 2, 5)]
    assert (seen.at, seen.waiting_seconds, seen.quarantine, seen.relay) == (100.0, 2.5, True, "w~1")
    assert seen.spans == (Span(-3500.0, -1700.0, 1, 2), Span(-1700.0, 100.0, 3, 4))
    assert (seen.lag, seen.stats.unread, seen.health) == ({0: 5, 1: 0, 2: 3}, 8, Health())
    assert (seen.stats.counts["queued"], seen.stats.workers, seen.stats.slots) == (6, 1, 4)
    assert [worker.id for worker in seen.workers] == ["w~1"]


def test_kafka_being_away_is_said_and_raises_nothing(fake: FakeServers, operator: Operator) -> None:
    def away() -> dict[int, int]:
        raise AWAY

    fake.ends_of = away
    for _ in range(2):
        seen = operator.snapshot()
        assert (seen.lag, seen.stats.unread, seen.health.kafka) == (None, None, str(AWAY))
    fake.ends_of = lambda: {0: 15}
    seen = operator.snapshot()
    assert (seen.lag, seen.health.kafka) == ({0: 5}, "")


def test_nobody_waits_for_a_kafka_that_is_silent(
    fake: FakeServers, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "KAFKA_SECONDS", 0.01)
    answer = threading.Event()

    def late() -> dict[int, int]:
        answer.wait(20)
        return {0: 12}

    fake.ends_of = late
    for _ in range(3):
        seen = operator.snapshot()
        assert seen.lag is None
        assert seen.health.kafka == "Kafka does not answer at k:1: start it or set KAFKA_BROKER"
    assert fake.asked == 1  # one thread waits, however many look
    monkeypatch.setattr(operations, "KAFKA_SECONDS", 20.0)
    answer.set()
    assert operator.snapshot().lag == {0: 2}


def test_redis_being_away_is_raised(fake: FakeServers, operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(call: Callable[[], Any]) -> Any:
        raise ServerUnreachable("redis", "Redis does not answer")

    monkeypatch.setattr(fake, "opened", away)
    for call in (operator.snapshot, operator.page, operator.failures, lambda: operator.bury("w~1", "killed")):
        with pytest.raises(ServerUnreachable, match="Redis"):
            call()


def test_servers_are_told_from_what_they_said_last(fake: FakeServers, operator: Operator) -> None:
    def said(state: str, seen: float) -> str:
        about = '"about":"{\\"host\\":\\"h\\",\\"process\\":7}"'
        return f'{{"state":"{state}","last_seen":"{seen:.3f}","started_at":"50.000","lease":6000,{about}}}'

    fake.overviewed = Overview(
        100_000, False, None, (), "", "s1",
        {"s4": said("offline", 99), "s3": said("leading", 93.9), "s2": said("standby", 98), "s1": said("leading", 95),
         "s5": said("leading", 97), "s6": "["}, (),
    )  # fmt: skip
    servers = operator.snapshot().servers
    assert servers[0] == Server("s1", "leading", 95.0, 50.0, "h", 7)
    assert [(server.id, server.state) for server in servers] == [
        ("s1", "leading"), ("s4", "offline"), ("s2", "standby"), ("s5", "standby"), ("s3", "offline"),
        ("s6", "offline"),
    ]  # fmt: skip


def test_failures_tell_what_became_of_the_tasks(fake: FakeServers, operator: Operator) -> None:
    fake.tasks = {"a": {"status": "success"}}
    entry = (
        '{"worker":"w~x~1","host":"h","last_seen":"90.5","at":"95.000","reason":"ended: killed","count":30,'
        '"tasks":[["a",true],["b",false]]}'
    )
    fake.overviewed = Overview(100_000, False, None, (), "", "", {}, (entry, "[", '{"tasks":[1,["a"]],"at":"x"}'))
    first, *strange = operator.failures(3)
    assert first == WorkerFailure(
        "w~x~1", "w~x", "h", 90.5, 95.0, "ended: killed", 30, (Casualty("a", True, "success"), Casualty("b", False, ""))
    )
    assert strange == [WorkerFailure("", "", "", 0.0, 0.0, "", 0, ())] * 2
    assert operator.snapshot().failures[0] == first


# -- pages


def record(task: str = "add") -> dict[str, str]:
    return {"status": "success", "task": task, "worker_id": "w"}


def test_pages_join(fake: FakeServers, operator: Operator) -> None:
    fake.tasks = {f"{'ab'[n % 2]}{n}": record() for n in range(9)}
    first = operator.page(prefix="b", count=3)
    assert [task.id for task in first.tasks] == ["b1", "b3", "b5"]
    assert first.complete
    assert first.next is not None
    second = operator.page(prefix="b", first=first.next, count=3)
    assert ([task.id for task in second.tasks], second.next, second.complete) == (["b7"], None, True)
    assert first.looked_at + second.looked_at == 9


def test_a_page_ends_in_time(fake: FakeServers, operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def tick() -> None:
        clock[0] += 0.1

    fake.tasks, fake.tick = {f"a{n}": record() for n in range(20)}, tick
    page = operator.page(prefix="b", seconds=0.35)
    assert (page.tasks, page.next, page.looked_at, page.complete) == ((), 8, 8, False)


def test_the_task_whose_whole_id_was_given_comes_first(fake: FakeServers, operator: Operator) -> None:
    fake.tasks = {"abc": record(), "x": record(), "abd": record(), "ab": record("mul"), "abe": record()}
    page = operator.page(prefix="ab")  # it does not look for long at what else may match
    assert ([task.id for task in page.tasks], page.next, page.complete) == (["ab", "abc"], 2, False)
    assert [task.id for task in operator.page(prefix="ab", count=1).tasks] == ["ab"]
    assert [task.id for task in operator.page(prefix="ab", first=2).tasks] == ["abd", "abe"]
    for given in ({"task": "add"}, {"status": "failed"}, {"worker": "v"}):
        assert "ab" not in [task.id for task in operator.page(prefix="ab", **given).tasks]  # type: ignore[arg-type]  # names


def test_a_task_that_went_meanwhile_is_not_shown(fake: FakeServers, operator: Operator) -> None:
    fake.tasks = {"a": record(), "b": {}}
    assert [task.id for task in operator.page().tasks] == ["a"]


def test_an_unknown_status_is_refused(operator: Operator) -> None:
    with pytest.raises(UsageError, match="'done' is no status"):
        operator.page(status="done")


# -- the rest


def test_a_burial_is_called_until_it_is_done(fake: FakeServers, operator: Operator) -> None:
    for words, expected in (
        (["more", "more", "buried"], True),
        (["waits"], True),
        (["absent"], False),
        (["more", "absent"], True),
    ):
        fake.words, fake.calls = list(words), []
        assert operator.bury("w~1", "killed by SIGKILL" + "!" * 1000) is expected
        assert len(set(fake.calls)) == 1  # the same call, by its name
        assert len(fake.calls) == len(words)
        assert len(fake.calls[0][2]) <= 300
    assert operator.health() == Health("away", "away")


def test_its_client_uses_the_same_connections(fake: FakeServers, operator: Operator) -> None:
    assert isinstance(operator.client, TaskClient)
    assert operator.client is operator.client
    fake.closed = 0
    operator.close()
    assert fake.closed >= 1
