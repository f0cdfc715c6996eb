"""SQL of second factors. Secrets come sealed, recovery codes as SHA-256 hashes."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from services.chassis.db.database import Connection
from services.gateway.accounts.sealing import Sealed
from services.gateway.accounts.second_factors.domain import SecondFactor


async def get_factor(tx: Connection, login_id: UUID) -> SecondFactor | None:
    row = await tx.fetchrow(
        """
        SELECT login_id, sealed, used_step,
            (SELECT count(*) FROM recovery_codes WHERE login_id = $1) AS codes_left
        FROM second_factors WHERE login_id = $1
        """,
        login_id,
    )
    return None if row is None else SecondFactor(**row)


async def add_factor(tx: Connection, login_id: UUID, sealed: Sealed, used_step: int) -> bool:
    """Switch a second factor on; False when one is on."""
    return bool(
        await tx.fetchval(
            """
            INSERT INTO second_factors (login_id, sealed, sealed_by, used_step) VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING RETURNING true
            """,
            login_id,
            sealed.secret,
            sealed.by,
            used_step,
        )
    )


async def use_step(tx: Connection, login_id: UUID, step: int) -> bool:
    """Accept a code of this step, once; False when one of it, or of a later one, was accepted before."""
    return bool(
        await tx.fetchval(
            "UPDATE second_factors SET used_step = $2 WHERE login_id = $1 AND used_step < $2 RETURNING true",
            login_id,
            step,
        )
    )


async def delete_factor(tx: Connection, login_id: UUID) -> bool:
    """Switch it off, with its recovery codes; False when none is on."""
    return bool(await tx.fetchval("DELETE FROM second_factors WHERE login_id = $1 RETURNING true", login_id))


async def list_sealed_by_others(
    tx: Connection, mark: bytes, after: UUID, most: int
) -> list[tuple[UUID, bytes]]:
    """Second factors whose secret another key than the present one sealed, in order of their logins, locked."""
    rows = await tx.fetch(
        """
        SELECT login_id, sealed FROM second_factors WHERE login_id > $2 AND sealed_by <> $1
        ORDER BY login_id LIMIT $3 FOR UPDATE
        """,
        mark,
        after,
        most,
    )
    return [(row["login_id"], row["sealed"]) for row in rows]


async def put_sealed(tx: Connection, login_id: UUID, sealed: Sealed) -> None:
    await tx.execute(
        "UPDATE second_factors SET sealed = $2, sealed_by = $3 WHERE login_id = $1",
        login_id,
        sealed.secret,
        sealed.by,
    )


async def put_setup(
    tx: Connection, login_id: UUID, session_hash: bytes, sealed: bytes, lasts: timedelta
) -> None:
    """Put it in the place of the login's earlier one, also of another session."""
    await tx.execute(
        """
        INSERT INTO second_factor_setups (login_id, session_hash, sealed, ends_at)
        VALUES ($1, $2, $3, app_now() + $4)
        ON CONFLICT (login_id) DO UPDATE SET
            session_hash = excluded.session_hash, sealed = excluded.sealed, ends_at = excluded.ends_at
        """,
        login_id,
        session_hash,
        sealed,
        lasts,
    )


async def get_setup(tx: Connection, login_id: UUID, session_hash: bytes) -> bytes | None:
    """The sealed secret that this session prepared, as long as the session lasts."""
    sealed: bytes | None = await tx.fetchval(
        """
        SELECT f.sealed FROM second_factor_setups f JOIN sessions s ON s.id_hash = f.session_hash
        WHERE f.login_id = $1 AND f.session_hash = $2 AND f.ends_at > app_now()
            AND s.login_id = $1 AND app_now() < s.idle_at AND app_now() < s.ends_at
        """,
        login_id,
        session_hash,
    )
    return sealed


async def delete_setup(tx: Connection, login_id: UUID) -> None:
    await tx.execute("DELETE FROM second_factor_setups WHERE login_id = $1", login_id)


async def put_recovery_codes(tx: Connection, login_id: UUID, hashes: Iterable[bytes]) -> None:
    """Put these in the place of all that the login has."""
    await tx.execute("DELETE FROM recovery_codes WHERE login_id = $1", login_id)
    await tx.execute(
        "INSERT INTO recovery_codes (login_id, code_hash) SELECT $1, unnest($2::bytea[])",
        login_id,
        list(hashes),
    )


async def use_recovery_code(tx: Connection, login_id: UUID, code_hash: bytes) -> bool:
    """Use a code up; False when there is no such one, or no more."""
    return bool(
        await tx.fetchval(
            "DELETE FROM recovery_codes WHERE login_id = $1 AND code_hash = $2 RETURNING true",
            login_id,
            code_hash,
        )
    )
