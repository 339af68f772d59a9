"""Requests to Redis as they are recorded and said again."""

import hiredis
import pytest

from _yadtq.scripts import script
from tests.support.redis_calls import name_of, packed, without_waiting


def test_a_request_is_packed_as_redis_reads_it() -> None:
    reader = hiredis.Reader()
    reader.feed(packed([b"SET", b"key", b"\r\n\x00"]))
    assert reader.gets() == [b"SET", b"key", b"\r\n\x00"]


def test_a_request_that_waits_is_made_one_that_does_not() -> None:
    waits = [b"XREAD", b"COUNT", b"64", b"BLOCK", b"200", b"STREAMS", b"events", b"0-0"]
    assert without_waiting(waits) == [b"XREAD", b"COUNT", b"64", b"STREAMS", b"events", b"0-0"]


@pytest.mark.parametrize("name", ["register", "take", "settle", "trim"])
def test_a_call_has_the_name_of_its_script(name: str) -> None:
    assert name_of([b"EVALSHA", script(name)[1].encode(), b"1"]) == name


def test_another_request_has_the_name_of_its_command() -> None:
    assert name_of([b"XREAD", b"STREAMS"]) == "xread"
    assert name_of([b"PING"]) == "ping"
