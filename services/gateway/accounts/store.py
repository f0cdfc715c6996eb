"""SQL of logins, memberships and portals. E-mails come normalised, secrets only as hashes.

The SQL of sessions is in `sessions/store.py`, of rate limits in `rate_limits/store.py`.
"""

from collections.abc import Collection
from uuid import UUID

import msgspec

from services.chassis.db.database import Connection
from services.gateway.accounts.domain import Membership, Role


class Login(msgspec.Struct, frozen=True):
    id: UUID
    email: str
    password_hash: str
    password_by: UUID | None
    disabled: bool
    device_generation: int


class ClinicAccess(msgspec.Struct, frozen=True):
    """A login's role at a clinic: one of its clients, or staff.

    An inactive one waits for an operator, one that is not accepted for the login's owner.
    """

    client_id: UUID | None
    role: Role
    active: bool
    accepted: bool = True


# Logins and memberships


async def get_login(tx: Connection, email: str) -> Login | None:
    row = await tx.fetchrow(
        """
        SELECT id, email, password_hash, password_by, disabled_at IS NOT NULL AS disabled, device_generation
        FROM logins WHERE email = $1
        """,
        email,
    )
    return None if row is None else Login(**row)


async def get_login_by_id(tx: Connection, login_id: UUID) -> Login | None:
    row = await tx.fetchrow(
        """
        SELECT id, email, password_hash, password_by, disabled_at IS NOT NULL AS disabled, device_generation
        FROM logins WHERE id = $1
        """,
        login_id,
    )
    return None if row is None else Login(**row)


async def lock_login(tx: Connection, login_id: UUID) -> None:
    """Keep others from changing the login and its links until the transaction ends."""
    await tx.execute("SELECT FROM logins WHERE id = $1 FOR UPDATE", login_id)


async def add_login(
    tx: Connection,
    login_id: UUID,
    email: str,
    password_hash: str,
    password_by: UUID | None,
    made_by: UUID,
) -> bool:
    """Add a login; False when the e-mail has one, which no erasure deletes until the transaction ends."""
    added = await tx.fetchval(
        """
        INSERT INTO logins (id, email, password_hash, password_by, made_by) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (email) DO UPDATE SET email = excluded.email RETURNING old.id IS NULL
        """,
        login_id,
        email,
        password_hash,
        password_by,
        made_by,
    )
    return bool(added)


async def set_password(tx: Connection, login_id: UUID, password_hash: str, password_by: UUID | None) -> None:
    await tx.execute(
        "UPDATE logins SET password_hash = $2, password_by = $3 WHERE id = $1",
        login_id,
        password_hash,
        password_by,
    )


async def activate_memberships(tx: Connection, login_id: UUID) -> None:
    """Activate every membership of the login; needs an operator's transaction."""
    await tx.execute("UPDATE memberships SET active = true WHERE login_id = $1 AND NOT active", login_id)


async def get_access(
    tx: Connection, clinic_id: UUID, login_id: UUID, client_id: UUID | None
) -> ClinicAccess | None:
    """The login's access to the clinic as this client; as staff for None."""
    row = await tx.fetchrow(
        """
        SELECT client_id, role, active, accepted_at IS NOT NULL AS accepted FROM memberships
        WHERE clinic_id = $1 AND login_id = $2 AND client_id IS NOT DISTINCT FROM $3
        """,
        clinic_id,
        login_id,
        client_id,
    )
    return None if row is None else ClinicAccess(**row)


async def add_membership(
    tx: Connection, clinic_id: UUID, login_id: UUID, place: ClinicAccess
) -> ClinicAccess:
    """Upsert a membership, and return it. An active one stays active, and an answer of the login's stays."""
    row = await tx.fetchrow(
        """
        INSERT INTO memberships (clinic_id, login_id, client_id, role, active, accepted_at)
        VALUES ($1, $2, $3, $4, $5, CASE WHEN $6 THEN app_now() END)
        ON CONFLICT (clinic_id, login_id, client_id)
        DO UPDATE SET active = memberships.active OR excluded.active
        RETURNING client_id, role, active, accepted_at IS NOT NULL AS accepted
        """,
        clinic_id,
        login_id,
        place.client_id,
        place.role,
        place.active,
        place.accepted,
    )
    assert row is not None
    return ClinicAccess(**row)


async def answer_invitation(tx: Connection, invitation: Membership, login_id: UUID, accepted: bool) -> bool:
    """Keep the login's answer to an active membership; False when there is none that waits for it."""
    answered = await tx.fetchval(
        """
        UPDATE memberships
        SET accepted_at = CASE WHEN $4 THEN app_now() END, declined_at = CASE WHEN NOT $4 THEN app_now() END
        WHERE clinic_id = $1 AND login_id = $2 AND client_id IS NOT DISTINCT FROM $3
            AND active AND accepted_at IS NULL AND declined_at IS NULL
        RETURNING true
        """,
        invitation.clinic_id,
        login_id,
        invitation.client_id,
        accepted,
    )
    return bool(answered)


async def list_memberships(tx: Connection, login_id: UUID) -> list[Membership]:
    """The login's active memberships by slug, accepted or still to be answered."""
    await tx.execute("SELECT set_config('app.login', $1, true)", str(login_id))
    rows = await tx.fetch(
        """
        SELECT m.clinic_id, m.client_id, p.slug, m.role, m.accepted_at IS NOT NULL AS accepted, m.opened_at
        FROM memberships m JOIN portals p USING (clinic_id)
        WHERE m.login_id = $1 AND m.active AND m.declined_at IS NULL
        ORDER BY p.slug, m.created_at, m.client_id
        """,
        login_id,
    )
    return [Membership(**row) for row in rows]


async def mark_opened(tx: Connection, place: Membership, login_id: UUID) -> None:
    """Note that the login turned to this place now."""
    await tx.execute(
        """
        UPDATE memberships SET opened_at = app_now()
        WHERE clinic_id = $1 AND login_id = $2 AND client_id IS NOT DISTINCT FROM $3
        """,
        place.clinic_id,
        login_id,
        place.client_id,
    )


async def emails_at(tx: Connection, clinic_id: UUID, emails: Collection[str]) -> set[str]:
    """Of these addresses, those whose login opens the clinic."""
    rows = await tx.fetch(
        """
        SELECT l.email FROM memberships AS m JOIN logins AS l ON l.id = m.login_id
        WHERE m.clinic_id = $1 AND l.email = ANY ($2) AND m.active AND m.accepted_at IS NOT NULL
        """,
        clinic_id,
        list(emails),
    )
    return {row["email"] for row in rows}


# Portals


async def get_clinic_of_portal(tx: Connection, slug: str) -> UUID | None:
    """The clinic whose portal has this address, or had it."""
    found: UUID | None = await tx.fetchval(
        """
        SELECT clinic_id FROM portals WHERE slug = $1
        UNION ALL SELECT clinic_id FROM former_slugs WHERE slug = $1
        """,
        slug,
    )
    return found


async def get_new_slug(tx: Connection, slug: str) -> str | None:
    """The address of the portal that had this one before; None when none had it."""
    found: str | None = await tx.fetchval(
        "SELECT p.slug FROM former_slugs AS f JOIN portals AS p USING (clinic_id) WHERE f.slug = $1", slug
    )
    return found


async def get_slug(tx: Connection, clinic_id: UUID) -> str:
    """The slug of the clinic's portal. Every clinic that the gateway knows has one."""
    return str(await tx.fetchval("SELECT slug FROM portals WHERE clinic_id = $1", clinic_id))


async def put_portal(tx: Connection, clinic_id: UUID, slug: str) -> str | None:
    """Upsert the slug of the clinic's portal, and return the previous one, which leads to it from then on.

    Raises `UniqueViolationError` when another clinic has it.
    """
    before: str | None = await tx.fetchval(
        """
        INSERT INTO portals (clinic_id, slug) VALUES ($1, $2)
        ON CONFLICT (clinic_id) DO UPDATE SET slug = excluded.slug
        RETURNING old.slug
        """,
        clinic_id,
        slug,
    )
    return before
