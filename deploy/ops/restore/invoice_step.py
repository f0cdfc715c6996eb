"""The invoice service's database after a restore: numbers, versions, lost invoices, erasures."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from contracts.events.envelope import event_id
from contracts.events.invoice import InvoiceCorrected, InvoiceState, InvoiceUpdated
from contracts.money import Money
from deploy.ops import database, workers
from deploy.ops.restore.seen import Seen
from deploy.ops.restore.words import in_words
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
            numbers += await _resume_credit_notes(tx, seen)
            lost = await _keep_lost(tx, seen)
            documents = await _keep_lost_documents(tx, seen)
            behind = await _resume(tx, "clinics", _clinic_versions(seen), stamp)
            behind += await _resume(tx, "invoices", _invoice_versions(seen), stamp)
        await put_again(admin, db, (clinics.SOURCE, invoices.SOURCE), stamp)
    say(f"invoice: {numbers} counters of numbers were behind, and continue above what was published")
    say(f"invoice: {behind} clinics and invoices were behind their topics, and are published again")
    say(
        f"invoice: {len(lost)} invoices are lost" + ("; issue them again, under new numbers:" if lost else "")
    )
    for state in lost:
        say(f"  clinic {state.clinic_id} client {state.client_id} {state.number} {in_words(state.total)}")
    say(
        f"invoice: {len(documents)} corrections are lost"
        + ("; the invoices are as they were before, so make them again:" if documents else "")
    )
    for event in documents:
        made = event.document
        say(
            f"  clinic {event.clinic_id} invoice {event.number} {made.kind} {made.number or ''} {in_words(made.total)}"
        )


@asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[tuple[Any, Database]]:
    async with workers.opened(dsn) as db, database.connected(dsn) as admin:
        yield admin, db


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
        INSERT INTO invoice_counters (clinic_id, year, first_number, last_number)
        SELECT seen.* FROM unnest($1::uuid[], $2::int[], $3::int[], $4::int[]) AS seen (clinic_id, year, first, last)
        JOIN clinics ON clinics.id = seen.clinic_id
        ON CONFLICT (clinic_id, year) DO UPDATE SET last_number = excluded.last_number
        WHERE invoice_counters.last_number < excluded.last_number
        """,
        [clinic_id for clinic_id, _ in keys],
        [year for _, year in keys],
        [seen.numbers[key][0] for key in keys],
        [seen.numbers[key][1] for key in keys],
    )
    return rows_in(result)


async def _resume_credit_notes(tx: Connection, seen: Seen) -> int:
    keys = sorted(seen.credit_notes)
    result = await tx.execute(
        """
        INSERT INTO credit_note_counters (clinic_id, year, last_number)
        SELECT seen.* FROM unnest($1::uuid[], $2::int[], $3::int[]) AS seen (clinic_id, year, last)
        JOIN clinics ON clinics.id = seen.clinic_id
        ON CONFLICT (clinic_id, year) DO UPDATE SET last_number = excluded.last_number
        WHERE credit_note_counters.last_number < excluded.last_number
        """,
        [clinic_id for clinic_id, _ in keys],
        [year for _, year in keys],
        [seen.credit_notes[key] for key in keys],
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
        INSERT INTO lost_invoices (clinic_id, id, client_id, number, version, currency, due_on, net_amount, tax_amount,
            rounding_amount, total_amount)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        [
            (
                state.clinic_id,
                state.invoice_id,
                state.client_id,
                state.number,
                state.version + 1,
                state.total.currency,
                state.due_on,
                *_sums_of(seen, state),
            )
            for state in lost
        ],
    )
    if lost:
        await outbox.add(tx, [(_void(state), None) for state in lost])
    return lost


async def _keep_lost_documents(tx: Connection, seen: Seen) -> list[InvoiceCorrected]:
    """Keep which published corrections are not in the database, of invoices that are. Returns the new ones."""
    known = await tx.fetch(
        """
        SELECT clinic_id, id FROM unnest($1::uuid[], $2::uuid[]) AS seen (clinic_id, id)
        WHERE NOT EXISTS (SELECT FROM invoice_documents AS d WHERE (d.clinic_id, d.id) = (seen.clinic_id, seen.id))
            AND NOT EXISTS (SELECT FROM lost_documents AS l WHERE (l.clinic_id, l.id) = (seen.clinic_id, seen.id))
        """,
        *columns(seen.documents),
    )
    lost = [seen.documents[row["clinic_id"], row["id"]] for row in known]
    await tx.executemany(
        """
        INSERT INTO lost_documents (clinic_id, id, invoice_id, kind, number, reason, issued_on, currency, net_amount,
            tax_amount, rounding_amount, total_amount)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        """,
        [
            (
                event.clinic_id,
                event.document.id,
                event.invoice_id,
                event.document.kind,
                event.document.number,
                event.document.reason,
                event.document.issued_on,
                event.document.total.currency,
                event.document.net.minor,
                event.document.tax.minor,
                event.document.rounding.minor,
                event.document.total.minor,
            )
            for event in lost
        ],
    )
    return lost


def _sums_of(seen: Seen, state: InvoiceState) -> tuple[int | None, int | None, int | None, int | None]:
    """Net, tax, rounding and total as the invoice was issued; all None if that was not published."""
    sums = seen.issues.get((state.clinic_id, state.invoice_id))
    if sums is None:
        return None, None, None, None
    return sums.net.minor, sums.tax.minor, sums.rounding.minor, sums.total.minor


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
