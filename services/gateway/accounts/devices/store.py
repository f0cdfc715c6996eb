"""SQL of the generation of a login's known browsers."""

from uuid import UUID

from services.chassis.db.database import Connection


async def get_generation(tx: Connection, login_id: UUID) -> int:
    return int(await tx.fetchval("SELECT device_generation FROM logins WHERE id = $1", login_id))


async def next_generation(tx: Connection, login_id: UUID) -> None:
    """Forget all browsers that the login knows."""
    await tx.execute("UPDATE logins SET device_generation = device_generation + 1 WHERE id = $1", login_id)
