"""Every statement that changes an invoice, or reads one in order to change it."""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

import asyncpg

from contracts.payment import PaymentSettled, PaymentState
from services.chassis.db import Connection, Key
from services.invoice.clinics import ClientNotFound
from services.invoice.domain import Bill, Invoice


async def next_number(tx: Connection, clinic_id: UUID, year: int) -> int:
    """The clinic's next number of the year. Others wait for this transaction: no number is left out."""
    number: int = await tx.fetchval(
        """
        INSERT INTO invoice_counters AS counter (clinic_id, year, last_number) VALUES ($1, $2, 1)
        ON CONFLICT (clinic_id, year) DO UPDATE SET last_number = counter.last_number + 1
        RETURNING last_number
        """,
        clinic_id,
        year,
    )
    return number


async def add_invoice(tx: Connection, invoice: Invoice, bill: Bill) -> None:
    """Write a new invoice with its lines. Raises `ClientNotFound` when the clinic has no such client."""
    try:
        await _add_row(tx, invoice, bill)
    except asyncpg.ForeignKeyViolationError:
        raise ClientNotFound("the clinic has no client with this id", field="client_id") from None
    await _add_lines(tx, invoice, bill)


async def _add_row(tx: Connection, invoice: Invoice, bill: Bill) -> None:
    await tx.execute(
        """
        INSERT INTO invoices (clinic_id, id, client_id, number, status, currency, subtotal_amount, tax_amount,
            total_amount, issued_on, due_on, summary, note, version, created_at, changed_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)
        """,
        invoice.clinic_id,
        invoice.id,
        invoice.client_id,
        invoice.number,
        invoice.status,
        invoice.currency,
        bill.totals.subtotal,
        bill.totals.tax,
        invoice.total_amount,
        invoice.issued_on,
        invoice.due_on,
        bill.summary,
        bill.note,
        invoice.version,
        invoice.changed_at,
    )


async def _add_lines(tx: Connection, invoice: Invoice, bill: Bill) -> None:
    lines = bill.lines
    await tx.execute(
        """
        INSERT INTO invoice_lines (clinic_id, invoice_id, position, service, practitioner, starts_at, place,
            quantity, unit_amount, net_amount, tax_code, tax_name, tax_percent, tax_amount)
        SELECT $1, $2, position, service, practitioner, starts_at, place,
            quantity, unit_amount, net_amount, tax_code, tax_name, tax_percent, tax_amount
        FROM unnest($3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::numeric[], $8::bigint[],
                $9::bigint[], $10::text[], $11::text[], $12::numeric[], $13::bigint[]) WITH ORDINALITY
            AS line (service, practitioner, starts_at, place, quantity, unit_amount,
                net_amount, tax_code, tax_name, tax_percent, tax_amount, position)
        """,
        invoice.clinic_id,
        invoice.id,
        [line.service for line in lines],
        [line.practitioner for line in lines],
        [line.appointment.starts_at if line.appointment else None for line in lines],
        [line.appointment.place if line.appointment else None for line in lines],
        [line.quantity for line in lines],
        [line.unit_amount for line in lines],
        [line.net_amount for line in lines],
        [line.rate.code for line in lines],
        [line.rate.name for line in lines],
        [line.rate.percent for line in lines],
        [line.tax_amount for line in lines],
    )


async def lock_invoices(tx: Connection, keys: Collection[Key]) -> dict[Key, Invoice]:
    """Read invoices by (clinic, id) and keep others from changing them until the transaction ends."""
    rows = await tx.fetch(
        """
        SELECT clinic_id, id, client_id, number, status, currency, total_amount, settled_amount,
            refunded_amount, issued_on, due_on, paid_at, version, changed_at
        FROM invoices
        WHERE (clinic_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        ORDER BY clinic_id, id
        FOR UPDATE
        """,
        *_columns(keys),
    )
    return {(row["clinic_id"], row["id"]): Invoice(**row) for row in rows}


async def add_movements(tx: Connection, movements: Collection[PaymentSettled]) -> set[UUID]:
    """Write movements and return the ids of those that were not there yet."""
    rows = await tx.fetch(
        """
        INSERT INTO movements (clinic_id, id, invoice_id, payment_id, kind, amount, currency,
            method_kind, method_brand, method_last4, booked_at)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[],
            $7::text[], $8::text[], $9::text[], $10::text[], $11::timestamptz[])
        ON CONFLICT (clinic_id, id) DO NOTHING
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
    )
    return {row["id"] for row in rows}


async def end_payments(tx: Connection, movements: Collection[PaymentSettled]) -> None:
    """Note that payments have settled: from now on no state of theirs says that they are on their way."""
    settled = {(m.clinic_id, m.invoice_id, m.payment_id) for m in movements if m.kind == "payment"}
    await tx.execute(
        """
        INSERT INTO invoice_payments AS known (clinic_id, invoice_id, payment_id, state, version)
        SELECT *, 'settled', 0 FROM unnest($1::uuid[], $2::uuid[], $3::uuid[])
        ON CONFLICT (clinic_id, invoice_id, payment_id) DO UPDATE SET state = 'settled'
        """,
        *([key[part] for key in sorted(settled)] for part in range(3)),
    )


async def note_payments(tx: Connection, payments: Iterable[PaymentState]) -> None:
    """Note how far payments are, unless what is known is newer or they have settled."""
    newest = {}
    for payment in sorted(payments, key=lambda payment: payment.version):
        for share in payment.invoices:
            key = (payment.clinic_id, share.invoice_id, payment.payment_id)
            newest[key] = (*key, payment.status, payment.version)
    rows = [newest[key] for key in sorted(newest)]
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


async def with_open_payments(tx: Connection, keys: Collection[Key]) -> set[Key]:
    """Those of the (locked) invoices of which a payment is on its way."""
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
    """Write what money can change of invoices that `lock_invoices` gave."""
    await tx.execute(
        """
        UPDATE invoices
        SET status = new.status, settled_amount = new.settled_amount, refunded_amount = new.refunded_amount,
            paid_at = new.paid_at, version = new.version, changed_at = new.changed_at
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::timestamptz[],
                $7::integer[], $8::timestamptz[])
            AS new (clinic_id, id, status, settled_amount, refunded_amount, paid_at, version, changed_at)
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
    )


def _columns(keys: Collection[Key]) -> tuple[list[UUID], list[UUID]]:
    ordered = sorted(keys)
    return [clinic_id for clinic_id, _ in ordered], [invoice_id for _, invoice_id in ordered]
