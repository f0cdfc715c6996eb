"""SQL of passkeys, and of challenges for new ones."""

from datetime import timedelta
from uuid import UUID

from services.chassis.db.database import Connection
from services.gateway.accounts.passkeys.domain import NewPasskey, Passkey


async def list_passkeys(tx: Connection, login_id: UUID) -> list[Passkey]:
    """The login's passkeys, the oldest first."""
    rows = await tx.fetch(
        """
        SELECT id, login_id, credential_id, public_key, sign_count, name, created_at, used_at
        FROM passkeys WHERE login_id = $1 ORDER BY id
        """,
        login_id,
    )
    return [Passkey(**row) for row in rows]


async def get_passkey(tx: Connection, credential_id: bytes) -> Passkey | None:
    row = await tx.fetchrow(
        """
        SELECT id, login_id, credential_id, public_key, sign_count, name, created_at, used_at
        FROM passkeys WHERE credential_id = $1
        """,
        credential_id,
    )
    return None if row is None else Passkey(**row)


async def add_passkey(
    tx: Connection, passkey_id: UUID, login_id: UUID, passkey: NewPasskey, name: str
) -> bool:
    """Add a passkey; False when there is one by its credential's id."""
    added = await tx.fetchval(
        """
        INSERT INTO passkeys (id, login_id, credential_id, public_key, sign_count, name)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (credential_id) DO NOTHING RETURNING true
        """,
        passkey_id,
        login_id,
        passkey.credential_id,
        passkey.public_key,
        passkey.sign_count,
        name,
    )
    return bool(added)


async def use_passkey(tx: Connection, passkey_id: UUID, sign_count: int) -> bool:
    """Keep the device's count; False when it is no higher than the one that is kept.

    A device that does not count says 0.
    """
    used = await tx.fetchval(
        """
        UPDATE passkeys SET sign_count = $2, used_at = app_now()
        WHERE id = $1 AND (sign_count < $2 OR (sign_count = 0 AND $2 = 0)) RETURNING true
        """,
        passkey_id,
        sign_count,
    )
    return bool(used)


async def delete_passkey(tx: Connection, login_id: UUID, passkey_id: UUID) -> bool:
    """Delete one of the login's; False when it has no such one."""
    return bool(
        await tx.fetchval(
            "DELETE FROM passkeys WHERE id = $2 AND login_id = $1 RETURNING true", login_id, passkey_id
        )
    )


async def delete_passkeys_of(tx: Connection, login_id: UUID) -> None:
    await tx.execute("DELETE FROM passkeys WHERE login_id = $1", login_id)


async def put_setup(
    tx: Connection, login_id: UUID, session_hash: bytes, challenge: bytes, lasts: timedelta
) -> None:
    """Keep the challenge of a set-up under way, in the place of an earlier one."""
    await tx.execute(
        """
        INSERT INTO passkey_setups (login_id, session_hash, challenge, ends_at)
        VALUES ($1, $2, $3, app_now() + $4)
        ON CONFLICT (login_id) DO UPDATE SET
            session_hash = excluded.session_hash, challenge = excluded.challenge, ends_at = excluded.ends_at
        """,
        login_id,
        session_hash,
        challenge,
        lasts,
    )


async def get_setup(tx: Connection, login_id: UUID, session_hash: bytes) -> bytes | None:
    """The challenge that this session was given."""
    challenge: bytes | None = await tx.fetchval(
        """
        SELECT challenge FROM passkey_setups
        WHERE login_id = $1 AND session_hash = $2 AND ends_at > app_now()
        """,
        login_id,
        session_hash,
    )
    return challenge


async def use_setup(tx: Connection, login_id: UUID, session_hash: bytes) -> bytes | None:
    """Use up the challenge that this session was given, and return it; None without one that lasts."""
    challenge: bytes | None = await tx.fetchval(
        """
        DELETE FROM passkey_setups WHERE login_id = $1 AND session_hash = $2 AND ends_at > app_now()
        RETURNING challenge
        """,
        login_id,
        session_hash,
    )
    return challenge
