"""Answers about invoices, from rows of the database or from invoices that are being issued. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from operator import attrgetter
from typing import Any, Protocol

import msgspec

from contracts.currencies import charge_of, takes
from contracts.http.clients import BillingAddress
from contracts.http.common import Money, PaidWith
from contracts.http.invoices import (
    Appointment,
    BillTo,
    InvoiceOut,
    InvoiceRow,
    InvoiceTax,
    LineOut,
    MovementOut,
    Seller,
)
from services.invoice.checks import plain
from services.invoice.clients.domain import ClientDetails
from services.invoice.clinics.domain import Clinic
from services.invoice.invoices.domain import Invoice, due_amount
from services.invoice.invoices.drafts import InvoiceLine, PricedDraft


def _starts_at(line: InvoiceLine) -> datetime | None:
    return line.appointment.starts_at if line.appointment else None


def _place(line: InvoiceLine) -> str | None:
    return line.appointment.place if line.appointment else None


LINE_COLUMNS: Mapping[str, tuple[str, Callable[[InvoiceLine], Any]]] = {
    "service": ("text", attrgetter("service")),
    "practitioner": ("text", attrgetter("practitioner")),
    "starts_at": ("timestamptz", _starts_at),
    "place": ("text", _place),
    "quantity": ("numeric", attrgetter("quantity")),
    "unit_amount": ("bigint", attrgetter("unit_amount")),
    "net_amount": ("bigint", attrgetter("net_amount")),
    "tax_code": ("text", attrgetter("rate.code")),
    "tax_name": ("text", attrgetter("rate.name")),
    "tax_percent": ("numeric", attrgetter("rate.percent")),
    "tax_amount": ("bigint", attrgetter("tax_amount")),
}
"""Columns of `invoice_lines` beside its key: the SQL type of each, and its value in a line."""


class Row(Protocol):
    """A row with the columns of `reads`, from the database or not."""

    def __getitem__(self, name: str, /) -> Any: ...


def issued(
    invoice: Invoice, draft: PricedDraft, clinic: Clinic, client: ClientDetails, today: date
) -> InvoiceOut:
    """The answer about a new invoice, as a read on that day at the clinic gives it."""
    shown = {
        "id": invoice.id,
        "client_id": invoice.client_id,
        "number": invoice.number,
        "status": invoice.status,
        "issued_on": invoice.issued_on,
        "due_on": invoice.due_on,
        "currency": invoice.currency,
        "overdue": invoice.due_on < today,
        "version": invoice.version,
        "total_amount": invoice.total_amount,
        "settled_amount": invoice.settled_amount,
        "subtotal_amount": draft.totals.subtotal,
        "rounding_amount": draft.totals.rounding,
        "summary": draft.summary,
        "note": draft.note,
        "methods": clinic.methods if clinic.online_payment else (),
        "method_kind": None,
        "being_checked": False,
        "changed_at": invoice.changed_at,
        "locale": invoice.locale,
        "time_zone": invoice.time_zone,
        "seller": msgspec.json.encode(invoice.seller),
        "client_name": client.name,
        "billing_address": msgspec.json.encode(client.billing_address),
        "erased": False,
    }
    return whole(shown, [_line_row(at, line) for at, line in enumerate(draft.lines, start=1)], [])


def _line_row(position: int, line: InvoiceLine) -> Row:
    return {"position": position} | {name: read(line) for name, (_, read) in LINE_COLUMNS.items()}


def row(row: Row) -> InvoiceRow:
    """An invoice as lists show it, from a row of `reads`."""
    return InvoiceRow(**_row_fields(row))


def row_of(invoice: InvoiceOut) -> InvoiceRow:
    """An invoice as lists show it, from the whole of it."""
    return InvoiceRow(**{name: getattr(invoice, name) for name in InvoiceRow.__struct_fields__})


def _row_fields(row: Row) -> dict[str, Any]:
    currency = row["currency"]
    due = due_amount(row["status"], row["total_amount"], row["settled_amount"])
    same = (
        "id",
        "client_id",
        "number",
        "status",
        "being_checked",
        "issued_on",
        "due_on",
        "currency",
        "overdue",
        "locale",
        "time_zone",
    )
    return {name: row[name] for name in same} | {
        "version": row["version"],
        "updated_at": row["changed_at"],
        "total": Money(row["total_amount"], currency),
        "settled": Money(row["settled_amount"], currency),
        "due": Money(due, currency),
        "methods": tuple(way for way in row["methods"] if takes(way, due, currency)),
        "online_charge": charge_of(due, currency) if due > 0 else None,
        "paid_with": _paid_with(row),
        "service_summary": row["summary"],
    }


def _paid_with(row: Row) -> PaidWith | None:
    if row["method_kind"] is None:
        return None
    return PaidWith(kind=row["method_kind"], brand=row["method_brand"], last4=row["method_last4"])


def whole(row: Row, lines: Sequence[Row], movements: Sequence[Row]) -> InvoiceOut:
    """An invoice whole; the rows in the order in which they are shown."""
    currency = row["currency"]
    return InvoiceOut(
        **_row_fields(row),
        subtotal=Money(row["subtotal_amount"], currency),
        taxes=_taxes(lines, currency),
        lines=[_line(line, currency) for line in lines],
        movements=[_movement(movement) for movement in movements],
        processing=row["status"] == "processing",
        note=row["note"],
        rounding=Money(row["rounding_amount"], currency) if row["rounding_amount"] else None,
        seller=msgspec.json.decode(row["seller"], type=Seller),
        bill_to=BillTo(
            name=row["client_name"],
            billing_address=msgspec.json.decode(row["billing_address"], type=BillingAddress),
            erased=row["erased"],
        ),
    )


def _taxes(lines: Sequence[Row], currency: str) -> list[InvoiceTax]:
    """The tax groups: the lines' shares sum to each group's tax, so adding them up gives it back."""
    groups: dict[str, list[Row]] = {}
    for line in lines:
        groups.setdefault(line["tax_code"], []).append(line)
    return [
        InvoiceTax(
            code=code,
            name=group[0]["tax_name"],
            percent=plain(group[0]["tax_percent"]),
            base=Money(sum(line["net_amount"] for line in group), currency),
            tax=Money(sum(line["tax_amount"] for line in group), currency),
        )
        for code, group in groups.items()
    ]


def _line(line: Row, currency: str) -> LineOut:
    appointment = None
    if line["starts_at"] is not None:
        appointment = Appointment(starts_at=line["starts_at"], place=line["place"])
    return LineOut(
        position=line["position"],
        service=line["service"],
        practitioner=line["practitioner"],
        appointment=appointment,
        quantity=plain(line["quantity"]),
        unit_price=Money(line["unit_amount"], currency),
        net=Money(line["net_amount"], currency),
        tax_code=line["tax_code"],
        tax_percent=plain(line["tax_percent"]),
        tax=Money(line["tax_amount"], currency),
        gross=Money(line["net_amount"] + line["tax_amount"], currency),
    )


def _movement(row: Row) -> MovementOut:
    return MovementOut(
        id=row["id"],
        kind=row["kind"],
        amount=Money(row["amount"], row["currency"]),
        method=_paid_with(row),
        booked_at=row["booked_at"],
        captured_at=row["captured_at"],
        payment_id=row["payment_id"],
    )
