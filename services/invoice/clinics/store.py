"""Every statement on clinics."""

from dataclasses import fields
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from services.chassis.db.database import Connection
from services.invoice.clinics.domain import (
    Clinic,
    ClinicSettings,
    Contact,
    SlugTaken,
    TaxRate,
    UnknownTimeZone,
)

_FIELDS = tuple(field.name for field in fields(Clinic))
COLUMNS = ", ".join(_FIELDS)


async def lock_clinic(tx: Connection, clinic_id: UUID) -> None:
    """Let one transaction at a time write this clinic, whether it is there already or not."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('clinic ' || $1, 0))", str(clinic_id))


async def put_clinic(
    tx: Connection, clinic_id: UUID, given: ClinicSettings
) -> tuple[Clinic, datetime] | None:
    """Save a clinic's settings. Return the clinic and when it changed, or None when nothing changed.

    Raises `SlugTaken`, `UnknownTimeZone`.
    """
    try:
        row = await tx.fetchrow(
            f"""
            INSERT INTO clinics AS known (id, slug, name, currency, time_zone, locale, billing_shown,
                online_payment, methods, contact, accent, tax_rates)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            ON CONFLICT (id) DO UPDATE
            SET slug = excluded.slug, name = excluded.name, currency = excluded.currency,
                time_zone = excluded.time_zone, locale = excluded.locale,
                billing_shown = excluded.billing_shown, online_payment = excluded.online_payment,
                methods = excluded.methods, contact = excluded.contact, accent = excluded.accent,
                tax_rates = excluded.tax_rates, version = known.version + 1, changed_at = app_now()
            WHERE (known.slug, known.name, known.currency, known.time_zone, known.locale, known.billing_shown,
                    known.online_payment, known.methods, known.contact, known.accent, known.tax_rates)
                IS DISTINCT FROM
                (excluded.slug, excluded.name, excluded.currency, excluded.time_zone, excluded.locale,
                    excluded.billing_shown, excluded.online_payment, excluded.methods, excluded.contact,
                    excluded.accent, excluded.tax_rates)
            RETURNING {COLUMNS}, changed_at
            """,
            clinic_id,
            given.slug,
            given.name,
            given.currency,
            given.time_zone,
            given.locale,
            given.billing_shown,
            given.online_payment,
            list(given.methods),
            _json(given.contact),
            given.accent,
            _json(given.tax_rates),
        )
    except asyncpg.UniqueViolationError:
        raise SlugTaken("another clinic has this slug", field="slug") from None
    except asyncpg.InvalidParameterValueError:
        raise UnknownTimeZone("the database does not know this time zone", field="time_zone") from None
    return (clinic_of(row), row["changed_at"]) if row else None


async def get_clinic(tx: Connection, clinic_id: UUID) -> Clinic | None:
    row = await tx.fetchrow(f"SELECT {COLUMNS} FROM clinics WHERE id = $1", clinic_id)
    return clinic_of(row) if row else None


async def list_clinics(tx: Connection, *, slug: str | None, after: UUID | None, limit: int) -> list[Clinic]:
    """Clinics in order of their ids, from the one after `after`; only the one with `slug` when given."""
    rows = await tx.fetch(
        f"""
        SELECT {COLUMNS}
        FROM clinics
        WHERE ($1::text IS NULL OR slug = $1) AND ($2::uuid IS NULL OR id > $2)
        ORDER BY id
        LIMIT $3
        """,
        slug,
        after,
        limit,
    )
    return [clinic_of(row) for row in rows]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def clinic_of(row: asyncpg.Record) -> Clinic:
    values = {name: row[name] for name in _FIELDS}
    values["methods"] = tuple(values["methods"])
    values["contact"] = msgspec.json.decode(values["contact"], type=Contact)
    values["tax_rates"] = msgspec.json.decode(values["tax_rates"], type=tuple[TaxRate, ...])
    return Clinic(**values)
