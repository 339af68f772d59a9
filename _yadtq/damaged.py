"""Batches that Kafka keeps and nobody can read: each becomes one message that says so, and reading goes on.

kafka-python stops at such a batch, again and again, and its partition stands still for ever. Here its bytes become the
value of a message, a `Damaged`, which is rejected with its reason. Header keys that are no UTF-8 hold up nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from _yadtq.errors import ServerUnreachable

Doubted = set[tuple[Any, int]]  # partition and offset of batches that came damaged once: perhaps only on their way


MOST_DOUBTED = 100


class Damaged(bytes):
    """The bytes of a batch that cannot be read."""

    reason = ""


def tolerate(fetcher: Any, doubted: Doubted) -> None:
    """Has a consumer's fetcher hand out what it cannot read as well."""
    make = fetcher.PartitionRecords

    def tolerant(offset: int, partition: Any, records: Any, **options: Any) -> Any:
        return make(offset, partition, _Batches(records, partition, doubted), **options)

    fetcher.PartitionRecords = tolerant


class _Batches:
    """The batches of one fetch, each readable. Raises ServerUnreachable for a wrong checksum, once."""

    def __init__(self, records: Any, partition: Any, doubted: Doubted) -> None:
        self._records, self._partition, self._doubted = records, partition, doubted

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        if batch is None or batch.magic < 2:
            return batch
        raw = batch._buffer  # decompressing puts another one in its place
        place = (self._partition, batch.base_offset)
        if not batch.validate_crc():
            if place not in self._doubted:
                if len(self._doubted) >= MOST_DOUBTED:
                    self._doubted.clear()
                self._doubted.add(place)
                raise ServerUnreachable("kafka", f"{_name(self._partition, batch)} came damaged: it is fetched again")
            return _Batch(batch, [_damaged(batch, raw, f"{_name(self._partition, batch)} has a wrong checksum")])
        self._doubted.discard(place)
        if batch.is_control_batch:
            return batch
        try:
            return _Batch(batch, list(batch))
        except Exception:  # any: what a decoder makes of strange bytes
            return _Batch(batch, _leniently(batch, raw, self._partition))


class _Batch:
    """A batch that has been checked and decoded."""

    def __init__(self, batch: Any, rows: list[Any]) -> None:
        self._batch, self._rows = batch, rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def validate_crc(self) -> bool:
        """It has been."""
        return True


class _Lenient(bytearray):
    """Bytes that are text, whatever they are."""

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return _Lenient(found) if isinstance(key, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Never fails."""
        return super().decode(encoding, "backslashreplace")


def _leniently(batch: Any, raw: bytes, partition: Any) -> list[Any]:
    """The messages of a batch whose header keys may be no UTF-8; or the one message that stands for all of it."""
    again = type(batch)(raw)
    try:
        iter(again)  # decompresses
        again._buffer = _Lenient(again._buffer)
        return list(again)
    except Exception as error:  # any: what a decoder makes of strange bytes
        return [_damaged(batch, raw, f"{_name(partition, batch)} cannot be read: {error}")]


@dataclass(frozen=True, slots=True)
class _Row:
    """What the fetcher asks of a message."""

    offset: int
    value: Damaged
    timestamp: int
    timestamp_type: int
    key: None = None
    checksum: None = None
    headers: tuple[()] = ()

    @property
    def size_in_bytes(self) -> int:
        return len(self.value)

    def validate_crc(self) -> bool:
        return True


def _damaged(batch: Any, raw: bytes, reason: str) -> _Row:
    """Stands at the batch's last offset: reading may have begun in its middle, and goes on behind it."""
    value = Damaged(raw)
    value.reason = reason[:500]
    return _Row(batch.last_offset, value, batch.max_timestamp, batch.timestamp_type)


def _name(partition: Any, batch: Any) -> str:
    return f"Kafka's batch of offsets {batch.base_offset} to {batch.last_offset} in partition {partition.partition}"
