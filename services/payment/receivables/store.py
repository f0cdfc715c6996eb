"""Receivables, and the settings of the clinics that they belong to."""

from collections.abc import Collection
from uuid import UUID

from contracts.events.clinic import ClinicState
from contracts.events.invoice import InvoiceState
from services.chassis.db.database import Connection, Key
from services.chassis.ids import columns
from services.payment.receivables.domain import Clinic, Receivable


async def get_clinic(tx: Connection, clinic_id: UUID) -> Clinic | None:
    row = await tx.fetchrow("SELECT online_payment, methods FROM clinics WHERE clinic_id = $1", clinic_id)
    return None if row is None else Clinic(row["online_payment"], frozenset(row["methods"]))


async def upsert_clinics(tx: Connection, newest: Collection[ClinicState]) -> None:
    """Upsert clinics' settings where the event is newer than the row. One event a clinic."""
    rows = sorted(newest, key=lambda clinic: clinic.clinic_id)
    await tx.execute(
        """
        INSERT INTO clinics (clinic_id, version, online_payment, methods, currency)
        SELECT clinic_id, version, online_payment, string_to_array(methods, ','), currency
        FROM unnest($1::uuid[], $2::int[], $3::boolean[], $4::text[], $5::text[])
            AS new (clinic_id, version, online_payment, methods, currency)
        ON CONFLICT (clinic_id) DO UPDATE
        SET version = excluded.version, online_payment = excluded.online_payment,
            methods = excluded.methods, currency = excluded.currency
        WHERE clinics.version < excluded.version
        """,
        [clinic.clinic_id for clinic in rows],
        [clinic.version for clinic in rows],
        [clinic.online_payment for clinic in rows],
        [",".join(clinic.methods) for clinic in rows],
        [clinic.currency for clinic in rows],
    )


async def upsert_receivables(tx: Connection, newest: Collection[InvoiceState]) -> None:
    """Upsert receivables where the event is newer than the row. One event an invoice.

    `settled_amount` is left alone: it is this service's own count.
    """
    rows = sorted(newest, key=lambda invoice: (invoice.clinic_id, invoice.invoice_id))
    await tx.execute(
        _marking_overdrawn("""
        INSERT INTO payables (clinic_id, id, client_id, version, due_amount, currency, status, due_on)
        SELECT * FROM unnest(
            $1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::bigint[], $6::text[], $7::text[], $8::date[])
        ON CONFLICT (clinic_id, id) DO UPDATE
        SET version = excluded.version, due_amount = excluded.due_amount, status = excluded.status,
            due_on = excluded.due_on
        WHERE payables.version < excluded.version
        """),
        [invoice.clinic_id for invoice in rows],
        [invoice.invoice_id for invoice in rows],
        [invoice.client_id for invoice in rows],
        [invoice.version for invoice in rows],
        [invoice.due_before_payments.minor for invoice in rows],
        [invoice.due_before_payments.currency for invoice in rows],
        [invoice.status for invoice in rows],
        [invoice.due_on for invoice in rows],
    )


async def lock_receivables(tx: Connection, keys: Collection[Key]) -> dict[Key, Receivable]:
    """Read payables and keep others from settling or reserving them until the transaction ends."""
    rows = await tx.fetch(
        """
        SELECT clinic_id, id, client_id, due_amount, settled_amount, currency, status, choice
        FROM payables
        WHERE (clinic_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        ORDER BY clinic_id, id
        FOR UPDATE
        """,
        *columns(keys),
    )
    receivables = [Receivable(**row) for row in rows]
    return {receivable.key: receivable for receivable in receivables}


async def keep_choice(tx: Connection, keys: Collection[Key], choice: bytes) -> None:
    """Save the newest choice of how to pay these payables. They are locked."""
    await tx.execute(
        """
        UPDATE payables SET choice = $3
        WHERE (clinic_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        """,
        *columns(keys),
        choice,
    )


async def save_receivables(tx: Connection, receivables: Collection[Receivable]) -> None:
    """Keep the counts of payables that are locked. Save their payments before, whose reservations may have ended."""
    await tx.execute(
        _marking_overdrawn("""
        UPDATE payables SET settled_amount = new.settled_amount
        FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS new (clinic_id, id, settled_amount)
        WHERE payables.clinic_id = new.clinic_id AND payables.id = new.id
        """),
        [receivable.clinic_id for receivable in receivables],
        [receivable.id for receivable in receivables],
        [receivable.settled_amount for receivable in receivables],
    )


def _marking_overdrawn(change: str) -> str:
    """A change of payables that also says of their open reservations whether they are over more than is open by now.

    It misses one that was committed while it waited for the payable: the sweeper compares sums in any case, in turn.
    """
    return f"""
        WITH p AS ({change} RETURNING payables.*)
        UPDATE allocations AS a SET overdrawn = {OVERDRAWN} FROM p
        WHERE a.clinic_id = p.clinic_id AND a.payable_id = p.id AND a.state = 'open'
            AND a.overdrawn <> ({OVERDRAWN})
    """


OVERDRAWN = "a.amount > CASE p.status WHEN 'void' THEN 0 ELSE p.due_amount - p.settled_amount END"
"""An allocation `a` is over more than is open of its payable `p`: the sum was lowered, or the invoice is void."""
