"""What a server shows of the queue at /metrics, by prometheus_client: the queue as it is, and what its events count."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import prometheus_client
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from _yadtq.chronicle import losses_of, run_seconds
from _yadtq.events import Event
from _yadtq.log import visible
from _yadtq.picture import Picture
from _yadtq.snapshots import Snapshot
from _yadtq.task_names import RUNS

NAMES, OTHER = 200, "other"  # names of tasks that are told apart, and what stands for all further ones
NAME_LIMIT = 100  # characters
BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0, 1800.0, 7200.0)  # seconds
OUTCOMES = {"success": "success", "failed": "failed", "reject": "rejected"}  # action → status
REDELIVERIES = ("reclaim", "crash", "release", "retry")  # actions that put a task back
REFUSED = ("success", "failed", "retry", "crash", "release")  # kinds of outcomes

Values = Mapping[tuple[str, ...], float]  # label values → value


@dataclass(frozen=True, slots=True)
class Metric:
    """name: as it is shown; counters and histograms get their endings from prometheus_client."""

    name: str
    labels: tuple[str, ...]
    help: str


# fmt: off
GAUGES = (  # of the queue as it is; absent while Redis does not answer
    Metric("yadtq_tasks", ("status",), "tasks by stored status"),
    Metric("yadtq_waiting_seconds", (), "age of the task that waits longest for its first start; 0: none waits"),
    Metric("yadtq_ready_tasks", (), "tasks that the next free slot gets"),
    Metric("yadtq_delayed_tasks", (), "tasks that wait for the instant of their next attempt"),
    Metric("yadtq_outbox_events", (), "events in Redis that Kafka does not have yet"),
    Metric("yadtq_relay_age_seconds", (), "age of the oldest event that Kafka does not have yet; 0: it has all"),
    Metric("yadtq_unread_messages", ("partition",),
           "messages of the task topic that no worker has read; absent while Kafka does not answer"),
    Metric("yadtq_workers", ("state",), "workers heard of in the last day, by state"),
    Metric("yadtq_slots", (), "tasks that all living workers can run at once"),
    Metric("yadtq_busy_slots", (), "tasks that they run"),
    Metric("yadtq_servers", ("state",), "servers by state"),
    Metric("yadtq_quarantine", (), "1: Redis was restarted, and not all workers have said what they hold; else 0"),
    Metric("yadtq_epoch", (), "resets so far"),
)
OWN_GAUGES = (  # always there
    Metric("yadtq_leader", (), "1: this server leads; else 0"),
    Metric("yadtq_up", ("server",), "1: the server (kafka, redis) answers; else 0"),
    Metric("yadtq_picture_age_seconds", (), "age of what is shown of the queue"),
)
COUNTERS = (  # of the events that this server has read while it led, since its start
    Metric("yadtq_task_outcomes_total", ("outcome",), "tasks that have ended, by status"),
    Metric("yadtq_redeliveries_total", ("reason",), "tasks that were put back, by what ended their attempt"),
    Metric("yadtq_fenced_writes_total", ("kind",), "outcomes that came too late and were refused, by their kind"),
    Metric("yadtq_worker_failures_total", (), "workers that were lost with their lease"),
)
HISTOGRAM = Metric("yadtq_task_run_seconds", ("task",), "run time of attempts whose handler ended, by name of the task")
# fmt: on
METRICS = (*GAUGES, *OWN_GAUGES, *COUNTERS, HISTOGRAM)

# A second series beside each counter, of no use with this text format.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types


class Metrics:
    """The registry. show: the picture of the queue, and whether this server leads. now: monotonic seconds."""

    def __init__(self, show: Callable[[], tuple[Picture, bool]], now: Callable[[], float]) -> None:
        self._registry = prometheus_client.CollectorRegistry()
        self._counters = {
            m.name: prometheus_client.Counter(m.name, m.help, m.labels, registry=self._registry) for m in COUNTERS
        }
        self._run_seconds = prometheus_client.Histogram(
            HISTOGRAM.name, HISTOGRAM.help, HISTOGRAM.labels, buckets=BUCKETS, registry=self._registry
        )
        self._names: set[str] = set()
        self._registry.register(_Gauges(show, now))
        for name, words in (
            ("yadtq_task_outcomes_total", OUTCOMES.values()),
            ("yadtq_redeliveries_total", REDELIVERIES),
            ("yadtq_fenced_writes_total", REFUSED),
        ):
            for word in words:  # known beforehand: they begin at 0, so that the first one is a rise
                self._counters[name].labels(word)

    def count(self, event: Event, names: Mapping[str, str]) -> None:
        """An event was read. names: task id → name of the task."""
        for entry in event.tasks:
            action, task_id = str(entry.get("action", "")), str(entry.get("id", ""))
            if action in OUTCOMES:
                self._counters["yadtq_task_outcomes_total"].labels(OUTCOMES[action]).inc()
            if action in REDELIVERIES:
                self._counters["yadtq_redeliveries_total"].labels(action).inc()
            if action == "refused":
                kind = str(entry.get("kind", ""))
                self._counters["yadtq_fenced_writes_total"].labels(kind if kind in REFUSED else OTHER).inc()
            seconds = run_seconds(entry)
            if action in RUNS and seconds is not None:
                self._run_seconds.labels(self._name(names.get(task_id, ""))).observe(seconds)
        self._counters["yadtq_worker_failures_total"].inc(len(losses_of(event)))

    def text(self) -> bytes:
        """All of them in the text format of Prometheus. Thread-safe."""
        return prometheus_client.generate_latest(self._registry)

    def _name(self, name: str) -> str:
        """The label of a task's name: printable, and one of a bounded number."""
        shown = visible(name, NAME_LIMIT) or OTHER
        if shown not in self._names and len(self._names) >= NAMES:
            return OTHER
        self._names.add(shown)
        return shown


class _Gauges(Collector):
    """Asked by the registry for what is true now."""

    def __init__(self, show: Callable[[], tuple[Picture, bool]], now: Callable[[], float]) -> None:
        self._show, self._now = show, now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        picture, leads = self._show()
        values = own_values(picture, leads, self._now())
        if picture.snapshot is not None and not picture.redis:
            values |= queue_values(picture.snapshot, picture.relay_age)
        for metric in (*GAUGES, *OWN_GAUGES):
            if metric.name in values:
                family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
                for labels, value in values[metric.name].items():
                    family.add_metric(labels, value)
                yield family


def own_values(picture: Picture, leads: bool, now: float) -> dict[str, Values]:
    """What is known whether the servers answer or not, by the name of the metric."""
    values: dict[str, Values] = {
        "yadtq_leader": {(): float(leads)},
        "yadtq_up": {("kafka",): float(not picture.kafka), ("redis",): float(not picture.redis)},
    }
    if picture.snapshot is not None:
        values["yadtq_picture_age_seconds"] = {(): now - picture.taken_at}
    return values


def queue_values(snapshot: Snapshot, relay_age: float) -> dict[str, Values]:
    """What is true of the queue, by the name of the metric."""
    stats = snapshot.stats
    workers = Counter({"online": 0, "draining": 0, "offline": 0})
    workers.update(worker.state for worker in snapshot.workers)
    servers = Counter({"leading": 0, "standby": 0, "offline": 0})
    servers.update(server.state for server in snapshot.servers)
    return {
        "yadtq_tasks": {(status,): count for status, count in stats.counts.items()},
        "yadtq_waiting_seconds": {(): snapshot.waiting_seconds},
        "yadtq_ready_tasks": {(): stats.ready},
        "yadtq_delayed_tasks": {(): stats.delayed},
        "yadtq_outbox_events": {(): stats.outbox},
        "yadtq_relay_age_seconds": {(): relay_age},
        "yadtq_unread_messages": {(str(p),): count for p, count in sorted((snapshot.lag or {}).items())},
        "yadtq_workers": {(state,): count for state, count in workers.items()},
        "yadtq_slots": {(): stats.slots},
        "yadtq_busy_slots": {(): stats.busy},
        "yadtq_servers": {(state,): count for state, count in servers.items()},
        "yadtq_quarantine": {(): float(snapshot.quarantine)},
        "yadtq_epoch": {(): stats.epoch},
    }
