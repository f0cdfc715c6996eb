"""SQL of steps of a login. A step's id is the SHA-256 hash of its cookie."""

from datetime import timedelta

from services.chassis.db.database import Connection
from services.gateway.accounts.steps.domain import Step


async def add_step(tx: Connection, step: Step, lasts: timedelta) -> None:
    await tx.execute(
        "INSERT INTO login_steps (id_hash, kind, email, ends_at) VALUES ($1, $2, $3, app_now() + $4)",
        step.id_hash,
        step.kind,
        step.email,
        lasts,
    )


async def get_step(tx: Connection, id_hash: bytes) -> Step | None:
    row = await tx.fetchrow(
        "SELECT id_hash, kind, email FROM login_steps WHERE id_hash = $1 AND ends_at > app_now()", id_hash
    )
    return None if row is None else Step(**row)


async def delete_step(tx: Connection, id_hash: bytes) -> None:
    await tx.execute("DELETE FROM login_steps WHERE id_hash = $1", id_hash)
