"""Claims and outcomes as the scripts take them."""

import pytest

from _yadtq.claims import PART_BYTES, PART_OUTCOMES, Claim, Outcome, Read, first_part, settlement
from _yadtq.messages import Foreign, Header, Message, Ours, Rejected, Submission

CLAIM = Claim("a@b", "add", "[]", "{}", 1, 0, 0, None, None, "4", "1-77")


def test_a_claim_is_named_by_id_and_token() -> None:
    assert CLAIM.name == "a@b@1-77"
    assert CLAIM.name.rpartition("@")[0] == "a@b"


def test_a_read_as_take_wants_it() -> None:
    task = Submission("f", "add", "[1]", "{}", "2", "", "kafka")
    ours = [Ours(n, 90, f"o{n}", Header("0", "1", "7"), b'{"task-id":"o","task":"add","args":[]}') for n in (4, 6, 7)]
    foreign, rejected = Foreign(5, 80, task), Rejected(9, 3, b"\xff\x00!", "not JSON")
    messages: tuple[Message, ...] = (ours[0], foreign, *ours[1:], Ours(8, 10, "p", Header("0", "1", "8")), rejected)
    assert Read(3, 4, 10, 1, messages).arguments() == [
        3, 4, 10, 5,
        "ours", 90, "0", "1", "7", 1, "o4",
        "task", 80, 5, "f", "add", "[1]", "{}", "2", "",
        "ours", 180, "0", "1", "7", 2, "o6", "o7",
        "ours", 10, "0", "1", "8", 1, "p",
        "bad", 3, 9, "/wAh", "not JSON",
    ]  # fmt: skip
    assert Read(3, 4, 8, 1, tuple(ours[:2]), whole=True).arguments() == [
        3, 4, 8, 2,
        "whole", 90, 4, "0", "1", "7", "o4", "add", "[]", "{}", "", "",
        "whole", 90, 6, "0", "1", "7", "o6", "add", "[]", "{}", "", "",
    ]  # fmt: skip
    assert Read(3, 0, 0, 1, first=True).arguments() == [3, "first:0", 0, 0]


def test_an_outcome_as_settle_wants_it() -> None:
    outcome = Outcome(CLAIM, "retry", 9.0, 8.25, "{}", "why", 1.5)
    assert outcome.arguments(10.0, 3) == ("a@b", 3, "retry", 1750, 1000, "{}", "why", 1500)
    assert Outcome(CLAIM, "success", 9.0, 8.25, "{}").arguments(10.0, 1) == ("a@b", 1, "success", 1750, 1000, "{}")
    assert Outcome(CLAIM, "release", 9.0).arguments(10.0, 1)[3:] == ("", 1000, "", "", 0)
    assert Outcome(CLAIM, "release", 9.0).arguments(8.0, 1)[4] == 0  # never in the future


def test_outcomes_name_the_takes_that_gave_their_claims_once() -> None:
    later = CLAIM._replace(id="c", token="1-78")
    ends = [Outcome(claim, "success", 9.0, 9.0, "1") for claim in (CLAIM, later, CLAIM)]
    assert settlement(ends, 9.0) == [
        2, "4", "1-77", "4", "1-78", 3,
        "a@b", 1, "success", 0, 0, "1",
        "c", 2, "success", 0, 0, "1",
        "a@b", 1, "success", 0, 0, "1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ([], 0),
        ([10], 1),
        ([10] * (PART_OUTCOMES + 1), PART_OUTCOMES),
        ([PART_BYTES + 1], 1),
        ([PART_BYTES + 1, 1], 1),
        ([PART_BYTES // 2] * 3, 2),
        ([0, PART_BYTES, 1], 2),
    ],
)
def test_a_part_is_bounded_and_never_empty(sizes: list[int], count: int) -> None:
    outcomes = [Outcome(CLAIM, "success", 1.0, 0.5, "x" * size) for size in sizes]
    part = first_part(outcomes)
    assert part == outcomes[:count]
    assert part is not outcomes
