"""Records as they are in a topic, whatever bytes a header's name is made of.

aiokafka decodes a header's name as UTF-8 while it hands a fetch out. A name that is not UTF-8 raises there, for ever,
and what was fetched of other partitions is lost with it. Here such bytes become lone surrogates, and the record is
parked or applied as any other.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy, _DefaultRecordPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from aiokafka.record.util import decode_varint

_OLD_FORMATS = range(2)


def read_any_headers() -> None:
    """Let all consumers of this process read such records. Again, it changes nothing."""
    if fetcher.MemoryRecords is not AnyRecords:
        if not hasattr(fetcher.MemoryRecords, "next_batch"):
            raise TypeError("aiokafka's fetcher is another than this was written for")
        fetcher.MemoryRecords = AnyRecords


class AnyRecords(_MemoryRecordsPy):  # type: ignore[misc]
    """A fetched partition's batches."""

    def next_batch(self) -> Any:
        raw = self._next_slice
        batch = super().next_batch()
        if batch is None or raw[self.MAGIC_OFFSET] in _OLD_FORMATS:
            return batch
        return _Batch(raw, batch)


class _Batch:
    """aiokafka's own batch, with its fast reader; the slower one below is for batches that it cannot read."""

    def __init__(self, raw: memoryview, batch: Any) -> None:
        self._raw, self._batch = raw, batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:
            return iter(list(AnyHeaders(self._raw)))


class AnyHeaders(_DefaultRecordBatchPy):  # type: ignore[misc]
    """aiokafka's slower reader of a batch, where the bytes of a header's name are whatever they are."""

    _pos: int

    def _read_msg(self, decode_varint: Any = decode_varint) -> _DefaultRecordPy:
        length, start = decode_varint(self._buffer, self._pos)
        _, pos = decode_varint(self._buffer, start)
        late, pos = decode_varint(self._buffer, pos)
        offset, pos = decode_varint(self._buffer, pos)
        key, pos = self._bytes(pos)
        value, pos = self._bytes(pos)
        headers, self._pos = self._headers(pos)
        if self._pos - start != length:
            raise CorruptRecordException("a record is not as long as it says")
        timestamp = self.max_timestamp if self.timestamp_type else self.first_timestamp + late
        return _DefaultRecordPy(
            self.base_offset + offset, timestamp, self.timestamp_type, key, value, headers
        )

    def _headers(self, pos: int) -> tuple[list[tuple[str, bytes | None]], int]:
        count, pos = decode_varint(self._buffer, pos)
        headers = []
        for _ in range(count):
            name, pos = self._bytes(pos)
            value, pos = self._bytes(pos)
            headers.append(((name or b"").decode(errors="surrogateescape"), value))
        return headers, pos

    def _bytes(self, pos: int) -> tuple[bytes | None, int]:
        length, pos = decode_varint(self._buffer, pos)
        if length < 0:
            return None, pos
        return bytes(self._buffer[pos : pos + length]), pos + length
