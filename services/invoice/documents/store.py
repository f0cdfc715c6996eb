"""Every statement that corrects issued invoices."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from services.chassis.db.database import Connection
from services.chassis.db.statements import Statement
from services.invoice.clinics.domain import Clinic, seller_of
from services.invoice.documents.domain import Document, Issued, Line, Part, issued_of
from services.invoice.invoices import store as invoices
from services.invoice.invoices.domain import Invoice
from services.invoice.invoices.totals import TaxRate


async def allocate_number(tx: Connection, clinic_id: UUID, year: int) -> int:
    """Allocate the clinic's next credit note of the year. Others wait for this transaction: there is no gap."""
    number: int = await tx.fetchval(
        """
        INSERT INTO credit_note_counters AS counter (clinic_id, year, last_number) VALUES ($1, $2, 1)
        ON CONFLICT (clinic_id, year) DO UPDATE SET last_number = counter.last_number + 1
        RETURNING last_number
        """,
        clinic_id,
        year,
    )
    return number


async def lock_issued(tx: Connection, clinic_id: UUID, invoice_id: UUID) -> Issued | None:
    """Read an invoice, its lines and what its documents left of it. Others wait to change it until the commit."""
    key = clinic_id, invoice_id
    invoice = (await invoices.lock_invoices(tx, [key])).get(key)
    return None if invoice is None else await _read(tx, invoice)


async def get_issued(tx: Connection, clinic_id: UUID, invoice_id: UUID) -> Issued | None:
    """The same without a lock, for a preview."""
    row = await tx.fetchrow(
        f"SELECT {invoices.INVOICE} FROM invoices WHERE clinic_id = $1 AND id = $2", clinic_id, invoice_id
    )
    return None if row is None else await _read(tx, invoices.invoice_of(dict(row)))


async def _read(tx: Connection, invoice: Invoice) -> Issued:
    key = invoice.clinic_id, invoice.id
    lines = await tx.fetch(
        """
        SELECT position, service, quantity, net_amount, tax_amount, tax_code, tax_name, tax_percent,
            second_tax_code, second_tax_name, second_tax_percent, second_tax_amount
        FROM invoice_lines WHERE clinic_id = $1 AND invoice_id = $2 ORDER BY position
        """,
        *key,
    )
    adding_up = await tx.fetchrow(
        """
        SELECT i.prices, i.rounding_amount, coalesce(
            (SELECT sum(d.rounding_amount) FROM invoice_documents AS d
             WHERE (d.clinic_id, d.invoice_id) = (i.clinic_id, i.id)), 0)::bigint AS taken
        FROM invoices AS i WHERE i.clinic_id = $1 AND i.id = $2
        """,
        *key,
    )
    taken = await tx.fetch(
        """
        SELECT t.tax_codes, t.tax_code, sum(t.net_amount)::bigint AS net, sum(t.tax_amount)::bigint AS tax
        FROM invoice_document_taxes AS t
        JOIN invoice_documents AS d ON (d.clinic_id, d.id) = (t.clinic_id, t.document_id)
        WHERE d.clinic_id = $1 AND d.invoice_id = $2
        GROUP BY t.tax_codes, t.tax_code
        """,
        *key,
    )
    quantities = await tx.fetch(
        """
        SELECT position, sum(quantity) AS quantity FROM invoice_document_lines
        WHERE clinic_id = $1 AND invoice_id = $2 GROUP BY position
        """,
        *key,
    )
    assert adding_up is not None, "the invoice is there"
    found = [_line(row) for row in lines]
    rates = {line.part.codes: line.part.rates for line in found}
    return issued_of(
        invoice,
        found,
        adding_up["rounding_amount"],
        _parts(taken, rates),
        adding_up["taken"],
        {row["position"]: row["quantity"] for row in quantities},
        processing=key in await invoices.select_processing(tx, [key]),
        prices=adding_up["prices"],
    )


def _line(row: asyncpg.Record) -> Line:
    rates = [TaxRate(row["tax_code"], row["tax_name"], row["tax_percent"])]
    taxes = [row["tax_amount"]]
    if row["second_tax_code"] is not None:
        rates.append(TaxRate(row["second_tax_code"], row["second_tax_name"], row["second_tax_percent"]))
        taxes.append(row["second_tax_amount"])
    part = Part(tuple(rates), row["net_amount"], tuple(taxes))
    return Line(row["position"], row["service"], row["quantity"], part)


def _parts(taken: list[Any], rates: Mapping[tuple[str, ...], tuple[TaxRate, ...]]) -> list[Part]:
    by_codes: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in taken:
        by_codes.setdefault(tuple(row["tax_codes"]), {})[row["tax_code"]] = row
    return [
        Part(rates[codes], next(iter(rows.values()))["net"], tuple([rows[code]["tax"] for code in codes]))
        for codes, rows in by_codes.items()
    ]


def insert_document(clinic: Clinic, document: Document) -> list[Statement]:
    """Insert a document with its taxes and lines."""
    plan, invoice = document.plan, document.invoice
    taxes = [
        (list(part.codes), rate, part.net, tax)
        for part in plan.parts
        for rate, tax in zip(part.rates, part.taxes, strict=True)
    ]
    return [
        Statement(
            """
            INSERT INTO invoice_document_taxes (clinic_id, document_id, tax_codes, tax_code, tax_name, tax_percent,
                net_amount, tax_amount)
            SELECT $1, $2, string_to_array(codes, ' '), code, name, percent, net, tax
            FROM unnest($3::text[], $4::text[], $5::text[], $6::numeric[], $7::bigint[], $8::bigint[])
                AS new (codes, code, name, percent, net, tax)
            """,
            (
                clinic.id,
                document.id,
                [" ".join(codes) for codes, *_ in taxes],
                [rate.code for _, rate, _, _ in taxes],
                [rate.name for _, rate, _, _ in taxes],
                [rate.percent for _, rate, _, _ in taxes],
                [net for *_, net, _ in taxes],
                [tax for *_, tax in taxes],
            ),
        ),
        Statement(
            """
            INSERT INTO invoice_document_lines (clinic_id, document_id, invoice_id, position, quantity, net_amount,
                tax_amount)
            SELECT $1, $2, $3, new.* FROM unnest($4::integer[], $5::numeric[], $6::bigint[], $7::bigint[]) AS new
            """,
            (
                clinic.id,
                document.id,
                invoice.id,
                [line.position for line in plan.lines],
                [line.quantity for line in plan.lines],
                [line.part.net for line in plan.lines],
                [sum(line.part.taxes) for line in plan.lines],
            ),
        ),
        Statement(
            """
            INSERT INTO invoice_documents (clinic_id, id, invoice_id, kind, number, reason, explanation, currency,
                net_amount, tax_amount, rounding_amount, total_amount, issued_on, issued_at, seller, locale, time_zone,
                version, status, due_before_amount, settled_amount, being_checked, new_invoice_id)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
                $22, $23)
            """,
            (
                clinic.id,
                document.id,
                invoice.id,
                plan.kind,
                document.number,
                plan.reason,
                plan.explanation,
                invoice.currency,
                plan.net,
                plan.tax,
                plan.rounding,
                plan.total,
                document.issued_on,
                invoice.changed_at,
                msgspec.json.encode(seller_of(clinic)).decode(),
                clinic.locale,
                clinic.time_zone,
                invoice.version,
                invoice.status,
                invoice.due_before_payments,
                invoice.settled_amount,
                invoice.being_checked,
                document.new_invoice_id,
            ),
        ),
    ]


def save_corrected(invoice: Invoice) -> Statement:
    """Save the columns that documents change, of an invoice that is locked."""
    return Statement(
        """
        UPDATE invoices SET status = $3, credited_amount = $4, written_off_amount = $5, paid_at = $6, version = $7,
            changed_at = $8
        WHERE clinic_id = $1 AND id = $2
        """,
        (
            invoice.clinic_id,
            invoice.id,
            invoice.status,
            invoice.credited_amount,
            invoice.written_off_amount,
            invoice.paid_at,
            invoice.version,
            invoice.changed_at,
        ),
    )
