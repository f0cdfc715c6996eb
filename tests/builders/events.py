"""Events on their way: encode them, deliver them to the real consumers, read the outbox and the parked events."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, TypeVar

from contracts.events.catalogue import decode
from contracts.events.envelope import CloudEvent, StateEvent
from services.chassis.db.database import Database
from services.chassis.ids import new_id
from services.chassis.kafka.consume import consumers_of
from services.chassis.kafka.park import Record
from services.invoice import consumers as invoice
from services.notification import consumers as notification
from services.payment import consumers as payment
from tests.running.databases import ServiceDb

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
E = TypeVar("E", bound=StateEvent)
CONSUMERS: Mapping[str, ModuleType] = {"invoice": invoice, "payment": payment, "notification": notification}
"""The consumers of each service that has some."""


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
        topics = consumer.topics
        wanted = [each for each in records if each.topic in topics]
        if wanted:
            await consumer.consume(wanted)


async def deliver_to_all(dbs: Mapping[str, ServiceDb], *events: CloudEvent, but: str = "") -> None:
    """Deliver events to every service that has a database here, as Kafka would; not to the service named by `but`."""
    for service, consumers in CONSUMERS.items():
        if service in dbs and service != but:
            await deliver(dbs[service].worker, consumers, *events)


def next_state(event: type[E], state: StateEvent, version: int, **changes: Any) -> E:
    """A later version of an aggregate, as another event."""
    return event.model_validate({**state.model_dump(), "id": new_id(), "version": version, **changes})


async def waiting_parked(db: ServiceDb) -> list[tuple[str, str]]:
    """(topic, reason) of each parked event that waits, in order."""
    rows = await db.admin.fetch("SELECT topic, reason FROM parked WHERE state = 'waiting' ORDER BY id")
    return [(row["topic"], row["reason"]) for row in rows]


async def outbox_events(db: ServiceDb) -> list[CloudEvent]:
    """The events in the outbox, decoded, in order."""
    rows = await db.admin.fetch("SELECT aggregatetype, payload FROM outbox ORDER BY seq")
    return [decode(row["aggregatetype"], row["payload"]) for row in rows]


async def carry(dbs: Mapping[str, ServiceDb]) -> None:
    """Deliver what waits in the outboxes of these services, until nothing does."""
    moved = True
    while moved:
        moved = False
        for db in dbs.values():
            events = await outbox_events(db)
            await db.admin.execute("DELETE FROM outbox")
            await deliver_to_all(dbs, *events)
            moved = moved or bool(events)
