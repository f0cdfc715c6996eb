"""The relay: how long an event takes from its commit to a consumer, and how fast a backlog drains."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer

from contracts.events.notification import NotificationSent
from services.chassis.ids import new_id
from tests.bench.figures import Spec, declare, measures
from tests.bench.installation import Bench
from tests.bench.latency import percentile
from tests.bench.seed import Live

RATE = 200
BACKLOG = 100_000
MOST_SECONDS = 120

declare(
    Spec(
        "relay_ms_p50",
        "ms",
        "from an outbox row's commit to its arrival at a consumer, at 200/s",
        "less",
        7,
        "kafka_ms",
    ),
    Spec(
        "relay_per_s",
        "events/s",
        "a backlog of 100,000 outbox rows sent, confirmed and deleted",
        target=15_000,
        limit="kafka_produce_per_s",
    ),
)

_INSERT = """
    INSERT INTO outbox (id, clinic_id, aggregatetype, aggregateid, payload)
    SELECT id, $2, $3, key, body FROM unnest($1::uuid[], $4::text[], $5::bytea[]) AS fact (id, key, body)
"""
"""As the services write it, but for the order within one statement."""


def facts(count: int) -> list[NotificationSent]:
    """Events on a topic that nobody reads, so that the relay alone is measured."""
    now = datetime.now(UTC)
    return [
        NotificationSent(
            id=new_id(),
            time=now,
            clinic_id=Live(n).clinic_id,
            delivery_id=Live(n).payment_id,
            client_id=Live(n).client_id,
            template="receipt",
            attempts=1,
            traceparent=f"00-{n + 1:032x}-{n + 1:016x}-00",
        )
        for n in range(count)
    ]


async def put(connection: Any, events: Sequence[NotificationSent]) -> None:
    await connection.execute(
        _INSERT,
        [event.id for event in events],
        events[0].clinic_id,
        events[0].topic.name,
        [str(event.key) for event in events],
        [event.encode() for event in events],
    )


@measures("relay_ms_p50")
async def relay_latency(bench: Bench) -> None:
    """One event a transaction. The commit's time is PostgreSQL's, the arrival's our clock's: the same machine's."""
    events = facts(int(RATE * bench.window))
    async with _consumer(bench) as consumer, bench.admin("notification") as connection:
        arrivals = asyncio.create_task(_arrivals(consumer, len(events)))
        commits = await _at_a_rate(connection, events, RATE)
        arrived = await asyncio.wait_for(arrivals, MOST_SECONDS)
        times = await connection.fetch(
            """
            SELECT id, extract(epoch FROM pg_xact_commit_timestamp(xid::xid))::float8 AS at
            FROM unnest($1::uuid[], $2::text[]) AS committed (id, xid)
            """,
            list(commits),
            list(commits.values()),
        )
    took = sorted(1000 * (arrived[row["id"]] - row["at"]) for row in times)
    detail = {"events": len(took), "p99": round(percentile(took, 99), 2), "max": round(took[-1], 2)}
    bench.found("relay_ms_p50", percentile(took, 50), detail=detail)


@measures("relay_per_s")
async def relay_backlog(bench: Bench) -> None:
    """The relay's process stands still while the backlog is made, and is timed from when it may go on."""
    count = BACKLOG // 5 if bench.quick else BACKLOG
    async with bench.admin("notification") as connection, bench.admin("notification") as looking:
        with bench.held("relay"):
            await put(connection, facts(count))
            await connection.execute("CHECKPOINT")
        began = time.perf_counter()
        async with asyncio.timeout(MOST_SECONDS):
            while await looking.fetchval("SELECT EXISTS (SELECT FROM outbox)"):
                await asyncio.sleep(0.01)
        took = time.perf_counter() - began
    bench.found("relay_per_s", count / took, detail={"events": count, "seconds": round(took, 2)})


@asynccontextmanager
async def _consumer(bench: Bench) -> AsyncIterator[AIOKafkaConsumer]:
    """Reads from the end, without a group."""
    consumer = AIOKafkaConsumer(
        NotificationSent.topic.name,
        bootstrap_servers=bench.system.kafka.bootstrap_servers,
        auto_offset_reset="latest",
    )
    await consumer.start()
    try:
        for partition in consumer.assignment():
            await consumer.position(partition)
        yield consumer
    finally:
        await consumer.stop()


async def _arrivals(consumer: AIOKafkaConsumer, count: int) -> dict[UUID, float]:
    """When each event came, in seconds since 1970."""
    arrived: dict[UUID, float] = {}
    while len(arrived) < count:
        batches = await consumer.getmany(timeout_ms=1000)
        now = time.time()
        for records in batches.values():
            for record in records:
                arrived.setdefault(NotificationSent.decode(record.value).id, now)
    return arrived


async def _at_a_rate(connection: Any, events: Sequence[NotificationSent], rate: float) -> dict[UUID, str]:
    """Commit one event after the other, each when it is due; answers each one's transaction."""
    began = time.perf_counter()
    transactions = {}
    for n, event in enumerate(events):
        await asyncio.sleep(max(0.0, began + n / rate - time.perf_counter()))
        async with connection.transaction():
            await put(connection, [event])
            transactions[event.id] = await connection.fetchval("SELECT pg_current_xact_id()::text")
    return transactions
