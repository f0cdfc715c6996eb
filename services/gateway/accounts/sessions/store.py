"""SQL of sessions. A session's id is the SHA-256 hash of its cookie."""

from datetime import timedelta
from typing import Literal
from uuid import UUID

from services.chassis.db.database import Connection
from services.gateway.accounts.domain import Session

EndReason = Literal["password", "everywhere", "elsewhere"]


async def get_session(tx: Connection, id_hash: bytes, idle: timedelta) -> tuple[str, bool] | None:
    """The session's JSON, unless it has been idle for too long or has ended, and whether its end is to be put off.

    That is so at most once a minute, so that a page of ten requests writes once.
    """
    row = await tx.fetchrow(
        """
        SELECT data::text, idle_at < app_now() + $2 - interval '1 minute' AS is_to_renew FROM sessions
        WHERE id_hash = $1 AND app_now() < idle_at AND app_now() < ends_at
        """,
        id_hash,
        idle,
    )
    return None if row is None else (row["data"], row["is_to_renew"])


async def renew_session(tx: Connection, id_hash: bytes, idle: timedelta) -> None:
    """Put off the end by idleness."""
    await tx.execute(
        "UPDATE sessions SET idle_at = app_now() + $2 WHERE id_hash = $1 AND app_now() < idle_at",
        id_hash,
        idle,
    )


async def put_session(
    tx: Connection, id_hash: bytes, data: str, idle: timedelta, absolute: timedelta
) -> None:
    await tx.execute(
        """
        INSERT INTO sessions (id_hash, data, idle_at, ends_at)
        VALUES ($1, $2::text::jsonb, app_now() + $3, app_now() + $4)
        ON CONFLICT (id_hash) DO UPDATE SET data = excluded.data, idle_at = excluded.idle_at
        """,
        id_hash,
        data,
        idle,
        absolute,
    )


async def session_seconds(tx: Connection, id_hash: bytes) -> int | None:
    """How long the session lasts if nobody uses it, in seconds; None when there is none."""
    seconds = await tx.fetchval(
        """
        SELECT extract(epoch FROM least(idle_at, ends_at) - app_now())::int FROM sessions
        WHERE id_hash = $1 AND app_now() < idle_at AND app_now() < ends_at
        """,
        id_hash,
    )
    return None if seconds is None else int(seconds)


async def delete_session(tx: Connection, id_hash: bytes) -> None:
    await tx.execute("DELETE FROM sessions WHERE id_hash = $1", id_hash)


async def delete_all_sessions(tx: Connection) -> None:
    await tx.execute("DELETE FROM sessions")


async def end_sessions_of(tx: Connection, login_id: UUID, reason: EndReason = "password") -> None:
    """End the login's sessions: it has another password, or its owner said so. They hold nothing from then on."""
    await tx.execute(
        "UPDATE sessions SET idle_at = app_now(), data = '{}', ended_for = $2 WHERE login_id = $1",
        login_id,
        reason,
    )


async def end_session(tx: Connection, login_id: UUID, id_hash: bytes) -> None:
    """End one session of the login, from another one. Nothing happens to a session of another login."""
    await tx.execute(
        """
        UPDATE sessions SET idle_at = app_now(), data = '{}', ended_for = 'elsewhere'
        WHERE id_hash = $2 AND login_id = $1 AND app_now() < idle_at
        """,
        login_id,
        id_hash,
    )


async def list_sessions(tx: Connection, login_id: UUID, idle: timedelta) -> list[Session]:
    """The login's sessions that last, the last used first."""
    rows = await tx.fetch(
        """
        SELECT id_hash, coalesce(data ->> 'device', '') AS device,
            coalesce((data ->> 'signed_in_at')::timestamptz, created_at) AS begun_at,
            idle_at - $2::interval AS used_at
        FROM sessions WHERE login_id = $1 AND app_now() < idle_at AND app_now() < ends_at
        ORDER BY idle_at DESC
        """,
        login_id,
        idle,
    )
    return [Session(**row) for row in rows]


async def why_ended(tx: Connection, id_hash: bytes) -> str | None:
    """A new `password`, `everywhere` or `elsewhere` (its owner said so), `long` or `idle`.

    None if it lasts or is not known.
    """
    reason: str | None = await tx.fetchval(
        """
        SELECT CASE
            WHEN ended_for IS NOT NULL THEN ended_for
            WHEN ends_at <= app_now() THEN 'long'
            WHEN idle_at <= app_now() THEN 'idle'
        END FROM sessions WHERE id_hash = $1
        """,
        id_hash,
    )
    return reason
