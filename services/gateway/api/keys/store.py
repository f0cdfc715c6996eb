"""SQL of API keys. Secrets come as SHA-256 hashes. Changes need an operator's transaction."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from services.chassis.db.database import Connection
from services.gateway.api.keys.domain import ApiKey, KeyRow

_WORKS = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > app_now())"
_ROW = "id, prefix, name, role, clinic_id, from_settings, created_at, last_used_at, expires_at, replaced_by"


async def get_api_key(tx: Connection, key_hash: bytes) -> ApiKey | None:
    row = await tx.fetchrow(
        f"""
        SELECT coalesce(root_id, id) AS id, role, clinic_id,
            coalesce(last_used_at < app_now() - interval '1 minute', true) AS use_is_due
        FROM api_keys WHERE key_hash = $1 AND {_WORKS}
        """,
        key_hash,
    )
    return None if row is None else ApiKey(**row)


async def note_use(tx: Connection, key_hash: bytes) -> None:
    """Record that the key was used now, unless that was recorded within the minute."""
    await tx.execute(
        """
        UPDATE api_keys SET last_used_at = app_now()
        WHERE key_hash = $1 AND coalesce(last_used_at < app_now() - interval '1 minute', true)
        """,
        key_hash,
    )


async def add_api_key(
    tx: Connection,
    key_id: UUID,
    key_hash: bytes,
    *,
    prefix: str,
    name: str,
    clinic_id: UUID | None,
    root_id: UUID | None = None,
    from_settings: bool = False,
) -> bool:
    """Add a key, an operator's if `clinic_id` is None; False when there is one with this hash."""
    added = await tx.execute(
        """
        INSERT INTO api_keys (id, key_hash, prefix, name, role, clinic_id, root_id, from_settings)
        VALUES ($1, $2, $3, $4, CASE WHEN $5::uuid IS NULL THEN 'operator' ELSE 'clinic' END, $5, $6, $7)
        ON CONFLICT (key_hash) DO NOTHING
        """,
        key_id,
        key_hash,
        prefix,
        name,
        clinic_id,
        root_id,
        from_settings,
    )
    return bool(added == "INSERT 0 1")


async def list_keys(tx: Connection, clinic_id: UUID | None) -> list[KeyRow]:
    """The working keys of a clinic, or of the operators for None. Oldest first."""
    rows = await tx.fetch(
        f"""
        SELECT {_ROW} FROM api_keys
        WHERE clinic_id IS NOT DISTINCT FROM $1 AND {_WORKS} ORDER BY created_at, id
        """,
        clinic_id,
    )
    return [KeyRow(**row) for row in rows]


async def list_working_keys(tx: Connection, most: int) -> list[KeyRow]:
    """Operators' first, then clinics'; oldest first."""
    rows = await tx.fetch(
        f"""
        SELECT {_ROW} FROM api_keys WHERE {_WORKS}
        ORDER BY clinic_id IS NOT NULL, clinic_id, created_at, id LIMIT $1
        """,
        most,
    )
    return [KeyRow(**row) for row in rows]


async def get_working_key(tx: Connection, key_id: UUID) -> KeyRow | None:
    row = await tx.fetchrow(f"SELECT {_ROW} FROM api_keys WHERE id = $1 AND {_WORKS}", key_id)
    return None if row is None else KeyRow(**row)


async def lock_operator_keys(tx: Connection) -> None:
    """Serialise changes of operators' keys: otherwise two changes at once could end the last two keys."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('clinicpay operator keys'))")


async def root_of(tx: Connection, key_id: UUID) -> UUID:
    found: UUID = await tx.fetchval("SELECT coalesce(root_id, id) FROM api_keys WHERE id = $1", key_id)
    return found


async def replace_key(tx: Connection, key_id: UUID, by: UUID, overlap: timedelta) -> None:
    """Let a key end after the overlap, or at its earlier end."""
    await tx.execute(
        """
        UPDATE api_keys SET replaced_by = $2, expires_at = least(app_now() + $3, expires_at) WHERE id = $1
        """,
        key_id,
        by,
        overlap,
    )


async def revoke_keys(tx: Connection, key_ids: Sequence[UUID]) -> None:
    await tx.execute(
        "UPDATE api_keys SET revoked_at = app_now() WHERE id = ANY ($1) AND revoked_at IS NULL", key_ids
    )


# Keys of the settings, and the demo's


async def settings_keys_to_revoke(tx: Connection, named: Sequence[bytes]) -> list[UUID]:
    """Keys from earlier settings that are no longer in the settings.

    Only keys older than the newest working key in the settings: a process that starts with old settings in the
    middle of a rolling restart revokes none.
    """
    rows = await tx.fetch(
        f"""
        SELECT id FROM api_keys
        WHERE from_settings AND NOT key_hash = ANY ($1) AND {_WORKS}
            AND created_at < (SELECT max(created_at) FROM api_keys WHERE key_hash = ANY ($1) AND {_WORKS})
        """,
        named,
    )
    return [row["id"] for row in rows]


async def mark_from_settings(tx: Connection, named: Sequence[bytes]) -> None:
    """Mark keys as from settings, also keys of an earlier release, which did not mark them."""
    await tx.execute(
        "UPDATE api_keys SET from_settings = true WHERE key_hash = ANY ($1) AND NOT from_settings", named
    )


async def get_key_id(tx: Connection, key_hash: bytes) -> tuple[UUID, bool] | None:
    """The key's id, and whether it was revoked."""
    row = await tx.fetchrow(
        "SELECT id, revoked_at IS NOT NULL AS revoked FROM api_keys WHERE key_hash = $1", key_hash
    )
    return None if row is None else (row["id"], row["revoked"])


async def restore_key(tx: Connection, key_id: UUID) -> None:
    await tx.execute("UPDATE api_keys SET revoked_at = NULL WHERE id = $1", key_id)


async def disable_logins_of(tx: Connection, key_id: UUID, disabled: bool) -> None:
    """Disable or enable the logins that the demo's key made, also the demo's logins of an earlier release."""
    await tx.execute(
        """
        UPDATE logins SET disabled_at = CASE WHEN $2 THEN app_now() END
        WHERE (made_by = $1 OR (made_by IS NULL AND email LIKE '%@example.com'))
            AND (disabled_at IS NOT NULL) <> $2
        """,
        key_id,
        disabled,
    )
