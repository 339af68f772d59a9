"""The metrics of a server: their figures, their bounds, and that nothing from outside breaks them."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from _yadtq.metrics import GAUGES, METRICS, NAMES, OTHER, Metrics
from _yadtq.picture import Picture
from tests.support.event_made import event_with
from tests.support.pages import code_words
from tests.support.servers import ROOT
from tests.support.snapshot_made import server_with, snapshot_with, worker_with

FULL = snapshot_with(
    (worker_with(busy=2), worker_with("worker2", "offline")),
    {0: 5, 11: 0},
    (server_with("a", "leading"),),
    waiting_seconds=1.5,
    success=4,
    queued=2,
    ready=1,
    outbox=3,
)


def metrics_of(picture: Picture, leads: bool = True) -> Metrics:
    return Metrics(lambda: (picture, leads), lambda: 12.0)


def figures(metrics: Metrics) -> dict[str, float]:
    """Everything that is shown: name and labels → value."""
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        f"{sample.name}{json.dumps(sample.labels, sort_keys=True) if sample.labels else ''}": sample.value
        for family in families
        for sample in family.samples
    }


def test_the_queue_is_shown_as_it_is() -> None:
    shown = figures(metrics_of(Picture(FULL, 10.0, "", "", 0.25)))
    assert (
        shown
        | {
            'yadtq_tasks{"status": "success"}': 4,
            'yadtq_tasks{"status": "queued"}': 2,
            'yadtq_tasks{"status": "failed"}': 0,
            "yadtq_waiting_seconds": 1.5,
            "yadtq_ready_tasks": 1,
            "yadtq_outbox_events": 3,
            "yadtq_relay_age_seconds": 0.25,
            'yadtq_unread_messages{"partition": "0"}': 5,
            'yadtq_unread_messages{"partition": "11"}': 0,
            'yadtq_workers{"state": "online"}': 1,
            'yadtq_workers{"state": "offline"}': 1,
            "yadtq_slots": 3,
            "yadtq_busy_slots": 2,
            'yadtq_servers{"state": "leading"}': 1,
            "yadtq_leader": 1,
            'yadtq_up{"server": "redis"}': 1,
            "yadtq_picture_age_seconds": 2,
        }
        == shown
    )


def test_what_nobody_knows_is_not_shown() -> None:
    before = figures(metrics_of(Picture(), leads=False))
    away = figures(metrics_of(Picture(FULL, 10.0, "", "Redis does not answer"), leads=False))
    for shown in (before, away):
        assert not {gauge.name for gauge in GAUGES} & {name.partition("{")[0] for name in shown}
        assert shown["yadtq_leader"] == shown['yadtq_up{"server": "redis"}'] == 0
    without_kafka = figures(metrics_of(Picture(snapshot_with(lag=None), 10.0, "Kafka does not answer", "")))
    assert not [name for name in without_kafka if name.startswith("yadtq_unread_messages{")]
    assert without_kafka['yadtq_up{"server": "kafka"}'] == 0


def test_events_are_counted() -> None:
    metrics = metrics_of(Picture())
    run = {"started_at": "10.0", "finished_at": "10.3"}
    tasks = [
        {"action": "success", "id": "a", **run},
        {"action": "failed", "id": "b", **run},
        {"action": "retry", "id": "b", **run},
        {"action": "crash", "id": "c", **run},
        {"action": "reclaim", "id": "d"},
        {"action": "refused", "id": "e", "kind": "success"},
        {"action": "refused", "id": "e", "kind": "garbage"},
        {"action": "reject", "id": "f"},
        {"action": "take", "id": "g"},
    ]
    metrics.count(event_with(*tasks, lapsed={"worker": "w"}), {"a": "add", "b": "div"})
    shown = figures(metrics)
    assert (
        shown
        | {
            'yadtq_task_outcomes_total{"outcome": "success"}': 1,
            'yadtq_task_outcomes_total{"outcome": "failed"}': 1,
            'yadtq_task_outcomes_total{"outcome": "rejected"}': 1,
            'yadtq_redeliveries_total{"reason": "retry"}': 1,
            'yadtq_redeliveries_total{"reason": "crash"}': 1,
            'yadtq_redeliveries_total{"reason": "reclaim"}': 1,
            'yadtq_redeliveries_total{"reason": "release"}': 0,
            'yadtq_fenced_writes_total{"kind": "success"}': 1,
            'yadtq_fenced_writes_total{"kind": "other"}': 1,
            "yadtq_worker_failures_total": 1,
            'yadtq_task_run_seconds_count{"task": "add"}': 1,
            'yadtq_task_run_seconds_count{"task": "div"}': 2,
            'yadtq_task_run_seconds_bucket{"le": "0.1", "task": "add"}': 0,
            'yadtq_task_run_seconds_bucket{"le": "0.5", "task": "add"}': 1,
        }
        == shown
    )


def test_a_bounded_number_of_names_is_told_apart() -> None:
    metrics = metrics_of(Picture())
    for number in range(NAMES + 50):
        entry = {"action": "success", "id": "a", "started_at": "1", "finished_at": "2"}
        metrics.count(event_with(entry), {"a": f"task{number}"})
    counts = {
        name: value for name, value in figures(metrics).items() if name.startswith("yadtq_task_run_seconds_count")
    }
    assert len(counts) == NAMES + 1
    assert counts[f'yadtq_task_run_seconds_count{{"task": "{OTHER}"}}'] == 50


@given(st.text())
def test_whatever_a_task_is_called_the_page_can_be_read(name: str) -> None:
    metrics = metrics_of(Picture(FULL, 10.0, "", ""))
    entry = {"action": "failed", "id": "a", "started_at": "1", "finished_at": "2", "error": name}
    metrics.count(event_with(entry), {"a": name})
    text = metrics.text().decode()
    assert all(line.isprintable() for line in text.split("\n"))
    assert figures(metrics)['yadtq_task_outcomes_total{"outcome": "failed"}'] == 1


def test_every_metric_is_shown_and_described() -> None:
    metrics = metrics_of(Picture(FULL, 10.0, "", ""))
    metrics.count(event_with({"action": "success", "id": "a", "started_at": "1", "finished_at": "2"}), {"a": "add"})
    shown = set(re.findall(r"^# TYPE (\w+) ", metrics.text().decode(), re.MULTILINE))
    assert shown == {metric.name for metric in METRICS}
    page = (ROOT / "docs" / "server.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(yadtq_\w+)` \| ([^|]*) \|", page, re.MULTILINE))
    assert rows == {m.name: ", ".join(f"`{label}`" for label in m.labels) or "–" for m in METRICS}
    assert {metric.name for metric in METRICS} <= code_words("docs/server.md")
