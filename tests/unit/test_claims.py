"""Claims and outcomes as the scripts take them."""

import pytest

from _yadtq.claims import PART_BYTES, PART_OUTCOMES, Claim, Outcome, Read, first_part
from _yadtq.messages import Foreign, Header, Ours, Rejected, Submission

CLAIM = Claim("a@b", "add", "[]", "{}", 1, 0, 0, None, None, "4", "1-77")


def test_a_claim_is_named_by_id_and_token() -> None:
    assert CLAIM.name == "a@b@1-77"
    assert CLAIM.name.rpartition("@")[0] == "a@b"


def test_a_read_as_take_wants_it() -> None:
    task = Submission("f", "add", "[1]", "{}", "2", "", "kafka")
    messages = (Ours(4, 90, "o", Header("0", "1", "7")), Foreign(5, 80, task), Rejected(9, 3, b"\xff\x00!", "not JSON"))
    assert Read(3, 4, 10, 1, messages).arguments() == [
        3, 4, 10, 3,
        4, "ours", 90, "o", "0", "1", "7",
        5, "task", 80, "f", "add", "[1]", "{}", "2", "",
        9, "bad", 3, "/wAh", "not JSON",
    ]  # fmt: skip
    assert Read(3, 0, 0, 1, first=True).arguments() == [3, "first:0", 0, 0]


def test_an_outcome_as_settle_wants_it() -> None:
    outcome = Outcome(CLAIM, "retry", 9.0, 8.25, "{}", "why", 1.5)
    assert outcome.arguments(10.0) == ("a@b", "4", "1-77", "retry", "{}", "why", 1500, 1750, 1000)
    assert Outcome(CLAIM, "release", 9.0).arguments(10.0)[6:] == (0, "", 1000)
    assert Outcome(CLAIM, "release", 9.0).arguments(8.0)[8] == 0  # never in the future


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
