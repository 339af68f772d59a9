"""What a server knows of the queue and of both servers under it, at one instant."""

from dataclasses import dataclass

from _yadtq.snapshots import Snapshot


@dataclass(frozen=True, slots=True)
class Picture:
    """snapshot: the last one that could be had. taken_at: when, in monotonic seconds; 0.0: never.

    kafka, redis: '' when it answers, else one line. relay_age: seconds for which the oldest event has waited for Kafka.
    """

    snapshot: Snapshot | None = None
    taken_at: float = 0.0
    kafka: str = "Kafka was not asked yet"
    redis: str = "Redis was not asked yet"
    relay_age: float = 0.0
