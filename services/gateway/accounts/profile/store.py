"""SQL of changes of a login by its owner."""

from uuid import UUID

import asyncpg

from services.chassis.db.database import Connection


async def list_emails_beyond_ascii(tx: Connection) -> list[tuple[UUID, str]]:
    """Logins whose address an earlier release kept with its domain in another script."""
    rows = await tx.fetch("SELECT id, email FROM logins WHERE octet_length(email) <> length(email)")
    return [(row["id"], row["email"]) for row in rows]


async def set_email(tx: Connection, login_id: UUID, email: str) -> bool:
    """Save the login's address; False when another login has it."""
    try:
        async with tx.transaction():
            await tx.execute("UPDATE logins SET email = $2 WHERE id = $1", login_id, email)
    except asyncpg.UniqueViolationError:
        return False
    return True
