"""SQL that ends what erased clients have here."""

from collections.abc import Collection
from uuid import UUID

from services.chassis.db.database import Connection, Key


async def list_clients(tx: Connection, after: Key, limit: int) -> list[Key]:
    """Clients with a membership or an invitation, by (clinic, client) from after `after`. Needs an operator's."""
    rows = await tx.fetch(
        """
        (
            SELECT DISTINCT clinic_id, client_id FROM memberships
            WHERE client_id IS NOT NULL AND (clinic_id, client_id) > ($1, $2)
            ORDER BY clinic_id, client_id LIMIT $3
        ) UNION (
            SELECT clinic_id, client_id FROM invitations
            WHERE (clinic_id, client_id) > ($1, $2) ORDER BY clinic_id, client_id LIMIT $3
        )
        ORDER BY clinic_id, client_id LIMIT $3
        """,
        *after,
        limit,
    )
    return [(row["clinic_id"], row["client_id"]) for row in rows]


async def delete_memberships(tx: Connection, clinic_id: UUID, client_ids: Collection[UUID]) -> set[UUID]:
    """Delete the memberships of these clients; returns the logins that had them."""
    rows = await tx.fetch(
        "DELETE FROM memberships WHERE clinic_id = $1 AND client_id = ANY($2) RETURNING login_id",
        clinic_id,
        list(client_ids),
    )
    return {row["login_id"] for row in rows}


async def delete_invitations(tx: Connection, clinic_id: UUID, client_ids: Collection[UUID]) -> None:
    """Delete the invitations of these clients, with their links and the addresses that these went to."""
    await tx.execute(
        """
        WITH gone AS (
            DELETE FROM invitations WHERE clinic_id = $1 AND client_id = ANY($2) RETURNING link_id
        )
        DELETE FROM links USING gone WHERE links.id = gone.link_id
        """,
        clinic_id,
        list(client_ids),
    )


async def delete_unused(tx: Connection, login_ids: Collection[UUID]) -> None:
    """Delete those of these logins that open no clinic and are awaited by none. Needs an operator's transaction.

    A membership that the login's owner declined keeps none. A login that is given a membership meanwhile stays.
    """
    await tx.execute("SELECT FROM logins WHERE id = ANY($1) ORDER BY id FOR UPDATE", list(login_ids))
    await tx.execute(
        """
        DELETE FROM logins WHERE id = ANY($1) AND NOT EXISTS (
            SELECT FROM memberships AS m WHERE m.login_id = logins.id AND m.declined_at IS NULL
        )
        """,
        list(login_ids),
    )
