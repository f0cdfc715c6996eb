"""The payment service's database after a restore: versions, lost payments, invoices that nobody can pay."""

from datetime import UTC, datetime
from typing import Any

from deploy.ops import database
from deploy.ops.restore.invoice_step import Say, opened
from deploy.ops.restore.lost_acts import keep_lost_acts
from deploy.ops.restore.seen import Seen
from services.chassis.ids import columns
from services.chassis.outbox.reemit import put_again
from services.payment.accounts import reemit as accounts

_LOST_PAYMENTS = "SELECT clinic_id, id FROM lost_acts WHERE family = 'payment'"


async def resume_payment(dsn: str, seen: Seen, say: Say) -> None:
    lost = await _lost_invoices(dsn)
    stamp = datetime.now(UTC)
    async with opened(dsn) as (admin, db):
        async with admin.transaction():
            acts = await keep_lost_acts(admin, dsn, seen)
            gone = {tuple(row) for row in await admin.fetch(_LOST_PAYMENTS)}
            keys = sorted(seen.payments.keys() - gone)
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
                *columns(keys),
                [seen.payments[key].version for key in keys],
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
            await _resume_accounts(admin, seen, stamp)
        unknown = await admin.fetchval("SELECT count(*) FROM published_versions")
        await put_again(admin, db, (accounts.SOURCE,), stamp)
    say(
        f"payment: {len(acts)} records of money that moved without Stripe are lost"
        + ("; do this again:" if acts else "")
    )
    for act in acts:
        if act.words:
            say(f"  clinic {act.key[0]} {act.words}")
    say(
        f"payment: versions go on above what was published; {unknown} payments are lost and are read from Stripe"
    )


async def _resume_accounts(admin: Any, seen: Seen, stamp: datetime) -> None:
    """Give what is published about clinics' accounts versions above the published ones; a lost choice is none."""
    await admin.execute(
        """
        INSERT INTO accounts AS held (clinic_id, version, published_at)
        SELECT seen.clinic_id, seen.version + 1, $3 FROM unnest($1::uuid[], $2::int[]) AS seen (clinic_id, version)
        JOIN clinics USING (clinic_id)
        ON CONFLICT (clinic_id) DO UPDATE SET version = excluded.version, published_at = excluded.published_at
        WHERE held.version < excluded.version - 1
        """,
        list(seen.accounts),
        list(seen.accounts.values()),
        stamp,
    )


async def _lost_invoices(payment_dsn: str) -> list[tuple[Any, ...]]:
    """Rows for payables that nobody can pay: an invoice that was lost is not to be settled by its old payment."""
    dsn = database.with_database(payment_dsn, database.database_name("invoice"))
    async with database.connected(dsn) as admin:
        rows = await admin.fetch(
            "SELECT clinic_id, id, client_id, version, currency, due_on FROM lost_invoices"
        )
    return [tuple(row) for row in rows]
