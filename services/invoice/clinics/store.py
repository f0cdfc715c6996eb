"""Every statement on clinics."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from services.chassis.db.database import Connection
from services.invoice.addresses import BillingAddress
from services.invoice.checks import ExternalIdTaken
from services.invoice.clinics.domain import (
    Clinic,
    ClinicSettings,
    Contact,
    NumberStart,
    SlugTaken,
    TaxRate,
    UnknownTimeZone,
)

_FIELDS = tuple(field.name for field in fields(Clinic))
_SETTINGS = tuple(field.name for field in fields(ClinicSettings))
COLUMNS = ", ".join(_FIELDS)
"""Every column of a clinic has the name of its field."""
_JSON: Mapping[str, Any] = {
    "contact": Contact,
    "tax_rates": tuple[TaxRate, ...],
    "metadata": dict[str, str],
    "postal_address": BillingAddress,
    "number_start": NumberStart | None,
}
"""The columns that hold JSON, and the types that they are decoded to."""


def _listed(form: str) -> str:
    """The settings' columns, each written in this form."""
    return ", ".join(form.format(name) for name in _SETTINGS)


_PUT = f"""
    INSERT INTO clinics AS known (id, {_listed("{0}")})
    VALUES ($1, {", ".join(f"${at}" for at in range(2, len(_SETTINGS) + 2))})
    ON CONFLICT (id) DO UPDATE
    SET {_listed("{0} = excluded.{0}")}, version = known.version + 1, changed_at = app_now()
    WHERE ({_listed("known.{0}")}) IS DISTINCT FROM ({_listed("excluded.{0}")})
    RETURNING {COLUMNS}, changed_at
"""


async def lock_clinic(tx: Connection, clinic_id: UUID) -> None:
    """Let one transaction at a time write this clinic, whether it is there already or not."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('clinic ' || $1, 0))", str(clinic_id))


async def put_clinic(
    tx: Connection, clinic_id: UUID, given: ClinicSettings
) -> tuple[Clinic, datetime] | None:
    """Save a clinic's settings. Return the clinic and when it changed, or None when nothing changed.

    Raises `SlugTaken`, `ExternalIdTaken`, `UnknownTimeZone`.
    """
    try:
        row = await tx.fetchrow(_PUT, clinic_id, *[_value(given, name) for name in _SETTINGS])
    except asyncpg.UniqueViolationError as taken:
        if taken.constraint_name == "clinics_external_id":
            raise ExternalIdTaken("another clinic has this external id", field="external_id") from None
        raise SlugTaken("another clinic has this slug", field="slug") from None
    except asyncpg.InvalidParameterValueError:
        raise UnknownTimeZone("the database does not know this time zone", field="time_zone") from None
    return (clinic_of(row), row["changed_at"]) if row else None


async def has_numbers(tx: Connection, clinic_id: UUID, year: int) -> bool:
    """Whether an invoice of this year was numbered."""
    return bool(
        await tx.fetchval(
            "SELECT EXISTS (SELECT FROM invoice_counters WHERE clinic_id = $1 AND year = $2)", clinic_id, year
        )
    )


async def get_clinic(tx: Connection, clinic_id: UUID) -> Clinic | None:
    row = await tx.fetchrow(f"SELECT {COLUMNS} FROM clinics WHERE id = $1", clinic_id)
    return clinic_of(row) if row else None


async def list_clinics(
    tx: Connection, *, slug: str | None, external_id: str | None, after: UUID | None, limit: int
) -> list[Clinic]:
    """Clinics in order of their ids, from the one after `after`; only the one with `slug` or `external_id`."""
    rows = await tx.fetch(
        f"""
        SELECT {COLUMNS}
        FROM clinics
        WHERE ($1::text IS NULL OR slug = $1) AND ($2::text IS NULL OR external_id = $2)
            AND ($3::uuid IS NULL OR id > $3)
        ORDER BY id
        LIMIT $4
        """,
        slug,
        external_id,
        after,
        limit,
    )
    return [clinic_of(row) for row in rows]


def _value(settings: ClinicSettings, name: str) -> object:
    """A setting as its column takes it."""
    value = getattr(settings, name)
    if name in _JSON:
        return msgspec.json.encode(value).decode()
    return list(value) if isinstance(value, tuple) else value


def clinic_of(row: asyncpg.Record) -> Clinic:
    values = {name: row[name] for name in _FIELDS}
    values["methods"], values["reminders"] = tuple(values["methods"]), tuple(values["reminders"])
    for name, shape in _JSON.items():
        values[name] = msgspec.json.decode(values[name], type=shape)
    return Clinic(**values)
