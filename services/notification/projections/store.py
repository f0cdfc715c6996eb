"""Every SQL statement on the copies of clinics and invoices: each row is the newest version received."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any
from uuid import UUID

from contracts.events.account import AccountUpdated
from contracts.events.clinic import ClinicState, Contact
from contracts.events.invoice import InvoiceState
from contracts.events.payment import PaymentDisputed
from contracts.money import Money
from contracts.vocabulary import OPEN_DISPUTES
from services.chassis.db.database import Connection, Key
from services.notification.projections.domain import Clinic, Invoice

_SQL_TYPES: Mapping[Any, str] = {str: "text", bool: "bool", tuple[int, ...]: "smallint[]"}
_SETTINGS = {field.name: _SQL_TYPES[field.type] for field in fields(Clinic) if field.name != "id"}
"""The columns of a clinic's copy beside its key and version, with the SQL type of each."""
_NAMES = ", ".join(_SETTINGS)
_UPSERT_CLINICS = f"""
    INSERT INTO clinics AS held (clinic_id, version, {_NAMES})
    SELECT clinic_id, version, {", ".join(f"{name}::{sql_type}" for name, sql_type in _SETTINGS.items())}
    FROM unnest($1::uuid[], $2::int[], {", ".join(f"${at}::text[]" for at in range(3, len(_SETTINGS) + 3))})
        AS given (clinic_id, version, {_NAMES})
    ON CONFLICT (clinic_id) DO UPDATE
    SET (version, {_NAMES}) = ROW (excluded.version, {", ".join(f"excluded.{name}" for name in _SETTINGS)})
    WHERE held.version < excluded.version
"""
_TAKES_PAYMENTS = "online_payment AND coalesce(takes_payments, true) AS online_payment"


async def upsert_clinics(tx: Connection, clinics: Sequence[ClinicState]) -> None:
    """Save clinics whose stored version is older. `clinics` holds each one at most once."""
    await tx.execute(
        _UPSERT_CLINICS,
        [clinic.clinic_id for clinic in clinics],
        [clinic.version for clinic in clinics],
        *[[_setting(clinic, name) for clinic in clinics] for name in _SETTINGS],
    )


def _setting(clinic: ClinicState, name: str) -> str:
    """A setting in the event as PostgreSQL writes it; the parts of the contact are columns of their own."""
    value = getattr(clinic.contact if name in Contact.model_fields else clinic, name)
    if isinstance(value, tuple):  # unnest() takes no arrays of arrays
        return "{" + ",".join(map(str, value)) + "}"
    return str(value)


async def upsert_accounts(tx: Connection, accounts: Sequence[AccountUpdated]) -> None:
    """Save what clinics' accounts can do where the stored version is older. Each clinic at most once."""
    await tx.execute(
        """
        INSERT INTO clinic_accounts AS held (clinic_id, version, takes_payments)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::bool[])
        ON CONFLICT (clinic_id) DO UPDATE SET version = excluded.version, takes_payments = excluded.takes_payments
        WHERE held.version < excluded.version
        """,
        [account.clinic_id for account in accounts],
        [account.version for account in accounts],
        [account.takes_payments for account in accounts],
    )


async def upsert_disputes(tx: Connection, disputes: Sequence[PaymentDisputed]) -> None:
    """Save disputes whose stored version is older. Each at most once."""
    await tx.execute(
        """
        INSERT INTO disputes AS held (clinic_id, id, version, is_open, invoice_ids)
        SELECT clinic_id, id, version, is_open, invoice_ids::uuid[]
        FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::bool[], $5::text[])
            AS given (clinic_id, id, version, is_open, invoice_ids)
        ON CONFLICT (clinic_id, id) DO UPDATE
        SET (version, is_open, invoice_ids) = ROW (excluded.version, excluded.is_open, excluded.invoice_ids)
        WHERE held.version < excluded.version
        """,
        [dispute.clinic_id for dispute in disputes],
        [dispute.dispute_id for dispute in disputes],
        [dispute.version for dispute in disputes],
        [dispute.status in OPEN_DISPUTES for dispute in disputes],
        ["{" + ",".join(str(share.invoice_id) for share in dispute.invoices) + "}" for dispute in disputes],
    )


async def upsert_invoices(tx: Connection, invoices: Sequence[InvoiceState]) -> None:
    """Save invoices whose stored version is older. `invoices` holds each one at most once."""
    due = [invoice.due for invoice in invoices]
    await tx.execute(
        """
        INSERT INTO invoices AS held (clinic_id, id, client_id, number, status, due_amount, currency, due_on, version,
            being_checked, seller_name, locale, time_zone, pay_link_generation, issued_on)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::text[],
            $8::date[], $9::int[], $10::bool[], $11::text[], $12::text[], $13::text[], $14::int[], $15::date[])
        ON CONFLICT (clinic_id, id) DO UPDATE SET (client_id, number, status, due_amount, currency, due_on, version,
            being_checked, pay_link_generation, issued_on, seller_name, locale, time_zone) = ROW (excluded.client_id,
            excluded.number, excluded.status, excluded.due_amount, excluded.currency, excluded.due_on, excluded.version,
            excluded.being_checked, excluded.pay_link_generation, excluded.issued_on,
            coalesce(nullif(excluded.seller_name, ''), held.seller_name),
            coalesce(nullif(excluded.locale, ''), held.locale),
            coalesce(nullif(excluded.time_zone, ''), held.time_zone))
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
        [invoice.seller_name or "" for invoice in invoices],
        [invoice.locale or "" for invoice in invoices],
        [invoice.time_zone or "" for invoice in invoices],
        [invoice.pay_link_generation for invoice in invoices],
        [invoice.issued_on for invoice in invoices],
    )


async def get_clinics(tx: Connection, ids: Collection[UUID]) -> dict[UUID, Clinic]:
    """Clinics by id; unknown ones are left out."""
    rows = await tx.fetch(
        f"""
        SELECT clinic_id AS id, {_NAMES.replace("online_payment", _TAKES_PAYMENTS)}
        FROM clinics LEFT JOIN clinic_accounts AS a USING (clinic_id) WHERE clinic_id = ANY($1::uuid[])
        """,
        list(ids),
    )
    return {row["id"]: Clinic(**{**row, "reminders": tuple(row["reminders"])}) for row in rows}


async def get_invoices(tx: Connection, keys: Collection[Key]) -> dict[Key, Invoice]:
    """Invoices by (clinic, id); unknown ones are left out."""
    rows = await tx.fetch(
        """
        SELECT clinic_id, id, number, status, due_amount, currency, due_on, being_checked,
            seller_name, locale, time_zone, pay_link_generation, EXISTS (
                SELECT FROM disputes AS d
                WHERE d.clinic_id = invoices.clinic_id AND d.is_open AND d.invoice_ids @> ARRAY[invoices.id]
            ) AS disputed
        FROM invoices
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
            row["seller_name"],
            row["locale"],
            row["time_zone"],
            row["pay_link_generation"],
            row["disputed"],
        )
        for row in rows
    }
