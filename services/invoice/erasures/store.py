"""Every statement that erases. Each also writes the log of erasures. Needs the worker's role."""

from collections.abc import Sequence

from contracts.vocabulary import OPEN_INVOICES
from services.chassis.db.database import Connection
from services.chassis.db.sql import literals
from services.chassis.db.statements import rows_in
from services.invoice.erasures.domain import Erasure

_ERASED = "name = '', billing_address = '{}', tax_number = '', metadata = '{}'"
_ERASED_CLIENT = f"{_ERASED}, external_id = NULL, salt = NULL"
_ERASED_DOCUMENT = f"{_ERASED}, insurer_reference = ''"
_ERASED_TEXTS = """
    UPDATE invoices AS i SET note = '' FROM documents AS gone
    WHERE (i.clinic_id, i.id) = (gone.clinic_id, gone.invoice_id) AND i.note <> ''
), explanations AS (
    UPDATE invoice_documents AS d SET explanation = CASE WHEN d.reason = 'other' THEN '…' ELSE '' END
    FROM documents AS gone
    WHERE (d.clinic_id, d.invoice_id) = (gone.clinic_id, gone.invoice_id) AND d.explanation <> ''
"""
"""The texts to the client of the invoices in `documents`. Another reason is never without one."""


async def erase_due_invoices(tx: Connection, most: int) -> int:
    """Erase who was named on up to `most` documents whose time has passed. Open invoices keep it."""
    return await _count(
        tx,
        f"""
        WITH due AS (
            SELECT who.clinic_id, who.invoice_id
            FROM invoice_identities AS who
            JOIN invoices AS i ON (i.clinic_id, i.id) = (who.clinic_id, who.invoice_id)
            WHERE who.erased_at IS NULL AND who.erase_after <= app_now()::date
                AND i.status NOT IN {literals(OPEN_INVOICES)}
            ORDER BY who.erase_after LIMIT $1
            FOR UPDATE OF who SKIP LOCKED
        ), documents AS (
            UPDATE invoice_identities AS who SET {_ERASED_DOCUMENT}, erased_at = app_now() FROM due
            WHERE (who.clinic_id, who.invoice_id) = (due.clinic_id, due.invoice_id)
            RETURNING who.clinic_id, who.invoice_id, who.erased_at
        ), notes AS ({_ERASED_TEXTS})
        INSERT INTO erasures (clinic_id, kind, subject_id, erased_at)
        SELECT clinic_id, 'invoice', invoice_id, erased_at FROM documents
        """,
        most,
    )


async def erase_due_clients(tx: Connection, most: int) -> list[Erasure]:
    """Erase up to `most` clients whose time has passed and whom no document names any more."""
    rows = await tx.fetch(
        f"""
        WITH due AS (
            SELECT c.clinic_id, c.id FROM clients AS c
            WHERE c.erased_at IS NULL AND c.erase_after <= app_now()::date AND NOT EXISTS (
                SELECT FROM invoices AS i
                JOIN invoice_identities AS who ON (who.clinic_id, who.invoice_id) = (i.clinic_id, i.id)
                WHERE (i.clinic_id, i.client_id) = (c.clinic_id, c.id) AND who.erased_at IS NULL
            )
            ORDER BY c.erase_after LIMIT $1
            FOR UPDATE OF c SKIP LOCKED
        ), erased AS (
            UPDATE clients AS c SET {_ERASED_CLIENT}, erased_at = app_now() FROM due
            WHERE (c.clinic_id, c.id) = (due.clinic_id, due.id)
            RETURNING c.clinic_id, c.id, c.erased_at
        )
        INSERT INTO erasures (clinic_id, kind, subject_id, erased_at)
        SELECT clinic_id, 'client', id, erased_at FROM erased
        RETURNING clinic_id, kind, subject_id, erased_at
        """,
        most,
    )
    return [Erasure(**row) for row in rows]


async def list_erasures(tx: Connection) -> list[Erasure]:
    """The whole log, oldest first."""
    rows = await tx.fetch(
        "SELECT clinic_id, kind, subject_id, erased_at FROM erasures ORDER BY erased_at, clinic_id, subject_id"
    )
    return [Erasure(**row) for row in rows]


async def erase_again(tx: Connection, log: Sequence[Erasure]) -> list[Erasure]:
    """Erase what the log names and this database still holds, and add the log's entries. Answers the clients erased.

    A client who was given a name again after the erasure keeps it.
    """
    rows = await tx.fetch(
        f"""
        WITH log AS (
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::timestamptz[])
                AS log (clinic_id, kind, subject_id, erased_at)
        ), documents AS (
            UPDATE invoice_identities AS who SET {_ERASED_DOCUMENT}, erased_at = log.erased_at FROM log
            WHERE log.kind = 'invoice' AND who.erased_at IS NULL
                AND (who.clinic_id, who.invoice_id) = (log.clinic_id, log.subject_id)
            RETURNING who.clinic_id, who.invoice_id
        ), notes AS ({_ERASED_TEXTS}), people AS (
            UPDATE clients AS c SET {_ERASED_CLIENT}, erased_at = log.erased_at FROM log
            WHERE log.kind = 'client' AND c.erased_at IS NULL AND c.changed_at <= log.erased_at
                AND (c.clinic_id, c.id) = (log.clinic_id, log.subject_id)
            RETURNING log.*
        ), kept AS (
            INSERT INTO erasures (clinic_id, kind, subject_id, erased_at) SELECT * FROM log ON CONFLICT DO NOTHING
        )
        SELECT clinic_id, kind, subject_id, erased_at FROM people ORDER BY clinic_id, subject_id
        """,
        [each.clinic_id for each in log],
        [each.kind for each in log],
        [each.subject_id for each in log],
        [each.erased_at for each in log],
    )
    return [Erasure(**row) for row in rows]


async def _count(tx: Connection, sql: str, most: int) -> int:
    """The number of rows that the statement inserted."""
    return rows_in(await tx.execute(sql, most))
