"""Receivables, and the settings of the clinics that they belong to."""

from collections.abc import Collection
from uuid import UUID

import msgspec

from contracts.events.clinic import ClinicState
from contracts.events.invoice import InvoiceState, Sums
from services.chassis.db.database import Connection, Key
from services.chassis.ids import columns
from services.payment.receivables.domain import Clinic, Document, Receivable


async def get_clinic(tx: Connection, clinic_id: UUID) -> Clinic | None:
    row = await tx.fetchrow(
        "SELECT online_payment, methods, currency, least_part, deposits FROM clinics WHERE clinic_id = $1",
        clinic_id,
    )
    return None if row is None else Clinic(**{**row, "methods": frozenset(row["methods"])})


async def get_undo_hours(tx: Connection, clinic_id: UUID) -> int:
    """For how long the clinic holds refunds; 0 for one that is not known yet."""
    hours: int | None = await tx.fetchval("SELECT undo_hours FROM clinics WHERE clinic_id = $1", clinic_id)
    return hours or 0


async def upsert_clinics(tx: Connection, newest: Collection[ClinicState]) -> None:
    """Upsert clinics' settings where the event is newer than the row. One event a clinic."""
    rows = sorted(newest, key=lambda clinic: clinic.clinic_id)
    await tx.execute(
        """
        INSERT INTO clinics (clinic_id, version, online_payment, methods, currency, least_part, deposits,
            lost_dispute_reopens, undo_hours)
        SELECT clinic_id, version, online_payment, string_to_array(methods, ','), currency, least_part, deposits,
            lost_dispute_reopens, undo_hours
        FROM unnest($1::uuid[], $2::int[], $3::boolean[], $4::text[], $5::text[], $6::bigint[], $7::boolean[],
            $8::boolean[], $9::int[])
            AS new (clinic_id, version, online_payment, methods, currency, least_part, deposits, lost_dispute_reopens,
                undo_hours)
        ON CONFLICT (clinic_id) DO UPDATE
        SET version = excluded.version, online_payment = excluded.online_payment,
            methods = excluded.methods, currency = excluded.currency, least_part = excluded.least_part,
            deposits = excluded.deposits, lost_dispute_reopens = excluded.lost_dispute_reopens,
            undo_hours = excluded.undo_hours
        WHERE clinics.version < excluded.version
        """,
        [clinic.clinic_id for clinic in rows],
        [clinic.version for clinic in rows],
        [clinic.online_payment for clinic in rows],
        [",".join(clinic.methods) for clinic in rows],
        [clinic.currency for clinic in rows],
        [clinic.least_part for clinic in rows],
        [clinic.deposits for clinic in rows],
        [clinic.lost_dispute_reopens for clinic in rows],
        [clinic.undo_hours for clinic in rows],
    )


async def upsert_receivables(tx: Connection, newest: Collection[InvoiceState]) -> set[Key]:
    """Upsert receivables where the event is newer than the row. One event an invoice.

    `settled_amount` is left alone: it is this service's own count. Returns the receivables on which more is settled
    than is due by now.
    """
    rows = sorted(newest, key=lambda invoice: (invoice.clinic_id, invoice.invoice_id))
    excess = await tx.fetch(
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
    return {(row["clinic_id"], row["id"]) for row in excess}


async def add_documents(tx: Connection, documents: Collection[Document]) -> None:
    """Add documents of receivables that are there, each once."""
    await tx.execute(
        """
        INSERT INTO documents (clinic_id, id, payable_id, kind, number, reason, issued_on, currency, net_amount,
            tax_amount, rounding_amount, total_amount, taxes, published_at)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::date[],
            $8::text[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::jsonb[], $14::timestamptz[])
        ON CONFLICT (clinic_id, id) DO NOTHING
        """,
        [each.clinic_id for each in documents],
        [each.id for each in documents],
        [each.receivable_id for each in documents],
        [each.kind for each in documents],
        [each.number for each in documents],
        [each.reason for each in documents],
        [each.issued_on for each in documents],
        [each.sums.total.currency for each in documents],
        [each.sums.net.minor for each in documents],
        [each.sums.tax.minor for each in documents],
        [each.sums.rounding.minor for each in documents],
        [each.sums.total.minor for each in documents],
        [_taxes(each.sums) for each in documents],
        [each.published_at for each in documents],
    )


def _taxes(sums: Sums) -> str:
    return msgspec.json.encode(
        [
            {"code": tax.code, "percent": tax.percent, "net": tax.net.minor, "tax": tax.tax.minor}
            for tax in sums.taxes
        ]
    ).decode()


async def is_client(tx: Connection, clinic_id: UUID, client_id: UUID) -> bool:
    """Whether the clinic has issued an invoice to the client."""
    found: bool = await tx.fetchval(
        "SELECT EXISTS (SELECT FROM payables WHERE clinic_id = $1 AND client_id = $2)", clinic_id, client_id
    )
    return found


async def list_unknown(tx: Connection, clinic_id: UUID, ids: Collection[UUID]) -> list[UUID]:
    """The ids of which the clinic has no payable here."""
    rows = await tx.fetch(
        """
        SELECT given.id FROM unnest($2::uuid[]) AS given (id)
        WHERE NOT EXISTS (SELECT FROM payables WHERE clinic_id = $1 AND payables.id = given.id)
        """,
        clinic_id,
        list(ids),
    )
    return [row["id"] for row in rows]


async def lock_receivables(tx: Connection, keys: Collection[Key]) -> dict[Key, Receivable]:
    """Read payables and keep others from settling or reserving them until the transaction ends."""
    rows = await tx.fetch(
        """
        SELECT clinic_id, id, client_id, due_amount, settled_amount, currency, status, choice, returned_amount, version
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
        UPDATE payables SET settled_amount = new.settled_amount, returned_amount = new.returned_amount
        FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[])
            AS new (clinic_id, id, settled_amount, returned_amount)
        WHERE payables.clinic_id = new.clinic_id AND payables.id = new.id
        """),
        [receivable.clinic_id for receivable in receivables],
        [receivable.id for receivable in receivables],
        [receivable.settled_amount for receivable in receivables],
        [receivable.returned_amount for receivable in receivables],
    )


async def get_refunded(tx: Connection, receivables: Collection[Receivable]) -> dict[UUID, int]:
    """The refunded amount of each of these payables of one clinic: the returned one without what the bank has."""
    rows = await tx.fetch(
        """
        SELECT payable_id, sum(disputed_amount)::bigint AS disputed FROM allocations
        WHERE (clinic_id, payable_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        GROUP BY payable_id
        """,
        [receivable.clinic_id for receivable in receivables],
        [receivable.id for receivable in receivables],
    )
    disputed = {row["payable_id"]: row["disputed"] for row in rows}
    return {each.id: each.returned_amount - disputed.get(each.id, 0) for each in receivables}


async def save_returned(tx: Connection, receivables: Collection[Receivable]) -> None:
    """Keep what was returned of payables that are locked. It changes nothing of what is due."""
    await tx.execute(
        """
        UPDATE payables SET returned_amount = new.returned_amount
        FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS new (clinic_id, id, returned_amount)
        WHERE (payables.clinic_id, payables.id) = (new.clinic_id, new.id)
        """,
        [receivable.clinic_id for receivable in receivables],
        [receivable.id for receivable in receivables],
        [receivable.returned_amount for receivable in receivables],
    )


def _marking_overdrawn(change: str) -> str:
    """A change of payables that also says of their open reservations whether they are over more than is open by now.

    It returns the keys of changed payables on which more is settled than is due. It misses a reservation that was
    committed while it waited for the payable: the sweeper compares sums in any case, in turn.
    """
    return f"""
        WITH p AS ({change} RETURNING payables.*),
        marked AS (
            UPDATE allocations AS a SET overdrawn = {OVERDRAWN} FROM p
            WHERE a.clinic_id = p.clinic_id AND a.payable_id = p.id AND a.state = 'open'
                AND a.overdrawn <> ({OVERDRAWN})
        )
        SELECT p.clinic_id, p.id FROM p WHERE p.settled_amount - p.returned_amount > {_DUE}
    """


_DUE = "CASE p.status WHEN 'void' THEN 0 ELSE p.due_amount END"
OVERDRAWN = f"a.amount + a.credit_amount > {_DUE} - p.settled_amount"
"""An allocation `a` is over more than is open of its payable `p`: the sum was lowered, or the invoice is void."""
