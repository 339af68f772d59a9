"""Batches that nobody can read become one message each; all else is read as it is."""

from typing import Any

import pytest
from kafka.consumer.fetcher import Fetcher
from kafka.record import MemoryRecords, MemoryRecordsBuilder
from kafka.record.util import calc_crc32c
from kafka.structs import TopicPartition

from _yadtq.damaged import Damaged, Doubted, tolerate
from _yadtq.errors import ServerUnreachable

CRC, ATTRIBUTES = 17, 21  # where they stand in a batch
PLAIN, GZIP = 0, 1


class FetcherOfTest:
    """As much of a fetcher as is changed."""

    PartitionRecords = Fetcher.PartitionRecords


class Reader:
    """Reads what a fetch has brought, as the consumer does."""

    def __init__(self) -> None:
        self.doubted: Doubted = set()

    def read(self, *batches: bytes | bytearray, offset: int = 0) -> list[Any]:
        fetcher = FetcherOfTest()
        tolerate(fetcher, self.doubted)
        records = MemoryRecords(b"".join(batches))
        self.part: Any = fetcher.PartitionRecords(offset, TopicPartition("q_tasks", 3), records)
        rows: list[Any] = self.part.take(100)
        return rows


def batch(*values: bytes, offset: int = 0, codec: int = PLAIN, header: str = "name") -> bytearray:
    builder: Any = MemoryRecordsBuilder(magic=2, compression_type=codec, batch_size=1 << 20)
    for value in values:
        builder.append(timestamp=1, key=b"k", value=value, headers=[(header, b"h")])
    builder.close()
    return bytearray(offset.to_bytes(8, "big") + builder.buffer()[8:])


def sealed(spoiled: bytearray) -> bytes:
    """With the checksum that fits."""
    checksum: int = calc_crc32c(bytes(spoiled[ATTRIBUTES:]))  # type: ignore[no-untyped-call]  # kafka has no type
    spoiled[CRC:ATTRIBUTES] = checksum.to_bytes(4, "big")
    return bytes(spoiled)


def values(rows: list[Any]) -> list[tuple[int, bytes]]:
    return [(row.offset, row.value) for row in rows]


@pytest.mark.parametrize("codec", [PLAIN, GZIP])
def test_what_can_be_read_is_read_as_it_is(codec: int) -> None:
    reader = Reader()
    rows = reader.read(batch(b"a", b"b", codec=codec), batch(b"c", offset=2, codec=codec))
    assert values(rows) == [(0, b"a"), (1, b"b"), (2, b"c")]
    assert rows[0].headers == [("name", b"h")]
    assert (reader.part.next_fetch_offset, reader.doubted) == (3, set())
    assert values(reader.read(batch(b"a", b"b", codec=codec), offset=1)) == [(1, b"b")]


def test_a_wrong_checksum_is_fetched_again_and_then_taken_for_what_it_is() -> None:
    reader, spoiled = Reader(), batch(b"aaaa", b"b", offset=4)
    spoiled[-12] ^= 1
    fetched = (bytes(spoiled), bytes(batch(b"c", offset=6)))
    with pytest.raises(ServerUnreachable, match=r"offsets 4 to 5 in partition 3 came damaged: it is fetched again"):
        reader.read(*fetched, offset=4)
    damaged, behind = reader.read(*fetched, offset=4)
    assert isinstance(damaged.value, Damaged)
    assert (damaged.offset, damaged.value) == (5, bytes(spoiled))
    assert damaged.value.reason == "Kafka's batch of offsets 4 to 5 in partition 3 has a wrong checksum"
    assert (behind.offset, behind.value) == (6, b"c")
    assert values(reader.read(*fetched, offset=4)) == [(5, bytes(spoiled)), (6, b"c")]  # it is not fetched yet again


def test_a_batch_that_was_damaged_on_its_way_only_is_read() -> None:
    reader, spoiled = Reader(), batch(b"aaaa")
    spoiled[-12] ^= 1
    with pytest.raises(ServerUnreachable):
        reader.read(bytes(spoiled))
    assert values(reader.read(bytes(batch(b"aaaa")))) == [(0, b"aaaa")]
    assert reader.doubted == set()


@pytest.mark.parametrize("codec", [PLAIN, GZIP])
def test_a_header_key_that_is_no_text_holds_up_nothing(codec: int) -> None:
    class Odd(str):
        def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
            return b"\xff\xfe"

    rows = Reader().read(bytes(batch(b"a", b"b", codec=codec, header=Odd("key"))), bytes(batch(b"c", offset=2)))
    assert values(rows) == [(0, b"a"), (1, b"b"), (2, b"c")]
    assert rows[0].headers == [("\\xff\\xfe", b"h")]


def test_messages_that_are_none_are_rejected_as_a_whole() -> None:
    spoiled = batch(b"a", b"b")
    spoiled[61] = 0x7E  # the length of the first one
    (damaged, behind) = Reader().read(sealed(spoiled), bytes(batch(b"c", offset=2)))
    assert (damaged.offset, behind.value) == (1, b"c")
    assert "cannot be read: " in damaged.value.reason


@pytest.mark.parametrize("codec", [1, 2, 3, 4, 7])
def test_a_compression_that_is_none_is_rejected(codec: int) -> None:
    spoiled = batch(b"a")
    spoiled[ATTRIBUTES + 1] = codec
    (damaged,) = Reader().read(sealed(spoiled))
    assert "in partition 3 cannot be read: " in damaged.value.reason
    assert (damaged.offset, damaged.key, list(damaged.headers)) == (0, None, [])


def test_a_reason_is_short() -> None:
    spoiled = batch(b"a" * 5000)
    spoiled[61] = 0x7E
    (damaged,) = Reader().read(sealed(spoiled))
    assert len(damaged.value.reason) <= 500
