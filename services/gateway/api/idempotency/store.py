"""SQL of idempotency keys: which body a key came with."""

from uuid import UUID

from services.chassis.db.database import Connection


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
