"""Topics as they would be: the events that populated databases imply are published, and claimed by their consumers."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer

from contracts.events import topics
from contracts.events.envelope import CloudEvent, event_id
from contracts.events.stripe import StripeEvent
from deploy.ops import reemit
from deploy.ops.consumers import groups

AT_ONCE = 20_000
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_PAID_INTENTS = (
    "SELECT stripe_payment_intent_id AS intent, amount, currency, livemode, updated_at FROM payments"
    " WHERE stripe_payment_intent_id IS NOT NULL"
)
_STAGE = "CREATE SCHEMA staged; CREATE UNLOGGED TABLE staged.claims (consumer text, event_id uuid)"
_CLAIM = (
    "INSERT INTO inbox SELECT * FROM staged.claims ON CONFLICT DO NOTHING",
    "DROP SCHEMA staged CASCADE",
    "VACUUM ANALYZE inbox",
)


async def publish_implied(bootstrap_servers: str, admins: Mapping[str, str]) -> int:
    """Publish all events that the databases imply, each once. Returns how many.

    admins  a superuser's DSN by service name
    """
    await asyncio.gather(*(_run(dsn, _STAGE) for dsn in admins.values()))
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(len(reemit.SOURCES)) as pool:
        counts = await asyncio.gather(
            *(
                loop.run_in_executor(pool, _publish_of, bootstrap_servers, dict(admins), service)
                for service in reemit.SOURCES
            )
        )
    await asyncio.gather(*(_run(admins[service], *_CLAIM) for service in reemit.SOURCES))
    return sum(counts)


def _publish_of(bootstrap_servers: str, admins: Mapping[str, str], service: str) -> int:
    return asyncio.run(_publish(bootstrap_servers, admins, service))


async def _publish(bootstrap_servers: str, admins: Mapping[str, str], service: str) -> int:
    count = 0
    groups_by_service = [(group, reader, set(names)) for group, (reader, names) in groups().items()]
    inboxes = {reader: await asyncpg.connect(admins[reader]) for _, reader, _ in groups_by_service}
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers, compression_type=None) as producer:
        async for events in _implied(admins[service], service):
            await _send(producer, events)
            for group, reader, names in groups_by_service:
                claims = [(group, event.id) for event in events if event.topic.name in names]
                await inboxes[reader].copy_records_to_table("claims", schema_name="staged", records=claims)
            count += len(events)
    for inbox in inboxes.values():
        await inbox.close()
    return count


async def _implied(dsn: str, service: str) -> AsyncIterator[list[CloudEvent]]:
    sources: list[tuple[str, Any]] = [(each.sql, each.events_of) for each in reemit.SOURCES[service]]
    if service == "payment":
        sources.append((_PAID_INTENTS, _webhook))
    reader = await asyncpg.connect(dsn)
    async with reader.transaction():
        for sql, events_of in sources:
            cursor = await reader.cursor(sql, *([] if sql is _PAID_INTENTS else [_EVER]))
            while rows := await cursor.fetch(AT_ONCE):
                yield [event for row in rows for event in events_of(row)]
    await reader.close()


def _webhook(row: asyncpg.Record) -> Iterable[CloudEvent]:
    intent, at = row["intent"], row["updated_at"]
    yield StripeEvent(
        id=event_id(at, StripeEvent.topic.name, intent),
        time=at,
        stripe_event_id=f"evt_{intent}",
        event_type="payment_intent.succeeded",
        created=at,
        livemode=row["livemode"],
        object_id=intent,
        object_type="payment_intent",
        payment_intent=intent,
        status="succeeded",
        amount=row["amount"],
        amount_received=row["amount"],
        currency=row["currency"],
    )


async def _send(producer: Any, events: Sequence[CloudEvent]) -> None:
    """In batches made by hand: sent one by one, each million takes minutes."""
    now = int(datetime.now(UTC).timestamp() * 1000)
    batches: dict[tuple[str, int], Any] = {}
    sent = []
    for event in events:
        key = str(event.key).encode()
        place = event.topic.name, zlib.crc32(key) % topics.BY_NAME[event.topic.name].partitions
        record = {"timestamp": now, "key": key, "value": event.encode()}
        if place not in batches:
            batches[place] = producer.create_batch()
        if batches[place].append(**record) is None:
            sent.append(await producer.send_batch(batches[place], place[0], partition=place[1]))
            batches[place] = producer.create_batch()
            batches[place].append(**record)
    for (topic, partition), batch in batches.items():
        sent.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*sent)


async def _run(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    for sql in statements:
        await connection.execute(sql)
    await connection.close()
