"""Every statement that issues invoices: one or a hundred, they are the same statements."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from services.chassis.db.database import Connection
from services.chassis.db.statements import Statement
from services.invoice.invoices.domain import Bill, Invoice


async def take_numbers(tx: Connection, clinic_id: UUID, counts: Mapping[int, int]) -> dict[int, int]:
    """Take so many numbers of each year for the clinic: the first of each. They follow one another.

    Others wait for this transaction, and a rollback gives the numbers back: none is left out. Years are locked in
    their order, so that two sets never wait for each other.
    """
    years = sorted(counts)
    rows = await tx.fetch(
        """
        INSERT INTO invoice_counters AS counter (clinic_id, year, last_number)
        SELECT $1, year, count FROM unnest($2::integer[], $3::integer[]) AS taken (year, count) ORDER BY year
        ON CONFLICT (clinic_id, year) DO UPDATE SET last_number = counter.last_number + excluded.last_number
        RETURNING year, last_number
        """,
        clinic_id,
        years,
        [counts[year] for year in years],
    )
    return {row["year"]: row["last_number"] - counts[row["year"]] + 1 for row in rows}


def adding_invoices(issued: Sequence[tuple[Invoice, Bill]]) -> Statement:
    """What writes new invoices of one clinic; their lines go into the same statement."""
    return Statement(
        """
        INSERT INTO invoices (clinic_id, id, client_id, number, status, currency, subtotal_amount,
            tax_amount, rounding_amount, total_amount, issued_on, due_on, summary, note, version, created_at,
            changed_at)
        SELECT $1, id, client_id, number, status, currency, subtotal, tax, rounding, total, issued_on,
            due_on, summary, note, version, changed_at, changed_at
        FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::bigint[],
                $8::bigint[], $9::bigint[], $10::bigint[], $11::date[], $12::date[], $13::text[],
                $14::text[], $15::integer[], $16::timestamptz[])
            AS new (id, client_id, number, status, currency, subtotal, tax, rounding, total, issued_on,
                due_on, summary, note, version, changed_at)
        """,
        (
            issued[0][0].clinic_id,
            [invoice.id for invoice, _ in issued],
            [invoice.client_id for invoice, _ in issued],
            [invoice.number for invoice, _ in issued],
            [invoice.status for invoice, _ in issued],
            [invoice.currency for invoice, _ in issued],
            [bill.totals.subtotal for _, bill in issued],
            [bill.totals.tax for _, bill in issued],
            [bill.totals.rounding for _, bill in issued],
            [invoice.total_amount for invoice, _ in issued],
            [invoice.issued_on for invoice, _ in issued],
            [invoice.due_on for invoice, _ in issued],
            [bill.summary for _, bill in issued],
            [bill.note for _, bill in issued],
            [invoice.version for invoice, _ in issued],
            [invoice.changed_at for invoice, _ in issued],
        ),
    )


def adding_lines(issued: Sequence[tuple[Invoice, Bill]]) -> Statement:
    """What writes the lines of new invoices of one clinic."""
    lines = [
        (invoice.id, at, line) for invoice, bill in issued for at, line in enumerate(bill.lines, start=1)
    ]
    return Statement(
        """
        INSERT INTO invoice_lines (clinic_id, invoice_id, position, service, practitioner, starts_at, place,
            quantity, unit_amount, net_amount, tax_code, tax_name, tax_percent, tax_amount)
        SELECT $1, line.*
        FROM unnest($2::uuid[], $3::integer[], $4::text[], $5::text[], $6::timestamptz[], $7::text[],
            $8::numeric[], $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::numeric[],
            $14::bigint[]) AS line
        """,
        (
            issued[0][0].clinic_id,
            [invoice_id for invoice_id, _, _ in lines],
            [at for _, at, _ in lines],
            [line.service for _, _, line in lines],
            [line.practitioner for _, _, line in lines],
            [line.appointment.starts_at if line.appointment else None for _, _, line in lines],
            [line.appointment.place if line.appointment else None for _, _, line in lines],
            [line.quantity for _, _, line in lines],
            [line.unit_amount for _, _, line in lines],
            [line.net_amount for _, _, line in lines],
            [line.rate.code for _, _, line in lines],
            [line.rate.name for _, _, line in lines],
            [line.rate.percent for _, _, line in lines],
            [line.tax_amount for _, _, line in lines],
        ),
    )
