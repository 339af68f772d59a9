"""What a benchmark makes of looks at a queue, and what it knows of the others."""

import re

import pytest

from benchmarks import completions
from benchmarks.completions import Completions, Stalled, watch
from benchmarks.peers.peer import PEERS, Peer
from tests.support.servers import ROOT


def test_rates_are_of_the_middle_and_of_the_whole() -> None:
    looks = [(101.0, 0), (102.0, 10), (103.0, 50), (104.0, 90), (109.0, 100)]
    found = Completions(100.0, looks)
    assert found.total == 100
    assert found.steady == (90 - 10) / (104 - 102)
    assert found.from_start == pytest.approx(100 / 9)


def test_a_rate_takes_the_first_looks_that_have_enough() -> None:
    assert Completions(0.0, [(1.0, 5), (2.0, 40), (3.0, 100)]).steady == 60


def test_a_watch_ends_when_all_have_ended() -> None:
    counts = iter((0, 3, 3, 7))
    found = watch(lambda: next(counts), 7, 0.0)
    assert [count for _, count in found.looks] == [0, 3, 3, 7]
    assert list(found.looks) == sorted(found.looks)


def test_a_watch_of_what_stands_still_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completions, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(Stalled, match="3 of 7 jobs"):
        watch(lambda: 3, 7, 0.0)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_is_pinned_and_says_how_it_is_set(peer: Peer) -> None:
    lines = [line for line in peer.requirements.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    assert peer.version[0].isdigit()
    driver = (ROOT / peer.module.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8")
    assert "\nSettings: " in driver.split('"""')[1]
