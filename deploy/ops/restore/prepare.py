"""`clinicpay restore prepare`: everything that must be right before the services start on restored databases.

Each step does only what is missing, so a run that broke off is run again.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from contracts.events.envelope import event_id
from contracts.events.invoice import InvoiceState, InvoiceUpdated
from contracts.money import Money
from deploy.ops import database
from deploy.ops.restore import offsets
from deploy.ops.restore.seen import Seen, read_since
from services.chassis.db.database import Connection, Database
from services.chassis.ids import columns
from services.chassis.outbox import outbox
from services.chassis.outbox.reemit import put_again
from services.chassis.settings import KafkaSecurity
from services.invoice.clinics import reemit as clinics
from services.invoice.erasures import actions as erasures
from services.invoice.erasures import store as erasure_log
from services.invoice.erasures.domain import Erasure
from services.invoice.invoices import reemit as invoices

Say = Callable[[str], None]

MARGIN = timedelta(minutes=10)
"""A dump shows what was committed when it began; the clock that dated the records may differ from its."""

_RUNNING = """
    SELECT DISTINCT usename::text FROM pg_stat_activity
    WHERE datname LIKE 'clinicpay\\_%' AND usename ~ '_(api|worker|relay)$' ORDER BY 1
"""


class ServicesRun(Exception):
    """The services must be stopped before; the message names which work."""


async def prepare(
    admin_dsn: str,
    kafka: tuple[str, KafkaSecurity],
    since: datetime,
    say: Say,
    erased: Sequence[Erasure] = (),
) -> None:
    """All steps. `since`: when the first of the dumps began; `erased`: the newest log. Raises `ServicesRun`."""
    since -= MARGIN
    dsns = {
        name: database.with_database(admin_dsn, database.database_name(name)) for name in database.SERVICES
    }
    await _check_stopped(admin_dsn)
    say(f"read the topics since {since:%Y-%m-%d %H:%M:%S} UTC")
    seen = await read_since(*kafka, since)
    await _invoice(dsns["invoice"], seen, say)
    await _erase_again(dsns["invoice"], erased, say)
    await _payment(dsns["payment"], seen, say)
    await _notification(dsns["notification"], seen, say)
    await _gateway(dsns["gateway"], say)
    try:
        put = await offsets.put_back(*kafka, since)
    except offsets.GroupHasMembers as group:
        raise ServicesRun(f"stop all services first: a worker still reads as {group}") from None
    say(f"consumer groups read again from then: {', '.join(put)}")


async def _check_stopped(admin_dsn: str) -> None:
    admin = await asyncpg.connect(admin_dsn)
    try:
        working = [row[0] for row in await admin.fetch(_RUNNING)]
    finally:
        await admin.close()
    if working:
        raise ServicesRun(f"stop all services first: {', '.join(working)} still work")


async def _invoice(dsn: str, seen: Seen, say: Say) -> None:
    stamp = datetime.now(UTC)
    async with _opened(dsn) as (admin, db):
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
async def _opened(dsn: str) -> AsyncIterator[tuple[Any, Database]]:
    admin, db = await asyncpg.connect(dsn), Database(dsn, size=1)
    try:
        yield admin, db
    finally:
        await admin.close()
        await db.close()


async def _erase_again(dsn: str, erased: Sequence[Erasure], say: Say) -> None:
    async with _opened(dsn) as (_, db), db.worker_tx() as tx:
        await erasures.replay_erasures(tx, erased)
    say(f"invoice: {len(erased)} erasures of the log hold again")


async def list_erasures(admin_dsn: str) -> list[Erasure]:
    """The log of erasures, to be kept outside the databases."""
    dsn = database.with_database(admin_dsn, database.database_name("invoice"))
    async with _opened(dsn) as (_, db), db.worker_tx() as tx:
        return await erasure_log.list_erasures(tx)


def _clinic_versions(seen: Seen) -> dict[Any, int]:
    return {(clinic_id, clinic_id): version for clinic_id, version in seen.clinics.items()}


def _invoice_versions(seen: Seen) -> dict[Any, int]:
    return {key: state.version for key, state in seen.invoices.items()}


async def _resume(tx: Connection, table: str, versions: Mapping[Any, int], stamp: datetime) -> int:
    """Give rows behind their topic a version above it, dated `stamp`; returns their number."""
    clinic = "clinic_id" if table == "invoices" else "id"
    result: str = await tx.execute(
        f"""
        UPDATE {table} SET version = seen.version + 1, changed_at = $4
        FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS seen (clinic_id, id, version)
        WHERE ({table}.{clinic}, {table}.id) = (seen.clinic_id, seen.id) AND {table}.version < seen.version
        """,
        *columns(versions),
        [versions[key] for key in sorted(versions)],
        stamp,
    )
    return int(result.rpartition(" ")[2])


async def _resume_numbers(tx: Connection, seen: Seen) -> int:
    keys = sorted(seen.numbers)
    result: str = await tx.execute(
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
    return int(result.rpartition(" ")[2])


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


async def _payment(dsn: str, seen: Seen, say: Say) -> None:
    lost = await _lost_invoices(dsn)
    keys = sorted(seen.payments)
    admin = await asyncpg.connect(dsn)
    try:
        async with admin.transaction():
            await admin.execute(
                """
                WITH seen AS (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS seen (clinic_id, id, version)),
                behind AS (
                    UPDATE payments SET version = seen.version FROM seen
                    WHERE (payments.clinic_id, payments.id) = (seen.clinic_id, seen.id)
                        AND payments.version < seen.version
                )
                INSERT INTO published_versions (clinic_id, payment_id, version)
                SELECT * FROM seen WHERE NOT EXISTS (
                    SELECT FROM payments AS p WHERE (p.clinic_id, p.id) = (seen.clinic_id, seen.id)
                )
                ON CONFLICT (clinic_id, payment_id) DO UPDATE SET version = excluded.version
                """,
                *columns(seen.payments),
                [seen.payments[key] for key in keys],
            )
            await admin.executemany(
                "INSERT INTO lost_payables VALUES ($1, $2) ON CONFLICT DO NOTHING", [row[:2] for row in lost]
            )
            await admin.executemany(
                """
                INSERT INTO payables (clinic_id, id, client_id, version, due_amount, currency, status, due_on)
                VALUES ($1, $2, $3, $4, 0, $5, 'void', $6)
                ON CONFLICT (clinic_id, id) DO UPDATE
                SET version = excluded.version, due_amount = 0, status = 'void'
                WHERE payables.version < excluded.version
                """,
                lost,
            )
        unknown = await admin.fetchval("SELECT count(*) FROM published_versions")
    finally:
        await admin.close()
    say(
        f"payment: versions go on above what was published; {unknown} payments are lost and are read from Stripe"
    )


async def _lost_invoices(payment_dsn: str) -> list[tuple[Any, ...]]:
    """Rows for payables that nobody can pay: an invoice that was lost is not to be settled by its old payment."""
    admin = await asyncpg.connect(database.with_database(payment_dsn, database.database_name("invoice")))
    try:
        rows = await admin.fetch(
            "SELECT clinic_id, id, client_id, version, currency, due_on FROM lost_invoices"
        )
    finally:
        await admin.close()
    return [tuple(row) for row in rows]


async def _notification(dsn: str, seen: Seen, say: Say) -> None:
    """Keep which e-mails were sent: the dump may have them waiting, or events will lead to them again."""
    keys = sorted(seen.sent)
    admin = await asyncpg.connect(dsn)
    try:
        result: str = await admin.execute(
            """
            WITH seen AS (
                SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::int[])
                    AS seen (clinic_id, id, at, attempts)
            ), waiting AS (
                UPDATE deliveries SET state = 'sent', sent_at = seen.at, attempts = seen.attempts FROM seen
                WHERE (deliveries.clinic_id, deliveries.id) = (seen.clinic_id, seen.id)
                    AND deliveries.state IN ('waiting', 'due')
            )
            INSERT INTO sent_before (clinic_id, id, sent_at, attempts) SELECT * FROM seen ON CONFLICT DO NOTHING
            """,
            *columns(seen.sent),
            [seen.sent[key].time for key in keys],
            [seen.sent[key].attempts for key in keys],
        )
    finally:
        await admin.close()
    say(f"notification: {result.rpartition(' ')[2]} e-mails were sent since then, and are not sent again")


async def _gateway(dsn: str, say: Say) -> None:
    """A session that was ended after the dump would live again."""
    admin = await asyncpg.connect(dsn)
    try:
        await admin.execute("DELETE FROM sessions")
    finally:
        await admin.close()
    say("gateway: everybody logs in again")
