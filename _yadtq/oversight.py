"""The queue in Redis, for the programs that look after it: each of their scripts as a method."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from _yadtq.settings import Settings

SWEEP_STEP = 100  # claims that one call looks at
STATUSES_STEP = 500  # tasks that one call looks up


@dataclass(frozen=True, slots=True)
class Overview:
    """What `overview` answers. now: milliseconds. waiting_since: milliseconds, None when no task waits for its start.

    ended: how many succeeded and failed in each span, the oldest first. relay, leader: '' nobody. servers: id → JSON.
    failures: JSON, the newest first.
    """

    now: int
    quarantine: bool
    waiting_since: int | None
    ended: tuple[tuple[int, int], ...]
    relay: str
    leader: str
    servers: dict[str, str]
    failures: tuple[str, ...]


class Oversight:
    """A part of Store."""

    settings: Settings
    call: Callable[..., list[Any]]

    def overview(self, span_ms: int, spans: int, failures: int) -> Overview:
        """What does not stand in stats and workers: see the script."""
        _, now, mode, since, ended, relay, leader, servers, lost = self.call("overview", span_ms, spans, failures)
        return Overview(
            now=int(now),
            quarantine=mode == "quarantine",
            waiting_since=int(since) if since else None,
            ended=tuple(zip(map(int, ended[::2]), map(int, ended[1::2]), strict=True)),
            relay=relay,
            leader=leader,
            servers=dict(zip(servers[::2], servers[1::2], strict=True)),
            failures=tuple(lost),
        )

    def match(
        self, status: str, task: str, worker: str, prefix: str, first: int, places: int, most: int
    ) -> tuple[list[str], int, bool]:
        """Ids that match among so many places of a list, newest first. status, task, worker, prefix: '' for all.

        Returns them, at most `most`, how many places were looked at, and whether there are more behind those.
        """
        _, looked, more, *ids = self.call("match", status, task, worker, prefix, first, places, most)
        return ids, int(looked), bool(more)

    def statuses(self, ids: Sequence[str]) -> list[str]:
        """The stored status of each task, '' of one that nobody has."""
        found: list[str] = []
        for start in range(0, len(ids), STATUSES_STEP):
            found += self.call("statuses", *ids[start : start + STATUSES_STEP])[1:]
        return found

    def coordinate(self, server: str, lease_ms: int, about: str, relay: str) -> tuple[bool, bool]:
        """A server's heartbeat; the leader's also looks for lost workers. about: JSON of what does not change.

        relay: lease of the relay in ms, '' when it is not wanted. Returns whether it leads and whether it is the relay.
        """
        reply = self.call("coordinate", server, lease_ms, about, relay, *self._sweeping())
        return bool(reply[1]), bool(reply[2])

    def resign(self, server: str) -> None:
        """A server ends: it gives up the lead and the relay."""
        self.call("resign", server)

    def bury(self, worker: str, request: str, reason: str) -> str:
        """One step of ending an incarnation of which no process is left. request: names it, for repeated calls.

        Returns buried · more (call again) · waits (Redis was restarted; its tasks go back later) · absent (no lease).
        """
        return str(self.call("bury", worker, request, reason, *self._sweeping())[1])

    def unfinished(self, behind: str, count: int, instant: int) -> tuple[str, str]:
        """One step of looking for the oldest task that has not ended and was submitted before an instant (ms).

        behind: order to go on behind, '' at first. Returns found and when it was submitted (ms) · none and '' ·
        more and the order to go on behind.
        """
        _, word, *value = self.call("unfinished", behind, count, instant)
        return str(word), str(value[0]) if value else ""

    def bookmark(self, instant: int, spacing: int) -> dict[int, int]:
        """Notes where the queue reads, every `spacing` ms; returns where it read at an instant (ms) or earlier.

        Partition → offset: the message of what was submitted from the instant on lies there or behind. {}: not known.
        """
        flat = self.call("bookmark", instant, spacing)[1]
        return {int(p): int(o) for p, o in zip(flat[::2], flat[1::2], strict=True)}

    def _sweeping(self) -> tuple[int, int, int]:
        return round(self.settings.worker_timeout * 1000), self.settings.task_max_crashes, SWEEP_STEP
