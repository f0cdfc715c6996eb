"""Reading every topic from its beginning to where it ends now."""

from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from contracts import topics
from contracts.catalogue import decode
from contracts.events import CloudEvent, Undecodable
from deploy.verify.event_index import EventIndex
from deploy.verify.report import CannotCheck
from services.chassis.kafka_security import KafkaSecurity

AT_ONCE = 5000


async def read_all(
    bootstrap_servers: str, security: KafkaSecurity, index: EventIndex
) -> list[tuple[str, int, int, str]]:
    """Put all events into the index; (topic, partition, offset, reason) of records that are none."""
    consumer: Any = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=8 * 2**20,
        **security.options(),
    )
    try:
        await consumer.start()
        unreadable = await _read(consumer, index)
    except (KafkaError, OSError, TimeoutError) as error:
        raise CannotCheck(f"the topics cannot be read: {type(error).__name__}") from None
    finally:
        await consumer.stop()
    index.finish()
    return unreadable


async def _read(consumer: Any, index: EventIndex) -> list[tuple[str, int, int, str]]:
    existing = await consumer.topics()
    if missing := topics.BY_NAME.keys() - existing:
        raise CannotCheck(f"there is no topic {', '.join(sorted(missing))}")
    partitions = [
        TopicPartition(name, number)
        for name, topic in topics.BY_NAME.items()
        for number in range(topic.partitions)
    ]
    begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    left = {each for each in partitions if begins[each] < ends[each]}
    consumer.assign(sorted(left))
    await consumer.seek_to_beginning()
    unreadable: list[tuple[str, int, int, str]] = []
    while left:
        batches = await consumer.getmany(*left, timeout_ms=1000, max_records=AT_ONCE)
        for records in batches.values():
            index.add(_events(records, unreadable))
        left = {each for each in left if await consumer.position(each) < ends[each]}
    return unreadable


def _events(records: list[Any], unreadable: list[tuple[str, int, int, str]]) -> list[CloudEvent]:
    events = []
    for record in records:
        try:
            events.append(decode(record.topic, record.value or b""))
        except Undecodable as error:
            unreadable.append((record.topic, record.partition, record.offset, str(error)))
    return events
