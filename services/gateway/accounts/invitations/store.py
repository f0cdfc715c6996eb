"""SQL of invitations: which client of which clinic a link invites."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from services.chassis.db.database import Connection


@dataclass(frozen=True, slots=True)
class Invitation:
    """`made_by` is the API key that asked for it."""

    clinic_id: UUID
    client_id: UUID
    made_by: UUID


async def put_invitation(
    tx: Connection, invitation: Invitation, link_id: UUID, lasts: timedelta
) -> UUID | None:
    """Keep the client's newest invitation, and return the link of the one before."""
    before: UUID | None = await tx.fetchval(
        """
        INSERT INTO invitations (clinic_id, client_id, link_id, made_by, ends_at)
        VALUES ($1, $2, $3, $4, app_now() + $5)
        ON CONFLICT (clinic_id, client_id) DO UPDATE
            SET link_id = excluded.link_id, made_by = excluded.made_by, ends_at = excluded.ends_at
        RETURNING old.link_id
        """,
        invitation.clinic_id,
        invitation.client_id,
        link_id,
        invitation.made_by,
        lasts,
    )
    return before


async def get_invitation(tx: Connection, link_id: UUID) -> Invitation | None:
    """Needs an operator's transaction: the clinic is not known before."""
    row = await tx.fetchrow(
        "SELECT clinic_id, client_id, made_by FROM invitations WHERE link_id = $1", link_id
    )
    return None if row is None else Invitation(**row)


async def delete_invitation(tx: Connection, clinic_id: UUID, client_id: UUID) -> UUID | None:
    """Delete the client's invitation, and return its link."""
    link_id: UUID | None = await tx.fetchval(
        "DELETE FROM invitations WHERE clinic_id = $1 AND client_id = $2 RETURNING link_id",
        clinic_id,
        client_id,
    )
    return link_id


async def was_declined(tx: Connection, clinic_id: UUID, login_id: UUID, client_id: UUID) -> bool:
    """Whether the login's owner said that the client is none of theirs."""
    return bool(
        await tx.fetchval(
            """
            SELECT declined_at IS NOT NULL FROM memberships
            WHERE clinic_id = $1 AND login_id = $2 AND client_id = $3
            """,
            clinic_id,
            login_id,
            client_id,
        )
    )
