"""An operator's work with a service's parked events: list them, read one, replay, discard.

`consumers` are the service's own (`consumers_of`): the group that parked an event replays or discards it.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from services.chassis.audit import INSTALLATION
from services.chassis.db.database import Connection, Database
from services.chassis.errors import DomainError
from services.chassis.kafka import park
from services.chassis.kafka.consume import Consumer

MOST = 500

Listing = Callable[[Connection, int], Awaitable[list[dict[str, Any]]]]
"""`park.list_waiting` or `park.list_discarded`."""


async def list_parked(db: Database, listing: Listing) -> list[dict[str, Any]]:
    """Rows of a service's parked events, without their raw bytes; at most `MOST`."""
    async with db.worker_tx() as tx:
        return await listing(tx, MOST)


async def get(db: Database, parked_id: int) -> dict[str, Any] | None:
    """One parked event, with its record."""
    async with db.worker_tx() as tx:
        return await park.get(tx, parked_id)


async def replay(consumers: Sequence[Consumer], parked_id: int) -> bool:
    """Apply a parked event. False when it does not wait any more; raises what its handler raises."""
    return any([await each.replay(parked_id) for each in consumers])


async def replay_held_back(db: Database, consumers: Sequence[Consumer]) -> tuple[int, list[int]]:
    """Apply all events that an earlier version parked behind another: their number, and the ids of those refused."""
    async with db.worker_tx() as tx:
        waiting = await park.list_held_back(tx)
    applied, refused = 0, []
    for parked_id in waiting:
        try:
            applied += await replay(consumers, parked_id)
        except (DomainError, ValueError):
            refused.append(parked_id)
    return applied, refused


async def discard(
    consumers: Sequence[Consumer], parked_id: int, by: str, reason: str, actor: UUID = INSTALLATION
) -> bool:
    """Lay a parked event aside for good, with an entry in the audit log. False when it does not wait any more."""
    return any([await each.discard(parked_id, by, reason, actor) for each in consumers])
