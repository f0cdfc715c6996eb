"""Every statement on clients."""

from collections.abc import Collection
from uuid import UUID

import asyncpg
import msgspec

from services.chassis.db.database import Connection
from services.invoice.addresses import BillingAddress
from services.invoice.checks import ExternalIdTaken
from services.invoice.clients.domain import Client, ClientDetails
from services.invoice.clinics.domain import Clinic
from services.invoice.clinics.store import COLUMNS as CLINIC_COLUMNS
from services.invoice.clinics.store import clinic_of

_COLUMNS = """
    clients.id, clients.name, clients.billing_address, clients.tax_number, clients.external_id, clients.metadata,
    clients.erased_at IS NOT NULL AS erased, clients.salt
"""
_NAMED_NOW = """
    changed_at = app_now(), erase_after = DEFAULT, erased_at = NULL, salt = coalesce(clients.salt, gen_random_uuid())
"""
"""Of a client who is given a name, erased before or not."""


async def get_clinic_and_clients(
    tx: Connection, clinic_id: UUID, client_ids: Collection[UUID]
) -> tuple[Clinic, dict[UUID, Client]] | None:
    """The clinic and its clients of these ids, in one round trip. None when the clinic is unknown.

    Clients who were erased are left out.
    """
    row = await tx.fetchrow(
        f"""
        SELECT {CLINIC_COLUMNS},
            ARRAY(
                SELECT jsonb_build_object('id', id, 'name', name, 'billing_address', billing_address,
                    'tax_number', tax_number) FROM clients
                WHERE clinic_id = clinics.id AND id = ANY($2::uuid[]) AND erased_at IS NULL
            ) AS clients
        FROM clinics
        WHERE id = $1
        """,
        clinic_id,
        list(client_ids),
    )
    if row is None:
        return None
    clients = [msgspec.json.decode(each, type=Client) for each in row["clients"]]
    return clinic_of(row), {client.id: client for client in clients}


async def add_client(tx: Connection, clinic_id: UUID, client_id: UUID, given: ClientDetails) -> Client | None:
    """Add a client, or one who was erased again; None when there is one with this id. Raises `ExternalIdTaken`."""
    row = await _write(
        tx,
        f"""
        INSERT INTO clients (clinic_id, id, name, billing_address, tax_number, external_id, metadata)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (clinic_id, id) DO UPDATE
        SET name = excluded.name, billing_address = excluded.billing_address, tax_number = excluded.tax_number,
            external_id = excluded.external_id, metadata = excluded.metadata, {_NAMED_NOW}
        WHERE clients.erased_at IS NOT NULL
        RETURNING {_COLUMNS}
        """,
        clinic_id,
        client_id,
        given,
    )
    return _client(row) if row else None


async def save_client(tx: Connection, clinic_id: UUID, client_id: UUID, given: ClientDetails) -> Client:
    """Save the details of a client that is locked. Raises `ExternalIdTaken`."""
    row = await _write(
        tx,
        f"""
        UPDATE clients
        SET name = $3, billing_address = $4, tax_number = $5, external_id = $6, metadata = $7,
            {_NAMED_NOW}
        WHERE clinic_id = $1 AND id = $2
        RETURNING {_COLUMNS}
        """,
        clinic_id,
        client_id,
        given,
    )
    assert row is not None, "it is locked"
    return _client(row)


async def get_client(
    tx: Connection, clinic_id: UUID, client_id: UUID, *, lock: bool = False
) -> Client | None:
    """A client; with `lock`, others wait with changing it until the transaction ends."""
    row = await tx.fetchrow(
        f"""
        SELECT {_COLUMNS} FROM clients
        WHERE clinic_id = $1 AND id = $2 {"FOR UPDATE" if lock else ""}
        """,
        clinic_id,
        client_id,
    )
    return _client(row) if row else None


async def list_clients(tx: Connection, clinic_id: UUID, *, after: UUID | None, limit: int) -> list[Client]:
    """The clinic's clients in order of their ids, from the one after `after`."""
    rows = await tx.fetch(
        f"""
        SELECT {_COLUMNS}
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


async def get_clients(tx: Connection, clinic_id: UUID, client_ids: Collection[UUID]) -> list[Client]:
    """These clients of the clinic, in order of their ids; an unknown id is left out."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM clients WHERE clinic_id = $1 AND id = ANY($2) ORDER BY id",
        clinic_id,
        list(client_ids),
    )
    return [_client(row) for row in rows]


async def get_client_by_external_id(tx: Connection, clinic_id: UUID, external_id: str) -> list[Client]:
    """The client that another program knows by this id, if there is one."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM clients WHERE clinic_id = $1 AND external_id = $2", clinic_id, external_id
    )
    return [_client(row) for row in rows]


async def _write(
    tx: Connection, sql: str, clinic_id: UUID, client_id: UUID, given: ClientDetails
) -> asyncpg.Record | None:
    """Run a statement whose parameters are the client's key and details."""
    try:
        return await tx.fetchrow(
            sql,
            clinic_id,
            client_id,
            given.name,
            msgspec.json.encode(given.billing_address).decode(),
            given.tax_number,
            given.external_id,
            msgspec.json.encode(given.metadata).decode(),
        )
    except asyncpg.UniqueViolationError:
        raise ExternalIdTaken("another client has this external id", field="external_id") from None


def _client(row: asyncpg.Record) -> Client:
    return Client(
        id=row["id"],
        name=row["name"],
        billing_address=msgspec.json.decode(row["billing_address"], type=BillingAddress),
        tax_number=row["tax_number"],
        external_id=row["external_id"],
        metadata=msgspec.json.decode(row["metadata"], type=dict[str, str]),
        erased=row["erased"],
        salt=row["salt"],
    )
