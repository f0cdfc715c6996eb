"""Every statement that shows invoices. Row-level security separates clinics; clients are separated here."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, get_args
from uuid import UUID

import asyncpg

from contracts.http.common import Money
from contracts.http.invoices import DocumentOut, InvoiceOut, InvoiceRow, MovementOut, Summary
from contracts.vocabulary import OPEN_INVOICES, PAYABLE_INVOICES, InvoiceStatus
from services.chassis.db.database import Connection
from services.chassis.db.sql import literals
from services.invoice.invoices import views
from services.invoice.paging import Place

StatusFilter = Literal["all", InvoiceStatus]
"""`unpaid` is the group of all that is open: unpaid, part_paid and processing. The others are themselves."""
SEARCHED_FOR_LOCATIONS = 500
"""Invoices whose places are offered as a filter."""
_PAYABLE = f"i.status IN {literals(PAYABLE_INVOICES)}"
_ASKED_FOR = f"{_PAYABLE} AND NOT i.being_checked"
_LATE = "i.due_on < (app_now() AT TIME ZONE i.time_zone)::date"

# Constant texts, not parameters: the planner then sees that a partial index holds what is asked for.
_STATUS: dict[str, str] = {status: f"AND i.status = '{status}'" for status in get_args(StatusFilter)}
_STATUS["all"] = ""
_STATUS["unpaid"] = f"AND i.status IN {literals(OPEN_INVOICES)}"


def _select(more: str = "", join: str = "") -> str:
    """The query of invoices as they are shown, with more columns of the table that `join` joins."""
    return f"""
SELECT i.id, i.client_id, i.number, i.status, i.issued_on, i.due_on, i.currency, i.total_amount,
    i.settled_amount, i.refunded_amount, i.credited_amount, i.written_off_amount, i.subtotal_amount,
    i.rounding_amount, i.summary, i.note, i.version, i.being_checked, i.changed_at,
    i.locale, i.time_zone, i.external_id{more}, {_ASKED_FOR} AND {_LATE} AS overdue,
    CASE WHEN {_ASKED_FOR} AND c.online_payment THEN c.methods ELSE '{{}}' END AS methods,
    paid.method_kind, paid.method_brand, paid.method_last4, paid.last_paid_at
FROM invoices AS i
JOIN clinics AS c ON c.id = i.clinic_id
{join}
LEFT JOIN LATERAL (
    SELECT CASE m.kind WHEN 'credit' THEN 'credit' ELSE m.method_kind END AS method_kind,
        CASE m.kind WHEN 'payment' THEN m.method_brand END AS method_brand,
        CASE m.kind WHEN 'payment' THEN m.method_last4 END AS method_last4,
        coalesce(m.captured_at, m.booked_at) AS last_paid_at
    FROM movements AS m
    WHERE m.clinic_id = i.clinic_id AND m.invoice_id = i.id
        AND (m.kind = 'payment' OR (m.kind = 'credit' AND m.amount > 0))
    ORDER BY m.kind = 'payment' DESC, m.booked_at DESC, m.id DESC
    LIMIT 1
) AS paid ON true
WHERE i.clinic_id = $1
"""


_ROW = _select()
_WHOLE = _select(
    ", i.prices, i.discount_amount, i.discount_percent, i.discount_reason, i.location, i.seller, "
    "i.pay_link_generation, who.name AS client_name, who.billing_address, who.tax_number, who.insurer_reference, "
    "who.metadata, who.erased_at IS NOT NULL AS erased, corrected.id AS corrects_id, "
    "corrected.number AS corrects_number",
    """JOIN invoice_identities AS who ON (who.clinic_id, who.invoice_id) = (i.clinic_id, i.id)
LEFT JOIN invoice_documents AS replacing ON (replacing.clinic_id, replacing.new_invoice_id) = (i.clinic_id, i.id)
LEFT JOIN invoices AS corrected ON (corrected.clinic_id, corrected.id) = (replacing.clinic_id, replacing.invoice_id)""",
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The invoices of a list: of one client or of all, of a status, issued within days, at a location, with words.

    The number, the location, a service, an employee or a place of the invoice has each of `words`.
    """

    client_id: UUID | None = None
    status: StatusFilter = "all"
    issued_from: date | None = None
    issued_to: date | None = None
    location: str = ""
    words: tuple[str, ...] = ()


# No EXISTS: for it the planner may read the lines of the whole clinic at once.
_IN_LINES = """(
    SELECT true FROM invoice_lines AS l WHERE (l.clinic_id, l.invoice_id) = (i.clinic_id, i.id) AND {} LIMIT 1
)"""
_AT_LOCATION = f" AND (i.location = ${{0}} OR {_IN_LINES.format('l.place = ${0}')})"
_HAS_WORD = (
    " AND (i.number ILIKE ${0} OR i.location ILIKE ${0} OR "
    + _IN_LINES.format("(l.service ILIKE ${0} OR l.practitioner ILIKE ${0} OR l.place ILIKE ${0})")
    + ")"
)


def list_statement(clinic_id: UUID, wanted: Wanted, at: Place | None, limit: int) -> tuple[str, list[object]]:
    """The one query of Billing History, and its parameters.

    Newest first, from the row after the place; for a page before it, oldest first.
    """
    parameters: list[object] = [clinic_id]
    back = at is not None and at.back
    comparison, order = ("(i.issued_on, i.id) >", "ASC") if back else ("(i.issued_on, i.id) <", "DESC")
    sql = _ROW + _STATUS[wanted.status]
    sql += _narrowed(parameters, wanted.client_id, comparison, at.key if at else None)
    sql += _matching(parameters, wanted)
    parameters.append(limit)
    return sql + f" ORDER BY i.issued_on {order}, i.id {order} LIMIT ${len(parameters)}", parameters


def _matching(parameters: list[object], wanted: Wanted) -> str:
    """The conditions for what is wanted, without client and status. Their parameters are added to the others."""
    conditions: list[tuple[str, object]] = []
    if wanted.issued_from:
        conditions.append((" AND i.issued_on >= ${0}", wanted.issued_from))
    if wanted.issued_to:
        conditions.append((" AND i.issued_on <= ${0}", wanted.issued_to))
    if wanted.location:
        conditions.append((_AT_LOCATION, wanted.location))
    conditions += [(_HAS_WORD, f"%{_literal(word)}%") for word in wanted.words]
    sql = ""
    for condition, parameter in conditions:
        parameters.append(parameter)
        sql += condition.format(len(parameters))
    return sql


def _literal(word: str) -> str:
    """The word as a pattern that finds just it."""
    return re.sub(r"([\\%_])", r"\\\1", word)


async def list_invoices(
    tx: Connection,
    clinic_id: UUID,
    wanted: Wanted,
    at: Place | None,
    limit: int,
) -> list[InvoiceRow]:
    """Billing History in the order of `list_statement`."""
    sql, parameters = list_statement(clinic_id, wanted, at, limit)
    return [views.row(row) for row in await tx.fetch(sql, *parameters)]


async def list_locations(tx: Connection, clinic_id: UUID, client_id: UUID) -> list[str]:
    """The places that stand on a client's newest invoices, by name."""
    rows = await tx.fetch(
        """
        WITH newest AS MATERIALIZED (
            SELECT id, location FROM invoices WHERE clinic_id = $1 AND client_id = $2
            ORDER BY issued_on DESC, id DESC LIMIT $3
        )
        SELECT location AS place FROM newest WHERE location <> ''
        UNION
        SELECT of_line.place FROM newest CROSS JOIN LATERAL (
            SELECT l.place FROM invoice_lines AS l
            WHERE (l.clinic_id, l.invoice_id) = ($1, newest.id) AND l.place <> ''
            OFFSET 0
        ) AS of_line
        ORDER BY place
        """,
        clinic_id,
        client_id,
        SEARCHED_FOR_LOCATIONS,
    )
    return [row["place"] for row in rows]


async def list_changed(
    tx: Connection,
    clinic_id: UUID,
    *,
    client_id: UUID | None,
    since: datetime,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[InvoiceRow]:
    """Invoices that changed at `since` or later, in the order of their last change: a client's, or the clinic's.

    One that changes meanwhile moves to the end, so that pages leave none out.
    """
    parameters: list[object] = [clinic_id, max(since, after[0]) if after else since]
    sql = _ROW + " AND i.changed_at >= $2"
    sql += _narrowed(parameters, client_id, "(i.changed_at, i.id) >", after)
    parameters.append(limit)
    rows = await tx.fetch(f"{sql} ORDER BY i.changed_at, i.id LIMIT ${len(parameters)}", *parameters)
    return [views.row(row) for row in rows]


def _narrowed(
    parameters: list[object], client_id: UUID | None, comparison: str, after: tuple[Any, ...] | None
) -> str:
    """The conditions for one client's rows, and for those after a page. Their parameters are added to the others."""
    sql = ""
    if client_id is not None:
        parameters.append(client_id)
        sql += f" AND i.client_id = ${len(parameters)}"
    if after is not None:
        parameters.extend(after)
        sql += f" AND {comparison} (${len(parameters) - 1}, ${len(parameters)})"
    return sql


async def get_invoice(
    tx: Connection, clinic_id: UUID, invoice_id: UUID, *, client_id: UUID | None
) -> InvoiceOut | None:
    """One invoice whole; None when there is none, or when it is not `client_id`'s (given for clients)."""
    row = await tx.fetchrow(
        _WHOLE + " AND i.id = $2 AND ($3::uuid IS NULL OR i.client_id = $3)", clinic_id, invoice_id, client_id
    )
    if row is None:
        return None
    lines = await _lines(tx, clinic_id, invoice_id)
    movements = await _movements(tx, clinic_id, invoice_id)
    corrected = row["status"] == "void" or row["credited_amount"] or row["written_off_amount"]
    documents = await _documents(tx, clinic_id, invoice_id) if corrected else []
    return views.whole(row, lines, movements, documents)


async def get_by_external_id(tx: Connection, clinic_id: UUID, external_id: str) -> list[InvoiceRow]:
    """The invoice that another program knows by this id, if there is one."""
    row = await tx.fetchrow(_ROW + " AND i.external_id = $2", clinic_id, external_id)
    return [views.row(row)] if row else []


async def get_summary(tx: Connection, clinic_id: UUID, client_id: UUID) -> Summary:
    """A client's dues and counts. Sums per currency, in order of the currency's code."""
    sums = await tx.fetch(
        f"""
        SELECT i.currency, count(*) FILTER (WHERE i.being_checked) AS checked,
            count(*) FILTER (WHERE NOT i.being_checked) AS unpaid,
            sum(i.total_amount - i.credited_amount - i.written_off_amount - i.settled_amount)
                FILTER (WHERE NOT i.being_checked)::bigint AS due_amount,
            count(*) FILTER (WHERE NOT i.being_checked AND {_LATE})
                AS overdue
        FROM invoices AS i
        WHERE i.clinic_id = $1 AND i.client_id = $2 AND {_PAYABLE}
        GROUP BY i.currency
        ORDER BY i.currency
        """,
        clinic_id,
        client_id,
    )
    return Summary(
        due=[Money(row["due_amount"], row["currency"]) for row in sums if row["unpaid"]],
        unpaid_count=sum(row["unpaid"] for row in sums),
        overdue_count=sum(row["overdue"] for row in sums),
        checked_count=sum(row["checked"] for row in sums),
        next=await _first(
            tx,
            clinic_id,
            client_id,
            f"AND {_ASKED_FOR} ORDER BY i.due_on, i.id",
        ),
        last_paid=await _first(tx, clinic_id, client_id, "AND i.status = 'paid' ORDER BY i.paid_at DESC"),
    )


async def _first(tx: Connection, clinic_id: UUID, client_id: UUID, rest: str) -> InvoiceRow | None:
    row = await tx.fetchrow(f"{_ROW} AND i.client_id = $2 {rest} LIMIT 1", clinic_id, client_id)
    return views.row(row) if row else None


async def _lines(tx: Connection, clinic_id: UUID, invoice_id: UUID) -> list[asyncpg.Record]:
    return await tx.fetch(
        f"""
        SELECT position, {", ".join(views.LINE_COLUMNS)}
        FROM invoice_lines
        WHERE clinic_id = $1 AND invoice_id = $2
        ORDER BY position
        """,
        clinic_id,
        invoice_id,
    )


async def _movements(tx: Connection, clinic_id: UUID, invoice_id: UUID) -> list[asyncpg.Record]:
    return await tx.fetch(
        """
        SELECT id, kind, amount, currency, method_kind, method_brand, method_last4, booked_at, payment_id,
            captured_at
        FROM movements
        WHERE clinic_id = $1 AND invoice_id = $2
        ORDER BY booked_at, id
        """,
        clinic_id,
        invoice_id,
    )


async def list_moved(
    tx: Connection, clinic_id: UUID, client_id: UUID, begin: datetime, end: datetime, limit: int
) -> list[tuple[MovementOut, str]]:
    """The movements of a client's invoices from `begin` to before `end`, each with its invoice's number.

    In the order of their time: when Stripe captured a payment, else when it was booked.
    """
    rows = await tx.fetch(
        """
        SELECT m.id, m.kind, m.amount, m.currency, m.method_kind, m.method_brand, m.method_last4, m.booked_at,
            m.payment_id, m.captured_at, i.number
        FROM invoices AS i
        JOIN movements AS m ON (m.clinic_id, m.invoice_id) = (i.clinic_id, i.id)
        WHERE i.clinic_id = $1 AND i.client_id = $2
            AND coalesce(m.captured_at, m.booked_at) >= $3 AND coalesce(m.captured_at, m.booked_at) < $4
        ORDER BY coalesce(m.captured_at, m.booked_at), m.id
        LIMIT $5
        """,
        clinic_id,
        client_id,
        begin,
        end,
        limit,
    )
    return [(views.movement(row), row["number"]) for row in rows]


async def sum_due_before(tx: Connection, clinic_id: UUID, client_id: UUID, day: date) -> list[Money]:
    """The sums due now of a client's invoices that were issued before the day, in order of the currency's code."""
    rows = await tx.fetch(
        f"""
        SELECT currency,
            sum(total_amount - credited_amount - written_off_amount - settled_amount)::bigint AS due_amount
        FROM invoices
        WHERE clinic_id = $1 AND client_id = $2 AND issued_on < $3 AND status IN {literals(OPEN_INVOICES)}
        GROUP BY currency
        ORDER BY currency
        """,
        clinic_id,
        client_id,
        day,
    )
    return [Money(row["due_amount"], row["currency"]) for row in rows]


async def _documents(tx: Connection, clinic_id: UUID, invoice_id: UUID) -> list[DocumentOut]:
    """The documents that corrected an invoice, oldest first."""
    rows = await tx.fetch(
        """
        SELECT d.id, d.invoice_id, d.kind, d.number, d.reason, d.explanation, d.currency, d.net_amount, d.tax_amount,
            d.rounding_amount, d.total_amount, d.issued_on, d.seller, d.locale, d.time_zone, d.new_invoice_id,
            new.number AS new_number
        FROM invoice_documents AS d
        LEFT JOIN invoices AS new ON (new.clinic_id, new.id) = (d.clinic_id, d.new_invoice_id)
        WHERE d.clinic_id = $1 AND d.invoice_id = $2
        ORDER BY d.version
        """,
        clinic_id,
        invoice_id,
    )
    taxes = await tx.fetch(
        """
        SELECT t.document_id, t.tax_code, min(t.tax_name) AS tax_name, min(t.tax_percent) AS tax_percent,
            sum(t.net_amount)::bigint AS net_amount, sum(t.tax_amount)::bigint AS tax_amount
        FROM invoice_document_taxes AS t
        JOIN invoice_documents AS d ON (d.clinic_id, d.id) = (t.clinic_id, t.document_id)
        WHERE d.clinic_id = $1 AND d.invoice_id = $2
        GROUP BY t.document_id, t.tax_code
        ORDER BY t.document_id, t.tax_code
        """,
        clinic_id,
        invoice_id,
    )
    lines = await tx.fetch(
        """
        SELECT c.document_id, c.position, c.quantity, c.net_amount, c.tax_amount, l.service
        FROM invoice_document_lines AS c
        JOIN invoice_lines AS l ON (l.clinic_id, l.invoice_id, l.position) = (c.clinic_id, c.invoice_id, c.position)
        WHERE c.clinic_id = $1 AND c.invoice_id = $2
        ORDER BY c.position
        """,
        clinic_id,
        invoice_id,
    )
    return [
        views.document(row, _of_document(taxes, row["id"]), _of_document(lines, row["id"])) for row in rows
    ]


def _of_document(rows: list[asyncpg.Record], document_id: UUID) -> list[asyncpg.Record]:
    return [row for row in rows if row["document_id"] == document_id]
