"""Reading every topic from its beginning to where it ends now, by as many processes as there are cores to use."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from contracts.events import topics
from contracts.events.envelope import CloudEvent, Undecodable
from deploy.ops.verify.event_index import Pile
from deploy.ops.verify.report import CannotCheck
from services.chassis.kafka.adapter.any_headers import read_any_headers
from services.chassis.kafka.consume import decode_record
from services.chassis.kafka.park import Record
from services.chassis.settings import KafkaSecurity

AT_ONCE = 5000
Unreadable = tuple[str, int, int, str]
"""Topic, partition and offset of a record that is no event, and why it is none."""


async def read_all(
    bootstrap_servers: str, security: KafkaSecurity, pool: Executor, piles: Sequence[Path]
) -> list[Unreadable]:
    """Read all events into the piles, each by a process of its own. Returns the records that are no events."""
    consumer = _consumer(bootstrap_servers, security)
    try:
        await consumer.start()
        ends = sorted((await _ends(consumer)).items())
    except (KafkaError, OSError, TimeoutError) as error:
        raise CannotCheck(f"the topics cannot be read: {type(error).__name__}") from None
    finally:
        await consumer.stop()
    loop = asyncio.get_running_loop()
    parts = [dict(ends[number :: len(piles)]) for number in range(len(piles))]
    found = await asyncio.gather(
        *(
            loop.run_in_executor(pool, read_part, bootstrap_servers, security, part, pile)
            for part, pile in zip(parts, piles, strict=True)
        )
    )
    return [each for part in found for each in part]


def read_part(
    bootstrap_servers: str, security: KafkaSecurity, ends: Mapping[TopicPartition, int], pile: Path
) -> list[Unreadable]:
    """Read the events of these partitions, up to their ends, into the pile."""
    return asyncio.run(_read_part(bootstrap_servers, security, ends, pile))


def _consumer(bootstrap_servers: str, security: KafkaSecurity) -> Any:
    read_any_headers()
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=2**20,
        **security.options(),
    )


async def _ends(consumer: Any) -> dict[TopicPartition, int]:
    """Where each partition that holds anything ends."""
    existing = await consumer.topics()
    if missing := topics.BY_NAME.keys() - existing:
        raise CannotCheck(f"there is no topic {', '.join(sorted(missing))}")
    partitions = [
        TopicPartition(name, number)
        for name, topic in topics.BY_NAME.items()
        for number in range(topic.partitions)
    ]
    begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    return {each: ends[each] for each in partitions if begins[each] < ends[each]}


async def _read_part(
    bootstrap_servers: str, security: KafkaSecurity, ends: Mapping[TopicPartition, int], pile: Path
) -> list[Unreadable]:
    consumer = _consumer(bootstrap_servers, security)
    try:
        await consumer.start()
        with Pile(pile) as events:
            return await _read(consumer, ends, events)
    except (KafkaError, OSError, TimeoutError) as error:
        raise CannotCheck(f"the topics cannot be read: {type(error).__name__}") from None
    finally:
        await consumer.stop()


async def _read(consumer: Any, ends: Mapping[TopicPartition, int], pile: Pile) -> list[Unreadable]:
    left = set(ends)
    consumer.assign(sorted(left))
    if left:
        await consumer.seek_to_beginning()
    unreadable: list[Unreadable] = []
    while left:
        batches = await consumer.getmany(*left, timeout_ms=1000, max_records=AT_ONCE)
        for records in batches.values():
            pile.add(_events(records, unreadable))
        done = {each for each in left if await consumer.position(each) >= ends[each]}
        consumer.pause(*done)
        left -= done
    return unreadable


def _whole(record: Any) -> Record:
    return Record(record.topic, record.partition, record.offset, record.key, record.value)


def _events(records: list[Any], unreadable: list[Unreadable]) -> list[CloudEvent]:
    events = []
    for record in records:
        try:
            events.append(decode_record(_whole(record)))
        except Undecodable as error:
            unreadable.append((record.topic, record.partition, record.offset, str(error)))
    return events
