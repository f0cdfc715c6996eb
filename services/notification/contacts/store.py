"""Every SQL statement on contacts."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import asyncpg

from contracts.vocabulary import ChosenMail
from services.chassis.db.database import Connection
from services.chassis.ids import Key, columns
from services.notification.contacts.domain import Contact, Refused

_COLUMNS = "client_id, email, name, language, refused_reason, refused_at, salt"


async def add_contact(tx: Connection, clinic_id: UUID, contact: Contact) -> Contact | None:
    """Add a contact; None when the client has one."""
    row = await tx.fetchrow(
        f"""
        INSERT INTO contacts (clinic_id, client_id, email, name, language) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (clinic_id, client_id) DO NOTHING RETURNING {_COLUMNS}
        """,
        *_columns(clinic_id, contact),
    )
    return _contact(row) if row else None


async def save_contact(tx: Connection, clinic_id: UUID, contact: Contact) -> None:
    await tx.execute(
        """
        UPDATE contacts SET email = $3, name = $4, language = $5, updated_at = app_now(),
            refused_reason = CASE WHEN email = $3 THEN refused_reason END,
            refused_at = CASE WHEN email = $3 THEN refused_at END
        WHERE clinic_id = $1 AND client_id = $2
        """,
        *_columns(clinic_id, contact),
    )


async def lock_contact(tx: Connection, clinic_id: UUID, client_id: UUID) -> None:
    """Keep others from changing the contact, if there is one, until the transaction ends."""
    await tx.execute(
        "SELECT FROM contacts WHERE clinic_id = $1 AND client_id = $2 FOR UPDATE", clinic_id, client_id
    )


async def get_contact(tx: Connection, clinic_id: UUID, client_id: UUID) -> Contact | None:
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM contacts WHERE clinic_id = $1 AND client_id = $2",
        clinic_id,
        client_id,
    )
    return _contact(row) if row else None


async def list_contacts(
    tx: Connection, clinic_id: UUID, email: str, after: UUID, limit: int
) -> list[Contact]:
    """The contacts that an address reaches, whatever its case, in order of their clients' ids."""
    rows = await tx.fetch(
        f"""
        SELECT {_COLUMNS} FROM contacts
        WHERE clinic_id = $1 AND email_lower = lower($2) AND client_id > $3
        ORDER BY client_id LIMIT $4
        """,
        clinic_id,
        email,
        after,
        limit,
    )
    return [_contact(row) for row in rows]


async def delete_contact(tx: Connection, clinic_id: UUID, client_id: UUID) -> Contact | None:
    """Delete a contact; what it was, None when there was none."""
    row = await tx.fetchrow(
        f"""
        DELETE FROM contacts WHERE clinic_id = $1 AND client_id = $2
        RETURNING {_COLUMNS}
        """,
        clinic_id,
        client_id,
    )
    return _contact(row) if row else None


async def delete_erased(tx: Connection, erased: Mapping[Key, datetime]) -> None:
    """Delete what is kept of erased clients, by (clinic, client): contacts older than the erasure, and choices."""
    await tx.execute(
        """
        WITH erased AS (
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS erased (clinic_id, client_id, erased_at)
        ), gone AS (
            DELETE FROM contacts USING erased
            WHERE (contacts.clinic_id, contacts.client_id) = (erased.clinic_id, erased.client_id)
                AND contacts.updated_at <= erased.erased_at
        )
        DELETE FROM unwanted_mail USING erased
        WHERE (unwanted_mail.clinic_id, unwanted_mail.client_id) = (erased.clinic_id, erased.client_id)
            AND NOT EXISTS (
                SELECT FROM contacts AS newer
                WHERE (newer.clinic_id, newer.client_id) = (erased.clinic_id, erased.client_id)
                    AND newer.updated_at > erased.erased_at
            )
        """,
        *columns(erased),
        [erased[key] for key in sorted(erased)],
    )


async def list_unwanted(tx: Connection, clinic_id: UUID, client_id: UUID) -> tuple[ChosenMail, ...]:
    """The kinds of e-mails that the client does not want."""
    rows = await tx.fetch(
        "SELECT template FROM unwanted_mail WHERE clinic_id = $1 AND client_id = $2 ORDER BY template",
        clinic_id,
        client_id,
    )
    return tuple(row["template"] for row in rows)


async def save_choice(
    tx: Connection, clinic_id: UUID, client_id: UUID, kind: ChosenMail, *, wanted: bool
) -> None:
    await tx.execute(
        "DELETE FROM unwanted_mail WHERE clinic_id = $1 AND client_id = $2 AND template = $3"
        if wanted
        else "INSERT INTO unwanted_mail (clinic_id, client_id, template) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        clinic_id,
        client_id,
        kind,
    )


def _contact(row: asyncpg.Record) -> Contact:
    refused = Refused(row["refused_reason"], row["refused_at"]) if row["refused_at"] else None
    return Contact(row["client_id"], row["email"], row["name"], row["language"], refused, row["salt"])


def _columns(clinic_id: UUID, contact: Contact) -> tuple[UUID, UUID, str, str, str]:
    return clinic_id, contact.client_id, contact.email, contact.name, contact.language
