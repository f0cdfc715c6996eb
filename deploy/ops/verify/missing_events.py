"""Events that `reemit` would make from the rows, and no topic has. Processes of their own make them."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contracts.events import topics
from contracts.events.envelope import CloudEvent
from deploy.ops import database, reemit
from deploy.ops.verify.access import Access
from deploy.ops.verify.event_index import EventIndex, fact_of
from deploy.ops.verify.report import MOST_ROWS, Breach
from services.chassis.outbox.reemit import AT_ONCE, Source

_MARGIN = timedelta(hours=12)
"""Kafka may drop a segment of records a while before or after the last of them is old enough."""


def missing_by_source(
    access: Access, snapshots: Mapping[str, str], index: Path, pool: Executor
) -> list[Awaitable[list[Breach]]]:
    """The breaches of each kind of row. Rows older than their topic keeps events are left out.

    snapshots   by service: the moment that the other checks see, which a transaction holds open
    index       the file with all events that topics hold
    """
    since = datetime.now(UTC) - timedelta(days=min(topic.retention_days for topic in topics.ALL)) + _MARGIN
    loop = asyncio.get_running_loop()
    return [
        loop.run_in_executor(
            pool, missing_events, access.databases[service], snapshots[service], service, number, since, index
        )
        for service, sources in reemit.SOURCES.items()
        for number in range(len(sources))
    ]


def missing_events(
    dsn: str, snapshot: str, service: str, number: int, since: datetime, index: Path
) -> list[Breach]:
    """The first breaches of a service's source, by its number."""
    source = reemit.SOURCES[service][number]
    with EventIndex(index) as events:
        return asyncio.run(_missing_events(dsn, snapshot, source, since, events))


async def _missing_events(
    dsn: str,
    snapshot: str,
    source: Source,
    since: datetime,
    index: EventIndex,
) -> list[Breach]:
    found: list[Breach] = []
    async with (
        database.connected(dsn) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        cursor = await connection.cursor(source.sql, since)
        while len(found) < MOST_ROWS and (rows := await cursor.fetch(AT_ONCE)):
            expected = [event for row in rows for event in source.events_of(row) if event.time >= since]
            found += _missing(expected, index)
    return found


def _missing(expected: Iterable[CloudEvent], index: EventIndex) -> Iterable[Breach]:
    for event in expected:
        fact = index.get(event)
        if fact != fact_of(event):
            row = {
                "topic": event.topic.name,
                "aggregate": event.key,
                "event_id": event.id,
                "on the topic": fact or "nothing",
                "in the database": fact_of(event),
            }
            yield Breach("state_is_on_its_topic", row)
