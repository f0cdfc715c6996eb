"""SQL of operators, in the gateway's database. Tokens and session ids come as SHA-256 hashes."""

from datetime import timedelta
from uuid import UUID

from deploy.ops.console.operators.domain import Act, Known, Operator
from services.chassis.db.database import Connection
from services.gateway.accounts.sealing import Sealed

_KNOWN = """
    id, name, created_at, password_hash, sealed, used_step,
    EXISTS (SELECT FROM operator_invitations WHERE operator_id = operators.id AND ends_at > app_now()) AS is_invited
"""


async def add_operator(tx: Connection, operator: Operator) -> bool:
    """False when there is one of this name."""
    added = await tx.execute(
        "INSERT INTO operators (id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING", operator.id, operator.name
    )
    return bool(added == "INSERT 0 1")


async def get_operator(tx: Connection, name: str) -> Known | None:
    row = await tx.fetchrow(f"SELECT {_KNOWN} FROM operators WHERE name = $1", name)
    return None if row is None else Known(**row)


async def list_operators(tx: Connection) -> list[Known]:
    """The oldest first."""
    return [Known(**row) for row in await tx.fetch(f"SELECT {_KNOWN} FROM operators ORDER BY created_at, id")]


async def delete_operator(tx: Connection, operator_id: UUID) -> None:
    await tx.execute("DELETE FROM operators WHERE id = $1", operator_id)


async def put_proof(
    tx: Connection, operator_id: UUID, password_hash: str, sealed: Sealed, used_step: int
) -> None:
    await tx.execute(
        "UPDATE operators SET password_hash = $2, sealed = $3, sealed_by = $4, used_step = $5 WHERE id = $1",
        operator_id,
        password_hash,
        sealed.secret,
        sealed.by,
        used_step,
    )


async def remove_proof(tx: Connection, operator_id: UUID) -> None:
    await tx.execute(
        "UPDATE operators SET password_hash = NULL, sealed = NULL, sealed_by = NULL, used_step = NULL WHERE id = $1",
        operator_id,
    )


async def use_step(tx: Connection, operator_id: UUID, step: int, sealed: Sealed) -> bool:
    """Use up the codes of this step and before, and keep the secret sealed so; False when that was done before."""
    used = await tx.execute(
        "UPDATE operators SET used_step = $2, sealed = $3, sealed_by = $4 WHERE id = $1 AND used_step < $2",
        operator_id,
        step,
        sealed.secret,
        sealed.by,
    )
    return bool(used == "UPDATE 1")


# Invitations


async def put_invitation(tx: Connection, operator_id: UUID, token_hash: bytes, lasts: timedelta) -> None:
    await tx.execute(
        """
        INSERT INTO operator_invitations (operator_id, token_hash, ends_at) VALUES ($1, $2, app_now() + $3)
        ON CONFLICT (operator_id) DO UPDATE SET token_hash = excluded.token_hash, ends_at = excluded.ends_at
        """,
        operator_id,
        token_hash,
        lasts,
    )


async def get_invited(tx: Connection, token_hash: bytes) -> Operator | None:
    row = await tx.fetchrow(
        """
        SELECT id, name FROM operators JOIN operator_invitations ON operator_id = id
        WHERE token_hash = $1 AND ends_at > app_now()
        """,
        token_hash,
    )
    return None if row is None else Operator(**row)


async def delete_invitation(tx: Connection, token_hash: bytes) -> bool:
    """Use the invitation up; False when that was done before, or it has ended."""
    deleted = await tx.execute(
        "DELETE FROM operator_invitations WHERE token_hash = $1 AND ends_at > app_now()", token_hash
    )
    return bool(deleted == "DELETE 1")


# Sessions


async def add_session(
    tx: Connection, id_hash: bytes, operator_id: UUID, idle: timedelta, absolute: timedelta
) -> None:
    """Sessions that have ended go."""
    await tx.execute("DELETE FROM operator_sessions WHERE least(idle_at, ends_at) <= app_now()")
    await tx.execute(
        """
        INSERT INTO operator_sessions (id_hash, operator_id, idle_at, ends_at)
        VALUES ($1, $2, app_now() + $3, app_now() + $4)
        """,
        id_hash,
        operator_id,
        idle,
        absolute,
    )


async def get_session(tx: Connection, id_hash: bytes, idle: timedelta) -> tuple[Operator, bool] | None:
    """Whose session it is, and whether its end is to be put off, which is so once a minute; None once it has ended."""
    row = await tx.fetchrow(
        """
        SELECT id, name, idle_at < app_now() + $2 - interval '1 minute' AS is_to_renew
        FROM operator_sessions JOIN operators ON operators.id = operator_id
        WHERE id_hash = $1 AND app_now() < least(idle_at, ends_at)
        """,
        id_hash,
        idle,
    )
    return None if row is None else (Operator(row["id"], row["name"]), row["is_to_renew"])


async def renew_session(tx: Connection, id_hash: bytes, idle: timedelta) -> None:
    await tx.execute(
        "UPDATE operator_sessions SET idle_at = app_now() + $2 WHERE id_hash = $1", id_hash, idle
    )


async def delete_session(tx: Connection, id_hash: bytes) -> None:
    await tx.execute("DELETE FROM operator_sessions WHERE id_hash = $1", id_hash)


async def delete_sessions_of(tx: Connection, operator_id: UUID) -> None:
    await tx.execute("DELETE FROM operator_sessions WHERE operator_id = $1", operator_id)


# Acts


async def add_act(
    tx: Connection, act_id: UUID, operator: Operator, action: str, service: str, subject: str, reason: str
) -> None:
    await tx.execute(
        """
        INSERT INTO operator_acts (id, operator_id, operator, action, service, subject, reason)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        act_id,
        operator.id,
        operator.name,
        action,
        service,
        subject,
        reason,
    )


async def end_act(tx: Connection, act_id: UUID, outcome: str) -> None:
    await tx.execute("UPDATE operator_acts SET outcome = $2 WHERE id = $1", act_id, outcome)


async def list_acts(tx: Connection, most: int) -> list[Act]:
    """The newest first."""
    rows = await tx.fetch(
        """
        SELECT at, operator, action, service, subject, reason, coalesce(outcome, '') AS outcome
        FROM operator_acts ORDER BY at DESC, id DESC LIMIT $1
        """,
        most,
    )
    return [Act(**row) for row in rows]
