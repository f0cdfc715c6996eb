"""Every SQL statement on the copies of clinics and invoices: each row is the newest version received."""

from collections.abc import Collection, Sequence
from uuid import UUID

from contracts.events.clinic import ClinicUpdated
from contracts.events.invoice import InvoiceState
from contracts.money import Money
from services.chassis.db.database import Connection, Key
from services.notification.projections.domain import Clinic, Invoice


async def upsert_clinics(tx: Connection, clinics: Sequence[ClinicUpdated]) -> None:
    """Save clinics whose stored version is older. `clinics` holds each one at most once."""
    await tx.execute(
        """
        INSERT INTO clinics AS held (clinic_id, slug, name, locale, time_zone, accent, billing_shown,
            online_payment, phone, email, address, hours, version)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bool[],
            $8::bool[], $9::text[], $10::text[], $11::text[], $12::text[], $13::int[])
        ON CONFLICT (clinic_id) DO UPDATE SET (slug, name, locale, time_zone, accent, billing_shown,
            online_payment, phone, email, address, hours, version) = ROW (excluded.slug, excluded.name,
            excluded.locale, excluded.time_zone, excluded.accent, excluded.billing_shown, excluded.online_payment,
            excluded.phone, excluded.email, excluded.address, excluded.hours, excluded.version)
        WHERE held.version < excluded.version
        """,
        [clinic.clinic_id for clinic in clinics],
        [clinic.slug for clinic in clinics],
        [clinic.name for clinic in clinics],
        [clinic.locale for clinic in clinics],
        [clinic.time_zone for clinic in clinics],
        [clinic.accent for clinic in clinics],
        [clinic.billing_shown for clinic in clinics],
        [clinic.online_payment for clinic in clinics],
        [clinic.contact.phone for clinic in clinics],
        [clinic.contact.email for clinic in clinics],
        [clinic.contact.address for clinic in clinics],
        [clinic.contact.hours for clinic in clinics],
        [clinic.version for clinic in clinics],
    )


async def upsert_invoices(tx: Connection, invoices: Sequence[InvoiceState]) -> None:
    """Save invoices whose stored version is older. `invoices` holds each one at most once."""
    due = [invoice.due for invoice in invoices]
    await tx.execute(
        """
        INSERT INTO invoices AS held (clinic_id, id, client_id, number, status, due_amount, currency, due_on, version,
            being_checked)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::text[],
            $8::date[], $9::int[], $10::bool[])
        ON CONFLICT (clinic_id, id) DO UPDATE SET (client_id, number, status, due_amount, currency, due_on, version,
            being_checked) = ROW (excluded.client_id, excluded.number, excluded.status, excluded.due_amount,
            excluded.currency, excluded.due_on, excluded.version, excluded.being_checked)
        WHERE held.version < excluded.version
        """,
        [invoice.clinic_id for invoice in invoices],
        [invoice.invoice_id for invoice in invoices],
        [invoice.client_id for invoice in invoices],
        [invoice.number for invoice in invoices],
        [invoice.status for invoice in invoices],
        [amount.minor for amount in due],
        [amount.currency for amount in due],
        [invoice.due_on for invoice in invoices],
        [invoice.version for invoice in invoices],
        [invoice.being_checked for invoice in invoices],
    )


async def get_clinics(tx: Connection, ids: Collection[UUID]) -> dict[UUID, Clinic]:
    """Clinics by id; unknown ones are left out."""
    rows = await tx.fetch(
        """
        SELECT clinic_id AS id, slug, name, locale, time_zone, accent, billing_shown, online_payment,
            phone, email, address, hours
        FROM clinics WHERE clinic_id = ANY($1::uuid[])
        """,
        list(ids),
    )
    return {row["id"]: Clinic(**row) for row in rows}


async def get_invoices(tx: Connection, keys: Collection[Key]) -> dict[Key, Invoice]:
    """Invoices by (clinic, id); unknown ones are left out."""
    rows = await tx.fetch(
        """
        SELECT clinic_id, id, number, status, due_amount, currency, due_on, being_checked FROM invoices
        WHERE (clinic_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        """,
        [clinic_id for clinic_id, _ in keys],
        [invoice_id for _, invoice_id in keys],
    )
    return {
        (row["clinic_id"], row["id"]): Invoice(
            row["id"],
            row["number"],
            row["status"],
            Money(minor=row["due_amount"], currency=row["currency"]),
            row["due_on"],
            row["being_checked"],
        )
        for row in rows
    }
