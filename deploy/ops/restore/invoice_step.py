"""The invoice service's database after a restore: numbers, versions, lost invoices, erasures."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg

from contracts.events.envelope import event_id
from contracts.events.invoice import InvoiceState, InvoiceUpdated
from contracts.money import Money
from deploy.ops import database
from deploy.ops.restore.seen import Seen
from services.chassis.db.database import Connection, Database
from services.chassis.db.statements import rows_in
from services.chassis.ids import columns
from services.chassis.outbox import outbox
from services.chassis.outbox.reemit import put_again
from services.invoice.clinics import reemit as clinics
from services.invoice.erasures import actions as erasures
from services.invoice.erasures import store as erasure_log
from services.invoice.erasures.domain import Erasure
from services.invoice.invoices import reemit as invoices

Say = Callable[[str], None]


async def resume_invoice(dsn: str, seen: Seen, say: Say) -> None:
    stamp = datetime.now(UTC)
    async with opened(dsn) as (admin, db):
        async with db.worker_tx() as tx:
            numbers = await _resume_numbers(tx, seen)
            lost = await _keep_lost(tx, seen)
            behind = await _resume(tx, "clinics", _clinic_versions(seen), stamp)
            behind += await _resume(tx, "invoices", _invoice_versions(seen), stamp)
        await put_again(admin, db, (clinics.SOURCE, invoices.SOURCE), stamp)
    say(f"invoice: {numbers} counters of invoice numbers were behind, and continue above what was published")
    say(f"invoice: {behind} clinics and invoices were behind their topics, and are published again")
    say(
        f"invoice: {len(lost)} invoices are lost" + ("; issue them again, under new numbers:" if lost else "")
    )
    for state in lost:
        say(f"  clinic {state.clinic_id} client {state.client_id} {state.number} {state.total}")


@asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[tuple[Any, Database]]:
    admin, db = await asyncpg.connect(dsn), Database(dsn, size=1)
    try:
        yield admin, db
    finally:
        await admin.close()
        await db.close()


async def erase_again(dsn: str, erased: Sequence[Erasure], say: Say) -> None:
    async with opened(dsn) as (_, db), db.worker_tx() as tx:
        await erasures.replay_erasures(tx, erased)
    say(f"invoice: {len(erased)} erasures of the log hold again")


async def list_erasures(admin_dsn: str) -> list[Erasure]:
    """The log of erasures, to be kept outside the databases."""
    dsn = database.with_database(admin_dsn, database.database_name("invoice"))
    async with opened(dsn) as (_, db), db.worker_tx() as tx:
        return await erasure_log.list_erasures(tx)


def _clinic_versions(seen: Seen) -> dict[Any, int]:
    return {(clinic_id, clinic_id): version for clinic_id, version in seen.clinics.items()}


def _invoice_versions(seen: Seen) -> dict[Any, int]:
    return {key: state.version for key, state in seen.invoices.items()}


async def _resume(tx: Connection, table: str, versions: Mapping[Any, int], stamp: datetime) -> int:
    """Give rows behind their topic a version above it, dated `stamp`; returns their number."""
    clinic = "clinic_id" if table == "invoices" else "id"
    result = await tx.execute(
        f"""
        UPDATE {table} SET version = seen.version + 1, changed_at = $4
        FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS seen (clinic_id, id, version)
        WHERE ({table}.{clinic}, {table}.id) = (seen.clinic_id, seen.id) AND {table}.version < seen.version
        """,
        *columns(versions),
        [versions[key] for key in sorted(versions)],
        stamp,
    )
    return rows_in(result)


async def _resume_numbers(tx: Connection, seen: Seen) -> int:
    keys = sorted(seen.numbers)
    result = await tx.execute(
        """
        INSERT INTO invoice_counters (clinic_id, year, last_number)
        SELECT seen.* FROM unnest($1::uuid[], $2::int[], $3::int[]) AS seen (clinic_id, year, number)
        JOIN clinics ON clinics.id = seen.clinic_id
        ON CONFLICT (clinic_id, year) DO UPDATE SET last_number = excluded.last_number
        WHERE invoice_counters.last_number < excluded.last_number
        """,
        [clinic_id for clinic_id, _ in keys],
        [year for _, year in keys],
        [seen.numbers[key] for key in keys],
    )
    return rows_in(result)


async def _keep_lost(tx: Connection, seen: Seen) -> list[InvoiceState]:
    """Keep which published invoices are not in the database, and publish that they are void. Returns the new ones."""
    known = await tx.fetch(
        """
        SELECT clinic_id, id FROM unnest($1::uuid[], $2::uuid[]) AS seen (clinic_id, id)
        WHERE NOT EXISTS (SELECT FROM invoices AS i WHERE (i.clinic_id, i.id) = (seen.clinic_id, seen.id))
            AND NOT EXISTS (SELECT FROM lost_invoices AS l WHERE (l.clinic_id, l.id) = (seen.clinic_id, seen.id))
        """,
        *columns(seen.invoices),
    )
    lost = [seen.invoices[row["clinic_id"], row["id"]] for row in known]
    await tx.executemany(
        """
        INSERT INTO lost_invoices (clinic_id, id, client_id, number, version, currency, due_on)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        [
            (s.clinic_id, s.invoice_id, s.client_id, s.number, s.version + 1, s.total.currency, s.due_on)
            for s in lost
        ],
    )
    if lost:
        await outbox.add(tx, [(_void(state), None) for state in lost])
    return lost


def _void(state: InvoiceState) -> InvoiceUpdated:
    nothing = Money(minor=0, currency=state.total.currency)
    version = state.version + 1
    return InvoiceUpdated.model_validate(
        state.model_dump()
        | {
            "id": event_id(state.time, InvoiceUpdated.topic.name, state.invoice_id, version),
            "version": version,
            "status": "void",
            "due_before_payments": nothing,
            "settled": nothing,
            "being_checked": False,
        }
    )
