"""Events on their way: encode them, deliver them to the real consumers, read the outbox and the parked events."""

from collections.abc import Sequence
from types import ModuleType

from contracts.catalogue import decode
from contracts.events import CloudEvent
from services.chassis.db.database import Database
from services.chassis.kafka.consume import consumers_of
from services.chassis.kafka.park import Record
from tests.running.databases import ServiceDb


def record(event: CloudEvent, offset: int = 0, partition: int = 0) -> Record:
    """The event as a topic holds it."""
    return Record(event.topic.name, partition, offset, str(event.key).encode(), event.encode())


async def deliver(worker: Database, consumers: ModuleType, *events: CloudEvent) -> None:
    """Deliver encoded events to the real wrapper, as one batch for each group that subscribes to them."""
    records = [record(event, offset) for offset, event in enumerate(events)]
    await deliver_records(worker, consumers, records)


async def deliver_records(worker: Database, consumers: ModuleType, records: Sequence[Record]) -> None:
    """The same for records, in the order of their offsets."""
    for consumer in consumers_of(consumers, worker):
        wanted = [each for each in records if each.topic in consumer.topics]
        if wanted:
            await consumer.consume(wanted)


async def waiting_parked(db: ServiceDb) -> list[tuple[str, str]]:
    """(topic, reason) of each parked event that waits, in order."""
    rows = await db.admin.fetch("SELECT topic, reason FROM parked WHERE state = 'waiting' ORDER BY id")
    return [(row["topic"], row["reason"]) for row in rows]


async def outbox_events(db: ServiceDb) -> list[CloudEvent]:
    """The events in the outbox, decoded, in order."""
    rows = await db.admin.fetch("SELECT aggregatetype, payload FROM outbox ORDER BY seq")
    return [decode(row["aggregatetype"], row["payload"]) for row in rows]
