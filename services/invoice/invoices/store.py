"""Every statement that changes an issued invoice, or reads one in order to change it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from contracts.events.payment import PaymentSettled, PaymentState, PaymentUpdated
from contracts.vocabulary import PAYABLE_INVOICES
from services.chassis.db.database import Connection, Key
from services.chassis.db.sql import literals
from services.invoice.clinics.domain import Seller
from services.invoice.invoices.domain import Invoice

INVOICE = """
    clinic_id, id, client_id, number, status, currency, total_amount, settled_amount, refunded_amount, disputed_amount,
    credited_amount, written_off_amount, issued_on, due_on, paid_at, version, changed_at, being_checked, seller, locale,
    time_zone, paid_version, pay_link_generation
"""
"""The columns of an `Invoice`."""


async def lock_invoices(tx: Connection, keys: Collection[Key]) -> dict[Key, Invoice]:
    """Read invoices by (clinic, id) and keep others from changing them until the transaction ends."""
    rows = await tx.fetch(
        f"""
        SELECT {INVOICE} FROM invoices
        WHERE (clinic_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        ORDER BY clinic_id, id
        FOR UPDATE
        """,
        *_columns(keys),
    )
    return {(row["clinic_id"], row["id"]): invoice_of(dict(row)) for row in rows}


def invoice_of(row: Mapping[str, Any]) -> Invoice:
    """An invoice from its row's columns, which have its fields' names."""
    return Invoice(**{**row, "seller": msgspec.json.decode(row["seller"], type=Seller)})


async def add_movements(tx: Connection, movements: Collection[PaymentSettled]) -> set[UUID]:
    """Insert movements and return the ids of the new ones. Their invoices are locked.

    A movement may be stored under its own id, or under another id for the same Stripe object. An earlier release stored
    no object and made another id: then payment, invoice and kind identify the movement.
    """
    rows = await tx.fetch(
        """
        WITH new AS (
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[],
                $7::text[], $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::text[], $13::timestamptz[])
                AS new (clinic_id, id, invoice_id, payment_id, kind, amount, currency,
                    method_kind, method_brand, method_last4, booked_at, stripe_object_id, captured_at)
        )
        INSERT INTO movements (clinic_id, id, invoice_id, payment_id, kind, amount, currency,
            method_kind, method_brand, method_last4, booked_at, stripe_object_id, captured_at)
        SELECT * FROM new
        WHERE NOT EXISTS (
            SELECT FROM movements AS held
            WHERE (held.clinic_id, held.invoice_id, held.payment_id, held.kind)
                    = (new.clinic_id, new.invoice_id, new.payment_id, new.kind)
                AND (held.stripe_object_id IS NULL) <> (new.stripe_object_id IS NULL)
        )
        ON CONFLICT DO NOTHING
        RETURNING id
        """,
        [m.clinic_id for m in movements],
        [m.movement_id for m in movements],
        [m.invoice_id for m in movements],
        [m.payment_id for m in movements],
        [m.kind for m in movements],
        [m.amount.minor for m in movements],
        [m.amount.currency for m in movements],
        [m.method.kind if m.method else None for m in movements],
        [m.method.brand if m.method else None for m in movements],
        [m.method.last4 if m.method else None for m in movements],
        [m.time for m in movements],
        [m.stripe_object_id for m in movements],
        [m.captured_at for m in movements],
    )
    return {row["id"] for row in rows}


async def mark_payments_settled(
    tx: Connection, movements: Collection[PaymentSettled]
) -> list[asyncpg.Record]:
    """Mark payments as settled: a later state event no longer makes them `processing`.

    Returns the rows whose method was stored before, for `update_movement_methods`; usually none.
    """
    settled = sorted({(m.clinic_id, m.invoice_id, m.payment_id) for m in movements if m.kind == "payment"})
    return await tx.fetch(
        """
        WITH ended AS (
            INSERT INTO invoice_payments AS known (clinic_id, invoice_id, payment_id, state, version)
            SELECT *, 'settled', 0 FROM unnest($1::uuid[], $2::uuid[], $3::uuid[])
            ON CONFLICT (clinic_id, invoice_id, payment_id) DO UPDATE SET state = 'settled'
            RETURNING clinic_id, invoice_id, payment_id, method_kind, method_brand, method_last4
        )
        SELECT * FROM ended WHERE method_kind IS NOT NULL
        """,
        *([key[part] for key in settled] for part in range(3)),
    )


async def upsert_methods(tx: Connection, updated: Collection[PaymentUpdated]) -> None:
    """Store the methods of payments, for movements that will come, and copy them to movements that are stored."""
    methods = {
        (event.clinic_id, invoice_id, event.payment_id): event.method
        for event in updated
        for invoice_id in event.invoices
    }
    keys = sorted(methods)
    known = await tx.fetch(
        """
        INSERT INTO invoice_payments AS known (clinic_id, invoice_id, payment_id, state, version,
            method_kind, method_brand, method_last4)
        SELECT clinic_id, invoice_id, payment_id, 'succeeded', 0, kind, brand, last4
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[])
            AS new (clinic_id, invoice_id, payment_id, kind, brand, last4)
        ON CONFLICT (clinic_id, invoice_id, payment_id) DO UPDATE SET method_kind = excluded.method_kind,
            method_brand = excluded.method_brand, method_last4 = excluded.method_last4
        RETURNING clinic_id, invoice_id, payment_id, method_kind, method_brand, method_last4
        """,
        *([key[part] for key in keys] for part in range(3)),
        *([getattr(methods[key], part) for key in keys] for part in ("kind", "brand", "last4")),
    )
    await update_movement_methods(tx, known)


async def update_movement_methods(tx: Connection, known: Collection[asyncpg.Record]) -> None:
    """Copy stored methods to the movements of their payments. This changes the display only, no sum."""
    await tx.execute(
        """
        UPDATE movements AS m
        SET method_kind = known.kind, method_brand = known.brand, method_last4 = known.last4
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[])
            AS known (clinic_id, invoice_id, payment_id, kind, brand, last4)
        WHERE m.clinic_id = known.clinic_id AND m.invoice_id = known.invoice_id
            AND m.payment_id = known.payment_id AND m.kind = 'payment'
        """,
        *([row[column] for row in known] for column in ("clinic_id", "invoice_id", "payment_id")),
        *([row[column] for row in known] for column in ("method_kind", "method_brand", "method_last4")),
    )


async def upsert_payment_states(tx: Connection, payments: Iterable[PaymentState]) -> None:
    """Store the states of payments, unless the stored state is newer or the payment has settled."""
    newest = {}
    for payment in sorted(payments, key=lambda payment: payment.version):
        for share in payment.invoices:
            key = (payment.clinic_id, share.invoice_id, payment.payment_id)
            newest[key] = (*key, payment.status, payment.version)
    rows = [newest[key] for key in sorted(newest)]
    if not rows:
        return
    await tx.execute(
        """
        INSERT INTO invoice_payments AS known (clinic_id, invoice_id, payment_id, state, version)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::integer[])
        ON CONFLICT (clinic_id, invoice_id, payment_id)
            DO UPDATE SET state = excluded.state, version = excluded.version
            WHERE known.state <> 'settled' AND known.version < excluded.version
        """,
        *([row[column] for row in rows] for column in range(5)),
    )


async def select_processing(tx: Connection, keys: Collection[Key]) -> set[Key]:
    """Which of the (locked) invoices have a payment in `processing`."""
    rows = await tx.fetch(
        """
        SELECT DISTINCT clinic_id, invoice_id
        FROM invoice_payments
        WHERE (clinic_id, invoice_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
            AND state = 'processing'
        """,
        *_columns(keys),
    )
    return {(row["clinic_id"], row["invoice_id"]) for row in rows}


async def save_invoices(tx: Connection, invoices: Sequence[Invoice]) -> None:
    """Save the columns that movements change, of invoices that `lock_invoices` returned."""
    await tx.execute(
        """
        UPDATE invoices
        SET status = new.status, settled_amount = new.settled_amount, refunded_amount = new.refunded_amount,
            disputed_amount = new.disputed_amount, paid_at = new.paid_at, version = new.version,
            changed_at = new.changed_at, being_checked = new.being_checked, paid_version = new.paid_version
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::timestamptz[],
                $7::integer[], $8::timestamptz[], $9::boolean[], $10::bigint[], $11::integer[])
            AS new (clinic_id, id, status, settled_amount, refunded_amount, paid_at, version, changed_at,
                being_checked, disputed_amount, paid_version)
        WHERE (invoices.clinic_id, invoices.id) = (new.clinic_id, new.id)
        """,
        [invoice.clinic_id for invoice in invoices],
        [invoice.id for invoice in invoices],
        [invoice.status for invoice in invoices],
        [invoice.settled_amount for invoice in invoices],
        [invoice.refunded_amount for invoice in invoices],
        [invoice.paid_at for invoice in invoices],
        [invoice.version for invoice in invoices],
        [invoice.changed_at for invoice in invoices],
        [invoice.being_checked for invoice in invoices],
        [invoice.disputed_amount for invoice in invoices],
        [invoice.paid_version for invoice in invoices],
    )


async def save_pay_link_generation(tx: Connection, invoice: Invoice) -> None:
    """Save the generation of an invoice that `lock_invoices` returned."""
    await tx.execute(
        """
        UPDATE invoices SET pay_link_generation = $3, version = $4, changed_at = $5
        WHERE clinic_id = $1 AND id = $2
        """,
        invoice.clinic_id,
        invoice.id,
        invoice.pay_link_generation,
        invoice.version,
        invoice.changed_at,
    )


async def lock_overdue(tx: Connection, most: int) -> list[Invoice]:
    """Invoices that are to be paid, whose due date is over at the clinic, and of which that was not published.

    Invoices that others change at this moment are left out: their turn is the next one.
    """
    rows = await tx.fetch(
        f"""
        SELECT {INVOICE} FROM invoices
        WHERE overdue_at IS NULL AND NOT being_checked AND status IN {literals(PAYABLE_INVOICES)}
            AND due_on <= (app_now() AT TIME ZONE 'UTC')::date AND due_on < (app_now() AT TIME ZONE time_zone)::date
        ORDER BY due_on
        LIMIT $1
        FOR UPDATE SKIP LOCKED
        """,
        most,
    )
    return [invoice_of(dict(row)) for row in rows]


async def save_overdue(tx: Connection, invoices: Sequence[Invoice]) -> None:
    """Save invoices that are overdue by now, and when that was published."""
    await tx.execute(
        """
        UPDATE invoices SET version = new.version, changed_at = new.at, overdue_at = new.at
        FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::timestamptz[]) AS new (clinic_id, id, version, at)
        WHERE invoices.clinic_id = new.clinic_id AND invoices.id = new.id
        """,
        [invoice.clinic_id for invoice in invoices],
        [invoice.id for invoice in invoices],
        [invoice.version for invoice in invoices],
        [invoice.changed_at for invoice in invoices],
    )


async def get_movement(tx: Connection, clinic_id: UUID, movement_id: UUID) -> asyncpg.Record | None:
    return await tx.fetchrow(
        "SELECT invoice_id, payment_id, kind, amount, currency FROM movements WHERE clinic_id = $1 AND id = $2",
        clinic_id,
        movement_id,
    )


async def add_correction(
    tx: Connection, clinic_id: UUID, movement_id: UUID, reason: str, reversed_by: str, approved_by: str
) -> None:
    """Keep the whole movement with who takes it out and why."""
    await tx.execute(
        """
        INSERT INTO corrections (clinic_id, movement_id, invoice_id, movement, reason, reversed_by, approved_by)
        SELECT clinic_id, id, invoice_id, to_jsonb(movements), $3, $4, $5 FROM movements
        WHERE clinic_id = $1 AND id = $2
        """,
        clinic_id,
        movement_id,
        reason,
        reversed_by,
        approved_by,
    )


async def delete_movement(tx: Connection, clinic_id: UUID, movement_id: UUID) -> None:
    """Delete a movement that has a correction. Its claim in the inbox stays: it is never booked again."""
    await tx.execute("DELETE FROM movements WHERE clinic_id = $1 AND id = $2", clinic_id, movement_id)


async def forget_settled_payment(tx: Connection, clinic_id: UUID, invoice_id: UUID, payment_id: UUID) -> None:
    """Let the payment's events count again, if no other movement says that it has settled."""
    await tx.execute(
        """
        DELETE FROM invoice_payments AS p
        WHERE p.clinic_id = $1 AND p.invoice_id = $2 AND p.payment_id = $3 AND p.state = 'settled'
            AND NOT EXISTS (
                SELECT FROM movements AS m
                WHERE (m.clinic_id, m.invoice_id, m.payment_id, m.kind) = ($1, $2, $3, 'payment')
            )
        """,
        clinic_id,
        invoice_id,
        payment_id,
    )


def _columns(keys: Collection[Key]) -> tuple[list[UUID], list[UUID]]:
    ordered = sorted(keys)
    return [clinic_id for clinic_id, _ in ordered], [invoice_id for _, invoice_id in ordered]
