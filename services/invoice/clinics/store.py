"""Every statement on clinics and clients."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from services.chassis.db.database import Connection
from services.invoice.clinics.domain import SlugTaken, UnknownTimeZone
from services.invoice.schemas import (
    BillingAddress,
    ClientIn,
    ClientOut,
    ClinicIn,
    ClinicOut,
    Contact,
    TaxRateShape,
)

_CLINIC = """id, slug, name, currency, time_zone, locale, billing_shown, online_payment, methods, contact,
    accent, tax_rates, version"""


async def lock_clinic(tx: Connection, clinic_id: UUID) -> None:
    """Let one transaction at a time write this clinic, whether it is there already or not."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('clinic ' || $1, 0))", str(clinic_id))


async def put_clinic(tx: Connection, clinic_id: UUID, given: ClinicIn) -> tuple[ClinicOut, datetime] | None:
    """Write a clinic's settings and answer when they changed; None when they are what they were.

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
                tax_rates = excluded.tax_rates, version = known.version + 1, changed_at = now()
            WHERE (known.slug, known.name, known.currency, known.time_zone, known.locale, known.billing_shown,
                    known.online_payment, known.methods, known.contact, known.accent, known.tax_rates)
                IS DISTINCT FROM
                (excluded.slug, excluded.name, excluded.currency, excluded.time_zone, excluded.locale,
                    excluded.billing_shown, excluded.online_payment, excluded.methods, excluded.contact,
                    excluded.accent, excluded.tax_rates)
            RETURNING {_CLINIC}, changed_at
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
    return (_clinic(row), row["changed_at"]) if row else None


async def get_clinic(tx: Connection, clinic_id: UUID) -> ClinicOut | None:
    row = await tx.fetchrow(f"SELECT {_CLINIC} FROM clinics WHERE id = $1", clinic_id)
    return _clinic(row) if row else None


async def get_clinic_and_clients(
    tx: Connection, clinic_id: UUID, client_ids: Collection[UUID]
) -> tuple[ClinicOut, set[UUID]] | None:
    """The clinic, and those of the ids that are clients of it, in one round trip. None without such a clinic."""
    row = await tx.fetchrow(
        f"""
        SELECT {_CLINIC},
            ARRAY(SELECT id FROM clients WHERE clinic_id = clinics.id AND id = ANY($2::uuid[])) AS client_ids
        FROM clinics
        WHERE id = $1
        """,
        clinic_id,
        list(client_ids),
    )
    return (_clinic(row), set(row["client_ids"])) if row else None


async def list_clinics(
    tx: Connection, *, slug: str | None, after: UUID | None, limit: int
) -> list[ClinicOut]:
    """Clinics in order of their ids, from the one after `after`; only the one with `slug` when given."""
    rows = await tx.fetch(
        f"""
        SELECT {_CLINIC}
        FROM clinics
        WHERE ($1::text IS NULL OR slug = $1) AND ($2::uuid IS NULL OR id > $2)
        ORDER BY id
        LIMIT $3
        """,
        slug,
        after,
        limit,
    )
    return [_clinic(row) for row in rows]


async def add_client(tx: Connection, clinic_id: UUID, client_id: UUID, given: ClientIn) -> ClientOut | None:
    """Add a client; None when there is one with this id."""
    row = await tx.fetchrow(
        """
        INSERT INTO clients (clinic_id, id, name, billing_address) VALUES ($1, $2, $3, $4)
        ON CONFLICT (clinic_id, id) DO NOTHING
        RETURNING id, name, billing_address
        """,
        clinic_id,
        client_id,
        given.name,
        _json(given.billing_address),
    )
    return _client(row) if row else None


async def save_client(tx: Connection, clinic_id: UUID, client_id: UUID, given: ClientIn) -> ClientOut:
    """Keep a known client's name and address."""
    row = await tx.fetchrow(
        """
        UPDATE clients SET name = $3, billing_address = $4, changed_at = now()
        WHERE clinic_id = $1 AND id = $2
        RETURNING id, name, billing_address
        """,
        clinic_id,
        client_id,
        given.name,
        _json(given.billing_address),
    )
    assert row is not None, "it is locked"
    return _client(row)


async def get_client(
    tx: Connection, clinic_id: UUID, client_id: UUID, *, lock: bool = False
) -> ClientOut | None:
    """A client; with `lock`, others wait with changing it until the transaction ends."""
    row = await tx.fetchrow(
        f"""
        SELECT id, name, billing_address FROM clients
        WHERE clinic_id = $1 AND id = $2 {"FOR UPDATE" if lock else ""}
        """,
        clinic_id,
        client_id,
    )
    return _client(row) if row else None


async def list_clients(tx: Connection, clinic_id: UUID, *, after: UUID | None, limit: int) -> list[ClientOut]:
    """The clinic's clients in order of their ids, from the one after `after`."""
    rows = await tx.fetch(
        """
        SELECT id, name, billing_address
        FROM clients
        WHERE clinic_id = $1 AND id >= $2 AND id IS DISTINCT FROM $3
        ORDER BY id
        LIMIT $4
        """,
        clinic_id,
        after or UUID(int=0),
        after,
        limit,
    )
    return [_client(row) for row in rows]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _clinic(row: asyncpg.Record) -> ClinicOut:
    fields = {name: row[name] for name in ClinicOut.__struct_fields__}
    fields["methods"] = tuple(fields["methods"])
    fields["contact"] = msgspec.json.decode(fields["contact"], type=Contact)
    fields["tax_rates"] = msgspec.json.decode(fields["tax_rates"], type=tuple[TaxRateShape, ...])
    return ClinicOut(**fields)


def _client(row: asyncpg.Record) -> ClientOut:
    address = msgspec.json.decode(row["billing_address"], type=BillingAddress)
    return ClientOut(id=row["id"], name=row["name"], billing_address=address)
