"""SQL of steps of a login. A step's id is the SHA-256 hash of its cookie."""

from datetime import timedelta
from uuid import UUID

from services.chassis.db.database import Connection
from services.gateway.accounts.steps.domain import Step


async def add_step(tx: Connection, step: Step, lasts: timedelta) -> None:
    await tx.execute(
        """
        INSERT INTO login_steps (id_hash, kind, email, login_id, challenge, ends_at)
        VALUES ($1, $2, $3, $4, $5, app_now() + $6)
        """,
        step.id_hash,
        step.kind,
        step.email,
        step.login_id,
        step.challenge,
        lasts,
    )


async def renew_step(tx: Connection, before: bytes, step: Step, lasts: timedelta) -> bool:
    """Give a step of the same kind and address another key and another end; False without one that lasts."""
    renewed = await tx.fetchval(
        """
        UPDATE login_steps SET id_hash = $2, ends_at = app_now() + $5
        WHERE id_hash = $1 AND kind = $3 AND email = $4 AND ends_at > app_now() RETURNING true
        """,
        before,
        step.id_hash,
        step.kind,
        step.email,
        lasts,
    )
    return bool(renewed)


async def keep_step(tx: Connection, id_hash: bytes) -> bool:
    """Keep the step from ending until the transaction does; False when it has ended."""
    return bool(
        await tx.fetchval(
            "SELECT true FROM login_steps WHERE id_hash = $1 AND ends_at > app_now() FOR KEY SHARE", id_hash
        )
    )


async def get_step(tx: Connection, id_hash: bytes) -> Step | None:
    row = await tx.fetchrow(
        """
        SELECT id_hash, kind, email, login_id, challenge FROM login_steps
        WHERE id_hash = $1 AND ends_at > app_now()
        """,
        id_hash,
    )
    return None if row is None else Step(**row)


async def delete_step(tx: Connection, id_hash: bytes) -> bool:
    """End the step; False when it had ended. Of two at once, one gets True."""
    return bool(
        await tx.fetchval("DELETE FROM login_steps WHERE id_hash = $1 RETURNING ends_at > app_now()", id_hash)
    )


async def end_steps_of(tx: Connection, login_id: UUID) -> None:
    """End all steps of the login, in every browser."""
    await tx.execute("DELETE FROM login_steps WHERE login_id = $1", login_id)
