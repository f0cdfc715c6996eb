"""Headers whose names are not UTF-8: read as they are, with all that lies around them."""

from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords

from services.chassis.kafka.adapter.any_headers import AnyRecords, read_any_headers


class Bytes(str):
    """A header's name that is sent as these bytes."""

    def __new__(cls, raw: bytes) -> "Bytes":
        made = super().__new__(cls, raw.hex())
        made.raw = raw
        return made

    raw: bytes

    def encode(self, *_: Any) -> bytes:
        return self.raw


RecordOf = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]
"""Key, value, headers."""


def a_batch(*records: RecordOf, codec: int = 0) -> bytes:
    builder = _DefaultRecordBatchBuilderPy(2, codec, 0, -1, -1, 0, 10**6)
    for offset, (key, value, headers) in enumerate(records):
        builder.append(offset, 1_000 + offset, key, value, headers)
    return bytes(builder.build())


def read(records: Any) -> list[Any]:
    found = []
    while records.has_next():
        batch = records.next_batch()
        assert batch.validate_crc()
        found += [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in batch]
    return found


PLAIN: list[RecordOf] = [(b"k", b"v", [("a", b"1"), ("b", None)]), (None, None, []), (b"", b"", [("é", b"")])]


@pytest.mark.parametrize("codec", [0, 1], ids=["plain", "gzip"])
def test_records_around_a_strange_name_are_read_as_ever(codec: int) -> None:
    strange: RecordOf = (b"k", b"v", [(Bytes(b"a\xff"), b"\x00"), ("b", None)])
    fetched = a_batch(*PLAIN, codec=codec) + a_batch(PLAIN[0], strange, *PLAIN, codec=codec)

    found = read(AnyRecords(fetched))

    assert found[:3] == read(MemoryRecords(a_batch(*PLAIN)))
    assert [each[2:] for each in found[3:]] == [
        (b"k", b"v", (("a", b"1"), ("b", None))),
        (b"k", b"v", (("a\udcff", b"\x00"), ("b", None))),
        *(each[2:] for each in found[:3]),
    ]
    assert [each[0] for each in found] == [0, 1, 2, 0, 1, 2, 3, 4]


def test_the_slow_reader_reads_what_the_fast_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    from services.chassis.kafka.adapter import any_headers

    raw = a_batch(*PLAIN, (b"x" * 300, b"y" * 70_000, [("h" * 200, b"z")]))
    slow = list(any_headers.AnyHeaders(memoryview(raw)))

    assert [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in slow] == read(
        MemoryRecords(raw)
    )


def test_every_consumer_of_the_process_reads_them() -> None:
    for _ in range(2):
        read_any_headers()

    assert fetcher.MemoryRecords is AnyRecords
