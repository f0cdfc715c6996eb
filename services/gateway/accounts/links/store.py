"""SQL of links and their tokens. Tokens come as SHA-256 hashes.

A link that was used, or replaced by a newer one, is deleted.
"""

from datetime import timedelta
from uuid import UUID

from services.chassis.db.database import Connection
from services.gateway.accounts.links.domain import Link, Purpose


async def add_link(
    tx: Connection, link_id: UUID, purpose: Purpose, login_id: UUID | None, email: str, lasts: timedelta
) -> None:
    """Add a link, and end the login's older ones for the same purpose. The caller has locked the login."""
    await tx.execute("DELETE FROM links WHERE login_id = $1 AND purpose = $2", login_id, purpose)
    await tx.execute(
        "INSERT INTO links (id, purpose, login_id, email, ends_at) VALUES ($1, $2, $3, $4, app_now() + $5)",
        link_id,
        purpose,
        login_id,
        email,
        lasts,
    )


async def add_token(tx: Connection, link_id: UUID, token_hash: bytes) -> Link | None:
    """Let one more token open the link; None when the link has ended."""
    row = await tx.fetchrow(
        """
        WITH link AS (
            SELECT id, login_id, email, ends_at FROM links WHERE id = $1 AND ends_at > app_now() FOR UPDATE
        ), added AS (
            INSERT INTO link_tokens (token_hash, link_id) SELECT $2, id FROM link
        )
        SELECT * FROM link
        """,
        link_id,
        token_hash,
    )
    return None if row is None else Link(**row)


async def get_link(tx: Connection, purpose: Purpose, token_hash: bytes) -> Link | None:
    """The link that the token opens; None when there is none that works."""
    row = await tx.fetchrow(
        """
        SELECT id, login_id, email, ends_at FROM links
        WHERE id = (SELECT link_id FROM link_tokens WHERE token_hash = $2)
            AND purpose = $1 AND ends_at > app_now()
        """,
        purpose,
        token_hash,
    )
    return None if row is None else Link(**row)


async def has_link(tx: Connection, purpose: Purpose, login_id: UUID, lasts: timedelta) -> bool:
    """Whether the login has a link that works for so long yet."""
    found = await tx.fetchval(
        "SELECT EXISTS (SELECT FROM links WHERE login_id = $1 AND purpose = $2 AND ends_at > app_now() + $3)",
        login_id,
        purpose,
        lasts,
    )
    return bool(found)


async def use_link(tx: Connection, purpose: Purpose, token_hash: bytes) -> Link | None:
    """Use the link up, and return it; None when there is none that works. Of two at once, one gets it."""
    row = await tx.fetchrow(
        """
        DELETE FROM links
        WHERE id = (SELECT link_id FROM link_tokens WHERE token_hash = $2)
            AND purpose = $1 AND ends_at > app_now()
        RETURNING id, login_id, email, ends_at
        """,
        purpose,
        token_hash,
    )
    return None if row is None else Link(**row)


async def end_link(tx: Connection, link_id: UUID) -> None:
    await tx.execute("DELETE FROM links WHERE id = $1", link_id)


async def end_links_of(tx: Connection, login_id: UUID) -> None:
    """End all links of the login."""
    await tx.execute("DELETE FROM links WHERE login_id = $1", login_id)
