"""The inbox: an event has its effect once per consumer, because its claim commits with the effect."""

from collections.abc import Collection
from uuid import UUID

from services.chassis.db.database import Connection


async def claim(tx: Connection, consumer: str, event_ids: Collection[UUID]) -> set[UUID]:
    """Claim events and return the ids that nobody had. Waits for a transaction that is claiming the same."""
    rows = await tx.fetch(
        """
        INSERT INTO inbox (consumer, event_id)
        SELECT $1, event_id FROM unnest($2::uuid[]) AS event_id
        ON CONFLICT DO NOTHING
        RETURNING event_id
        """,
        consumer,
        sorted(set(event_ids)),
    )
    return {row["event_id"] for row in rows}


async def maintain(tx: Connection, keep_days: int) -> None:
    """Make the weeks' partitions that are missing, and drop claims that were made more than so many days ago."""
    await tx.execute("SELECT maintain_inbox($1)", keep_days)
