"""Every statement that issues invoices. Their number does not depend on how many invoices are issued."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import msgspec

from services.chassis.db.database import Connection
from services.chassis.db.statements import Statement
from services.invoice.clients.domain import ClientDetails
from services.invoice.invoices.domain import Invoice
from services.invoice.invoices.drafts import PricedDraft
from services.invoice.invoices.views import LINE_COLUMNS

_LINE_ARRAYS = ", ".join(
    f"${at}::{sql_type}[]" for at, (sql_type, _) in enumerate(LINE_COLUMNS.values(), start=4)
)
"""The parameters of `insert_lines` from the fourth."""


async def allocate_numbers(
    tx: Connection, clinic_id: UUID, counts: Mapping[int, int], starts: Mapping[int, int]
) -> dict[int, int]:
    """Allocate that many consecutive numbers of each year to the clinic. Return each year's first.

    A year begins with 1, or where `starts` says; a year that has begun goes on.

    Other issuers wait for this transaction, and a rollback frees the numbers: there is no gap. Years are locked in
    order, so that two sets never wait for each other.
    """
    years = sorted(counts)
    rows = await tx.fetch(
        """
        INSERT INTO invoice_counters AS counter (clinic_id, year, first_number, last_number)
        SELECT $1, year, start, start + count - 1
        FROM unnest($2::integer[], $3::integer[], $4::integer[]) AS taken (year, count, start) ORDER BY year
        ON CONFLICT (clinic_id, year) DO UPDATE
        SET last_number = counter.last_number + excluded.last_number - excluded.first_number + 1
        RETURNING year, last_number
        """,
        clinic_id,
        years,
        [counts[year] for year in years],
        [starts.get(year, 1) for year in years],
    )
    return {row["year"]: row["last_number"] - counts[row["year"]] + 1 for row in rows}


async def list_external_ids(tx: Connection, clinic_id: UUID, named: Collection[str]) -> set[str]:
    """The ids among these, without blanks around them, that invoices of the clinic have."""
    rows = await tx.fetch(
        "SELECT external_id FROM invoices WHERE clinic_id = $1 AND external_id = ANY($2::text[])",
        clinic_id,
        [each.strip() for each in named],
    )
    return {row["external_id"] for row in rows}


def insert_invoices(issued: Sequence[tuple[Invoice, PricedDraft]]) -> Statement:
    """Insert new invoices of one clinic. Their lines and identities belong into the same round trip."""
    first = issued[0][0]
    return Statement(
        """
        INSERT INTO invoices (clinic_id, id, client_id, number, status, currency, subtotal_amount,
            tax_amount, rounding_amount, total_amount, issued_on, due_on, summary, note, version, created_at,
            changed_at, seller, locale, time_zone, paid_at, prices, discount_amount, discount_percent,
            discount_reason, location, external_id)
        SELECT $1, id, client_id, number, status, currency, subtotal, tax, rounding, total, issued_on,
            due_on, summary, note, version, changed_at, changed_at, $17, $18, $19, paid_at, prices, discount,
            discount_percent, discount_reason, location, external_id
        FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::bigint[],
                $8::bigint[], $9::bigint[], $10::bigint[], $11::date[], $12::date[], $13::text[],
                $14::text[], $15::integer[], $16::timestamptz[], $20::timestamptz[], $21::text[],
                $22::bigint[], $23::numeric[], $24::text[], $25::text[], $26::text[])
            AS new (id, client_id, number, status, currency, subtotal, tax, rounding, total, issued_on,
                due_on, summary, note, version, changed_at, paid_at, prices, discount, discount_percent,
                discount_reason, location, external_id)
        """,
        (
            first.clinic_id,
            [invoice.id for invoice, _ in issued],
            [invoice.client_id for invoice, _ in issued],
            [invoice.number for invoice, _ in issued],
            [invoice.status for invoice, _ in issued],
            [invoice.currency for invoice, _ in issued],
            [draft.totals.subtotal for _, draft in issued],
            [draft.totals.tax for _, draft in issued],
            [draft.totals.rounding for _, draft in issued],
            [invoice.total_amount for invoice, _ in issued],
            [invoice.issued_on for invoice, _ in issued],
            [invoice.due_on for invoice, _ in issued],
            [draft.summary for _, draft in issued],
            [draft.note for _, draft in issued],
            [invoice.version for invoice, _ in issued],
            [invoice.changed_at for invoice, _ in issued],
            msgspec.json.encode(first.seller).decode(),
            first.locale,
            first.time_zone,
            [invoice.paid_at for invoice, _ in issued],
            [draft.prices for _, draft in issued],
            [draft.totals.discount if draft.discount else None for _, draft in issued],
            [draft.discount.percent if draft.discount else None for _, draft in issued],
            [draft.discount.reason if draft.discount else None for _, draft in issued],
            [draft.location for _, draft in issued],
            [draft.external_id for _, draft in issued],
        ),
    )


def insert_identities(
    issued: Sequence[tuple[Invoice, PricedDraft]], clients: Mapping[UUID, ClientDetails]
) -> Statement:
    """Insert to whom new invoices of one clinic are addressed."""
    people = [clients[invoice.client_id] for invoice, _ in issued]
    return Statement(
        """
        INSERT INTO invoice_identities (clinic_id, invoice_id, name, billing_address, tax_number,
            insurer_reference, metadata)
        SELECT $1, new.* FROM unnest($2::uuid[], $3::text[], $4::jsonb[], $5::text[], $6::text[], $7::jsonb[]) AS new
        """,
        (
            issued[0][0].clinic_id,
            [invoice.id for invoice, _ in issued],
            [person.name for person in people],
            [msgspec.json.encode(person.billing_address).decode() for person in people],
            [person.tax_number for person in people],
            [draft.kept_apart.insurer_reference for _, draft in issued],
            [msgspec.json.encode(draft.kept_apart.metadata).decode() for _, draft in issued],
        ),
    )


def insert_lines(issued: Sequence[tuple[Invoice, PricedDraft]]) -> Statement:
    """Insert the lines of new invoices of one clinic."""
    keys = [(invoice.id, at) for invoice, draft in issued for at in range(1, len(draft.lines) + 1)]
    lines = [line for _, draft in issued for line in draft.lines]
    return Statement(
        f"""
        INSERT INTO invoice_lines (clinic_id, invoice_id, position, {", ".join(LINE_COLUMNS)})
        SELECT $1, line.* FROM unnest($2::uuid[], $3::integer[], {_LINE_ARRAYS}) AS line
        """,
        (
            issued[0][0].clinic_id,
            [invoice_id for invoice_id, _ in keys],
            [at for _, at in keys],
            *[list(map(read, lines)) for _, read in LINE_COLUMNS.values()],
        ),
    )
