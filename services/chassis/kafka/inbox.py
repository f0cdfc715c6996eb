"""The inbox: an event has its effect once per consumer, because its claim commits with the effect."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Source:
    """The id, type and object of an event from outside, as they are known there.

    `sent_at` is when our edge sent it on, in milliseconds since 1970.
    """

    id: str
    type: str
    subject: str
    sent_at: int | None


async def claim_with_sources(tx: Connection, consumer: str, sources: Mapping[UUID, Source]) -> set[UUID]:
    """The same for events from outside, each with its source: an operator finds it by that while the claim is kept."""
    event_ids = sorted(sources)
    found = [sources[event_id] for event_id in event_ids]
    rows = await tx.fetch(
        """
        INSERT INTO inbox (consumer, event_id, source_id, source_type, subject, received_at)
        SELECT $1, event_id, left(source_id, 255), left(source_type, 255), left(subject, 255),
            to_timestamp(sent_at / 1000.0)
        FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[])
            AS new (event_id, source_id, source_type, subject, sent_at)
        ON CONFLICT DO NOTHING
        RETURNING event_id
        """,
        consumer,
        event_ids,
        [source.id for source in found],
        [source.type for source in found],
        [source.subject for source in found],
        [source.sent_at for source in found],
    )
    return {row["event_id"] for row in rows}


async def maintain(tx: Connection, keep_days: int) -> None:
    """Make the weeks' partitions that are missing, and drop claims that were made more than so many days ago."""
    await tx.execute("SELECT maintain_inbox($1)", keep_days)
