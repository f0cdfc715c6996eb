"""Reading topics from one offset to another, without a group: nothing is committed."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.events import topics
from contracts.events.envelope import CloudEvent
from services.chassis.kafka.adapter.any_headers import read_any_headers
from services.chassis.kafka.consume import decode_record
from services.chassis.kafka.park import Record
from services.chassis.settings import KafkaSecurity

AT_ONCE = 5000
Spans = Mapping[TopicPartition, tuple[int, int]]
"""Where to begin in each partition, and where to end: before the second offset."""


@asynccontextmanager
async def consumer(servers: str, security: KafkaSecurity, group: str | None = None) -> AsyncIterator[Any]:
    """A consumer of no topic yet. Retention may have removed where it begins: then it goes on with what is there."""
    read_any_headers()
    reading = AIOKafkaConsumer(
        bootstrap_servers=servers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=2**20,
        **security.options(),
    )
    try:
        await reading.start()
        yield reading
    finally:
        await reading.stop()


def all_partitions(names: Iterable[str] = topics.BY_NAME) -> list[TopicPartition]:
    return [
        TopicPartition(name, number) for name in names for number in range(topics.BY_NAME[name].partitions)
    ]


async def offsets_at(reading: Any, partitions: list[TopicPartition], moment: datetime) -> dict[Any, int]:
    """Each partition's first offset from that moment on; its end if nothing came since."""
    ends = await reading.end_offsets(partitions)
    millis = int(moment.timestamp() * 1000)
    found = await reading.offsets_for_times(dict.fromkeys(partitions, millis))
    return {each: found[each].offset if found.get(each) else ends[each] for each in partitions}


async def spans(reading: Any, since: datetime | None = None) -> Spans:
    """All that the topics hold now, or what came since that moment; without partitions that hold nothing."""
    partitions = all_partitions()
    ends = await reading.end_offsets(partitions)
    begins = await (
        offsets_at(reading, partitions, since) if since else reading.beginning_offsets(partitions)
    )
    return {each: (begins[each], ends[each]) for each in partitions if begins[each] < ends[each]}


async def read(reading: Any, wanted: Spans) -> AsyncIterator[list[Any]]:
    """The records of these partitions, in batches of one partition each."""
    left = set(wanted)
    reading.assign(sorted(left))
    for each in left:
        reading.seek(each, wanted[each][0])
    while left:
        batches = await reading.getmany(*left, timeout_ms=1000, max_records=AT_ONCE)
        for records in batches.values():
            yield records
        done = {each for each in left if await reading.position(each) >= wanted[each][1]}
        reading.pause(*done)
        left -= done


def decoded(record: Any) -> CloudEvent:
    """Raises `Undecodable` for a record that is no event."""
    return decode_record(Record(record.topic, record.partition, record.offset, record.key, record.value))
