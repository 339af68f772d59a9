"""The names in Redis and Kafka. docs/protocol.md lists them all."""

from dataclasses import dataclass

PROTOCOL = 1

# Everything of one queue since its last reset: '{namespace}:<epoch>:' + name.
EPOCH_KEYS = (
    "all",
    "registered",
    "ready",
    "delayed",
    "processing",
    "success",
    "failed",
    "rejected",
    "load",
    "forgotten",
    "task:<id>",
)
# Everything of one queue: '{namespace}:' + name.
QUEUE_KEYS = (
    "meta", "events", "positions", "floors", "leases", "workers", "worker:<incarnation>", "idle", "old", "joining",
    "unconfirmed", "generations", "failures", "lost", "servers", "bookmarks", "reread",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of one namespace."""

    namespace: str

    @property
    def prefix(self) -> str:
        return f"{{{self.namespace}}}:"

    @property
    def meta(self) -> str:
        return f"{self.prefix}meta"

    @property
    def events(self) -> str:
        return f"{self.prefix}events"

    @property
    def positions(self) -> str:
        return f"{self.prefix}positions"

    def ids(self, epoch: str) -> str:
        return f"{self.prefix}{epoch}:all"

    def wake(self, incarnation: str) -> str:
        return f"{self.prefix}wake:{incarnation}"

    def ended(self, client: str) -> str:
        return f"{self.prefix}ended:{client}"

    @property
    def tasks_topic(self) -> str:
        return f"{self.namespace}_tasks"

    @property
    def events_topic(self) -> str:
        return f"{self.namespace}_events"

    @property
    def group(self) -> str:
        return f"{self.namespace}_workers"
