"""Publishing events again that a topic has lost, made from rows under their old ids, so that nothing happens twice.

Each room knows how its rows become events again: its `reemit` module has the `Source`.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from contracts.events.envelope import Event
from services.chassis.db.database import Database
from services.chassis.outbox import outbox

AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Source:
    """A query for the rows that changed since a moment ($1), and the events that each row makes."""

    sql: str
    events_of: Callable[[asyncpg.Record], Iterable[Event]]


async def put_again(
    reader: "asyncpg.Connection[Any]", db: Database, sources: Iterable[Source], since: datetime
) -> int:
    """Put the events of all sources since then into the service's outbox; returns their number.

    `reader` reads one snapshot, such as the auditor's; `db` writes as the service's worker.
    """
    count = 0
    async with reader.transaction(isolation="repeatable_read", readonly=True):
        for source in sources:
            async for rows in _chunks(reader, source.sql, since):
                events = [event for row in rows for event in source.events_of(row)]
                async with db.worker_tx() as tx:
                    await outbox.add(tx, [(event, None) for event in events])
                count += len(events)
    return count


async def _chunks(
    reader: "asyncpg.Connection[Any]", sql: str, since: datetime
) -> AsyncIterator[list[asyncpg.Record]]:
    cursor = await reader.cursor(sql, since)
    while rows := await cursor.fetch(AT_ONCE):
        yield rows
