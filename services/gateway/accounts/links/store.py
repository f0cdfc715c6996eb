"""SQL of links and their tokens. Tokens come as SHA-256 hashes.

A link that was used, or replaced by a newer one, is deleted.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from services.chassis.db.database import Connection
from services.gateway.accounts.links.domain import Link, Purpose


async def add_link(
    tx: Connection,
    link_id: UUID,
    purpose: Purpose,
    login_id: UUID | None,
    email: str,
    lasts: timedelta,
    step_hash: bytes | None = None,
) -> None:
    """Add a link, and end the login's older ones for the same purpose: with a step, those of its browser alone.

    The caller has locked the login.
    """
    await tx.execute(
        "DELETE FROM links WHERE login_id = $1 AND purpose = $2 AND step_hash IS NOT DISTINCT FROM $3",
        login_id,
        purpose,
        step_hash,
    )
    await tx.execute(
        """
        INSERT INTO links (id, purpose, login_id, email, step_hash, ends_at)
        VALUES ($1, $2, $3, $4, $5, app_now() + $6)
        """,
        link_id,
        purpose,
        login_id,
        email,
        step_hash,
        lasts,
    )


async def add_token(
    tx: Connection, link_id: UUID, token_hash: bytes, code_hash: bytes | None = None
) -> Link | None:
    """Let one more token open the link, and the code that may be typed in its place; None when the link has ended."""
    row = await tx.fetchrow(
        """
        WITH link AS (
            SELECT id, login_id, email, ends_at FROM links WHERE id = $1 AND ends_at > app_now() FOR UPDATE
        ), added AS (
            INSERT INTO link_tokens (token_hash, link_id, code_hash) SELECT $2, id, $3 FROM link
        )
        SELECT * FROM link
        """,
        link_id,
        token_hash,
        code_hash,
    )
    return None if row is None else Link(**row)


async def get_link(
    tx: Connection, purpose: Purpose, token_hash: bytes, step_hash: bytes | None = None
) -> Link | None:
    """The link that the token opens, in the browser of the step; None when there is none that works."""
    row = await tx.fetchrow(
        """
        SELECT id, login_id, email, ends_at FROM links
        WHERE id = (SELECT link_id FROM link_tokens WHERE token_hash = $2)
            AND purpose = $1 AND step_hash IS NOT DISTINCT FROM $3 AND ends_at > app_now()
        """,
        purpose,
        token_hash,
        step_hash,
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


async def use_link(
    tx: Connection, purpose: Purpose, token_hash: bytes, step_hash: bytes | None = None
) -> Link | None:
    """Use the link up, and return it; None when there is none that works. Of two at once, one gets it."""
    row = await tx.fetchrow(
        """
        DELETE FROM links
        WHERE id = (SELECT link_id FROM link_tokens WHERE token_hash = $2)
            AND purpose = $1 AND step_hash IS NOT DISTINCT FROM $3 AND ends_at > app_now()
        RETURNING id, login_id, email, ends_at
        """,
        purpose,
        token_hash,
        step_hash,
    )
    return None if row is None else Link(**row)


async def use_code(tx: Connection, step_hash: bytes, code_hashes: Sequence[bytes]) -> Link | None:
    """Use up the link of the step by a code; None when the code is of none that works. Of two at once, one gets it."""
    row = await tx.fetchrow(
        """
        DELETE FROM links
        WHERE step_hash = $1 AND ends_at > app_now()
            AND id IN (SELECT link_id FROM link_tokens WHERE link_tokens.link_id = links.id AND code_hash = ANY ($2))
        RETURNING id, login_id, email, ends_at
        """,
        step_hash,
        code_hashes,
    )
    return None if row is None else Link(**row)


async def end_link(tx: Connection, link_id: UUID) -> None:
    await tx.execute("DELETE FROM links WHERE id = $1", link_id)


async def end_links_of(tx: Connection, login_id: UUID) -> None:
    """End all links of the login."""
    await tx.execute("DELETE FROM links WHERE login_id = $1", login_id)


async def end_codes_of(tx: Connection, login_id: UUID) -> None:
    """End the login's codes by e-mail, in every browser."""
    await tx.execute("DELETE FROM links WHERE login_id = $1 AND purpose = 'login_code'", login_id)
