"""The relay's thread: which failures make a process unfit for it, and that none of its duties holds another one up."""

import io
from typing import Any, cast

import pytest

from _yadtq import relay as relay_module
from _yadtq.bell import Bell
from _yadtq.errors import ServerUnreachable
from _yadtq.log import Log
from _yadtq.outbox import Outbox
from _yadtq.recovery import Recovery
from _yadtq.relay import UNFIT_AFTER_SECONDS, Relay
from _yadtq.retention import Retention
from _yadtq.sweeper import Sweeper
from tests.support.waiting import eventually

DOWN = ServerUnreachable("kafka", "Kafka does not answer")


class Duties:
    """All that a relay does. failing: what does not work. Each round takes two seconds of its own clock."""

    def __init__(self, *failing: str) -> None:
        self.failing, self.now = set(failing), 0.0
        self.done: dict[str, int] = dict.fromkeys(("forward", "tidy", "sweep", "look"), 0)
        self.printed = io.StringIO()

    def monotonic(self) -> float:
        return self.now

    def _do(self, name: str) -> None:
        self.done[name] += 1
        if name in self.failing:
            raise DOWN

    is_waiting = False

    def forward(self, wait_seconds: float, bell: Bell) -> int:
        self.now += 2.0
        self._do("forward")
        return 0

    def tidy(self) -> bool:
        self._do("tidy")
        return False

    def sweep(self) -> int:
        self._do("sweep")
        return 0

    def is_due(self, now: float) -> bool:
        return True

    def look(self) -> bool:
        self._do("look")
        return True

    def relay(self, monkeypatch: pytest.MonkeyPatch) -> Relay:
        monkeypatch.setattr(relay_module, "SystemClock", lambda: self)
        monkeypatch.setattr(relay_module, "WAIT_SECONDS", 0.001)
        given: Any = self
        return Relay(
            cast(Outbox, given), cast(Sweeper, given), cast(Retention, given), cast(Recovery, given),
            Log(stream=self.printed),
        )  # fmt: skip


def ran(relay: Relay, duties: Duties, rounds: int = 20) -> None:
    """Lets it work for so many rounds."""
    relay.hold(True)
    relay.start()
    eventually(lambda: duties.done["forward"] >= rounds, 10, "its rounds")
    relay.stop(5)


def test_who_cannot_send_is_unfit_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even though the house is kept: another process may reach Kafka."""
    duties = Duties("forward")
    relay = duties.relay(monkeypatch)
    assert relay.is_fit()
    ran(relay, duties)
    assert duties.now > UNFIT_AFTER_SECONDS
    assert not relay.is_fit()
    assert duties.done["tidy"] > 0


@pytest.mark.parametrize("duty", ["tidy", "sweep", "look"])
def test_who_can_send_stays_fit_whatever_else_fails(monkeypatch: pytest.MonkeyPatch, duty: str) -> None:
    duties = Duties(duty)
    relay = duties.relay(monkeypatch)
    ran(relay, duties)
    assert relay.is_fit()
    assert min(count for name, count in duties.done.items() if (duty, name) != ("tidy", "sweep")) > 0
    assert "Kafka does not answer (trying again)" in duties.printed.getvalue()
