"""Which body an idempotency key came with, for requests that write in the gateway or in several services.

A key is claimed in the transaction of the request's effect: of two requests at once, the second waits for the first.
"""

import hashlib
from typing import Literal
from uuid import UUID

from services.chassis.db.database import Connection
from services.chassis.idempotency import IdempotencyKeyReused
from services.gateway.api.key_store import ApiKey

Earlier = Literal["none", "under_way", "done"]


class KeyUse:
    """A request's use of its key. A refused request has not used it."""

    def __init__(self, api_key: ApiKey, key: str, body: bytes) -> None:
        self.key = key
        self._api_key = api_key
        self._fingerprint = hashlib.sha256(body).digest()

    async def look_up(self, tx: Connection) -> Earlier:
        """What became of this very request when it came before. Raises `IdempotencyKeyReused`."""
        fingerprint, under_way = await get_key_use(tx, self._api_key.id, self.key)
        if fingerprint is None:
            return "none"
        if fingerprint != self._fingerprint:
            raise IdempotencyKeyReused("This Idempotency-Key was used with another body. Use a new key.")
        return "under_way" if under_way else "done"

    async def claim(self, tx: Connection) -> Earlier:
        """`none`: the key is this request's now, to be carried out in this transaction. Else as `look_up`."""
        while not await add_key_use(tx, self._api_key.id, self.key, self._fingerprint):
            # None: the request that had the key was refused just now, and has given it back.
            if (earlier := await self.look_up(tx)) != "none":
                return earlier
        return "none"


async def get_key_use(tx: Connection, api_key_id: UUID, key: str) -> tuple[bytes | None, bool]:
    """The fingerprint of the body that a key came with, and whether its operation is under way."""
    row = await tx.fetchrow(
        """
        SELECT fingerprint, EXISTS (
            SELECT FROM operations WHERE actor = used.api_key_id AND operations.key = used.key
        ) AS under_way
        FROM key_uses AS used WHERE api_key_id = $1 AND key = $2
        """,
        api_key_id,
        key,
    )
    return (row["fingerprint"], row["under_way"]) if row else (None, False)


async def add_key_use(tx: Connection, api_key_id: UUID, key: str, fingerprint: bytes) -> bool:
    """Add a use; False when the key has one. Waits for a transaction that is adding it."""
    added = await tx.fetchval(
        """
        INSERT INTO key_uses (api_key_id, key, fingerprint) VALUES ($1, $2, $3)
        ON CONFLICT DO NOTHING RETURNING true
        """,
        api_key_id,
        key,
        fingerprint,
    )
    return bool(added)


async def delete_key_use(tx: Connection, api_key_id: UUID, key: str) -> None:
    await tx.execute("DELETE FROM key_uses WHERE api_key_id = $1 AND key = $2", api_key_id, key)


async def delete_old_key_uses(tx: Connection) -> None:
    """Nobody retries after a month; the ids that keys stand for stay the same for ever.

    A request that is still under way keeps its key. Needs an operator's transaction.
    """
    await tx.execute(
        """
        DELETE FROM key_uses AS used WHERE created_at < app_now() - interval '30 days'
            AND NOT EXISTS (SELECT FROM operations WHERE actor = used.api_key_id AND key = used.key)
        """
    )
