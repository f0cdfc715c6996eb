"""Answers about invoices, from rows of the database or from invoices that are being issued. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from operator import attrgetter
from typing import Any, Protocol
from uuid import UUID

import msgspec

from contracts.currencies import charge_of, takes
from contracts.http.clients import BillingAddress
from contracts.http.common import Money, PaidWith
from contracts.http.invoices import (
    Appointment,
    BillTo,
    DiscountOut,
    DocumentLine,
    DocumentOut,
    InvoiceLink,
    InvoiceOut,
    InvoiceRow,
    InvoiceTax,
    LineOut,
    LineTax,
    MovementOut,
    Seller,
)
from contracts.vocabulary import is_payable
from services.invoice.checks import plain
from services.invoice.clients.domain import ClientDetails
from services.invoice.clinics.domain import Clinic, category_of
from services.invoice.invoices.domain import Invoice, due_amount
from services.invoice.invoices.drafts import InvoiceLine, PricedDraft
from services.invoice.invoices.e_invoices import with_e_invoices
from services.invoice.invoices.totals import full_amount


def _starts_at(line: InvoiceLine) -> datetime | None:
    return line.appointment.starts_at if line.appointment else None


def _place(line: InvoiceLine) -> str | None:
    return line.appointment.place if line.appointment else None


def _discount(name: str) -> Callable[[InvoiceLine], Any]:
    """A field of the line's discount; None without one."""
    return lambda line: getattr(line.item.discount, name, None)


def _second(name: str) -> Callable[[InvoiceLine], Any]:
    """A field of the line's second tax; None without one."""
    return lambda line: getattr(line.item.rates[1], name) if len(line.item.rates) > 1 else None


LINE_COLUMNS: Mapping[str, tuple[str, Callable[[InvoiceLine], Any]]] = {
    "service": ("text", attrgetter("service")),
    "practitioner": ("text", attrgetter("practitioner")),
    "starts_at": ("timestamptz", _starts_at),
    "place": ("text", _place),
    "quantity": ("numeric", attrgetter("item.quantity")),
    "unit_amount": ("bigint", attrgetter("item.unit_amount")),
    "discount_amount": ("bigint", attrgetter("totals.discount")),
    "discount_percent": ("numeric", _discount("percent")),
    "discount_reason": ("text", _discount("reason")),
    "invoice_discount_amount": ("bigint", attrgetter("totals.invoice_discount")),
    "net_amount": ("bigint", attrgetter("totals.net")),
    "tax_code": ("text", lambda line: line.item.rates[0].code),
    "tax_name": ("text", lambda line: line.item.rates[0].name),
    "tax_percent": ("numeric", lambda line: line.item.rates[0].percent),
    "tax_category": ("text", lambda line: line.item.rates[0].category),
    "exemption_code": ("text", lambda line: line.item.rates[0].exemption_code),
    "exemption_text": ("text", lambda line: line.item.rates[0].exemption_text),
    "tax_amount": ("bigint", lambda line: line.totals.taxes[0]),
    "second_tax_code": ("text", _second("code")),
    "second_tax_name": ("text", _second("name")),
    "second_tax_percent": ("numeric", _second("percent")),
    "second_tax_amount": ("bigint", lambda line: (*line.totals.taxes, None)[1]),
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
        "overdue": is_payable(invoice.status) and invoice.due_on < today,
        "version": invoice.version,
        "total_amount": invoice.total_amount,
        "settled_amount": invoice.settled_amount,
        "refunded_amount": invoice.refunded_amount,
        "credited_amount": invoice.credited_amount,
        "written_off_amount": invoice.written_off_amount,
        "subtotal_amount": draft.totals.subtotal,
        "rounding_amount": draft.totals.rounding,
        "summary": draft.summary,
        "note": draft.note,
        "prices": draft.prices,
        "location": draft.location,
        "external_id": draft.external_id,
        "insurer_reference": draft.kept_apart.insurer_reference,
        "metadata": msgspec.json.encode(draft.kept_apart.metadata),
        "tax_number": client.tax_number,
        "discount_amount": draft.totals.discount if draft.discount else None,
        "discount_percent": draft.discount.percent if draft.discount else None,
        "discount_reason": draft.discount.reason if draft.discount else None,
        "methods": clinic.methods if clinic.online_payment else (),
        "method_kind": None,
        "last_paid_at": None,
        "being_checked": False,
        "pay_link_generation": invoice.pay_link_generation,
        "changed_at": invoice.changed_at,
        "locale": invoice.locale,
        "time_zone": invoice.time_zone,
        "seller": msgspec.json.encode(invoice.seller),
        "client_name": client.name,
        "billing_address": msgspec.json.encode(client.billing_address),
        "erased": False,
        "corrects_id": None,
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
    before = row["total_amount"] - row["credited_amount"] - row["written_off_amount"]
    due = due_amount(row["status"], before, row["settled_amount"])
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
        "external_id",
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
        "paid_at": row["last_paid_at"],
        "service_summary": row["summary"],
        "credited": _if_any(row["credited_amount"], currency),
        "written_off": _if_any(row["written_off_amount"], currency),
        "refunded": _if_any(row["refunded_amount"], currency),
    }


def _if_any(amount: int, currency: str) -> Money | None:
    return Money(amount, currency) if amount else None


def _paid_with(row: Row) -> PaidWith | None:
    if row["method_kind"] is None:
        return None
    return PaidWith(kind=row["method_kind"], brand=row["method_brand"], last4=row["method_last4"])


def whole(
    row: Row, lines: Sequence[Row], movements: Sequence[Row], documents: Sequence[DocumentOut] = ()
) -> InvoiceOut:
    """An invoice whole; the rows in the order in which they are shown."""
    currency = row["currency"]
    found = InvoiceOut(
        **_row_fields(row),
        subtotal=Money(row["subtotal_amount"], currency),
        taxes=_taxes(lines, currency),
        lines=[_line(line, currency) for line in lines],
        movements=[movement(each) for each in movements],
        processing=row["status"] == "processing",
        note=row["note"],
        rounding=Money(row["rounding_amount"], currency) if row["rounding_amount"] else None,
        prices=row["prices"],
        pay_link_generation=row["pay_link_generation"],
        discount=_discount_of(row, currency) if row["discount_reason"] is not None else None,
        location=row["location"],
        insurer_reference=row["insurer_reference"],
        metadata=msgspec.json.decode(row["metadata"], type=dict[str, str]),
        seller=msgspec.json.decode(row["seller"], type=Seller),
        bill_to=BillTo(
            name=row["client_name"],
            billing_address=msgspec.json.decode(row["billing_address"], type=BillingAddress),
            erased=row["erased"],
            tax_number=row["tax_number"],
        ),
        documents=tuple(documents),
        corrects=_link(row["corrects_id"], row["corrects_number"]) if row["corrects_id"] else None,
    )
    return with_e_invoices(found)


def document(row: Row, taxes: Sequence[Row], lines: Sequence[Row]) -> DocumentOut:
    """A correction of an invoice, from its row and the rows of its taxes and lines."""
    currency = row["currency"]
    return DocumentOut(
        **{
            name: row[name]
            for name in ("id", "invoice_id", "kind", "number", "reason", "explanation", "issued_on")
        },
        net=Money(row["net_amount"], currency),
        tax=Money(row["tax_amount"], currency),
        rounding=_if_any(row["rounding_amount"], currency),
        total=Money(row["total_amount"], currency),
        taxes=[
            InvoiceTax(
                code=tax["tax_code"],
                name=tax["tax_name"],
                percent=plain(tax["tax_percent"]),
                base=Money(tax["net_amount"], currency),
                tax=Money(tax["tax_amount"], currency),
            )
            for tax in taxes
        ],
        lines=[
            DocumentLine(
                position=line["position"],
                service=line["service"],
                quantity=plain(line["quantity"]),
                net=Money(line["net_amount"], currency),
                tax=Money(line["tax_amount"], currency),
            )
            for line in lines
        ],
        seller=msgspec.json.decode(row["seller"], type=Seller),
        locale=row["locale"],
        time_zone=row["time_zone"],
        new_invoice=_link(row["new_invoice_id"], row["new_number"]) if row["new_invoice_id"] else None,
    )


def _link(invoice_id: UUID, number: str) -> InvoiceLink:
    return InvoiceLink(id=invoice_id, number=number)


def _taxes(lines: Sequence[Row], currency: str) -> list[InvoiceTax]:
    """The taxes: the lines' shares sum to each tax, so adding them up gives it back."""
    groups: dict[str, list[tuple[Row, LineTax]]] = {}
    for line in lines:
        for tax in _line_taxes(line, currency):
            groups.setdefault(tax.code, []).append((line, tax))
    return [
        InvoiceTax(
            code=code,
            name=group[0][1].name,
            percent=group[0][1].percent,
            base=Money(sum(line["net_amount"] for line, _ in group), currency),
            tax=Money(sum(tax.tax.minor for _, tax in group), currency),
            category=group[0][1].category,
            exemption_code=group[0][0]["exemption_code"],
            exemption_text=group[0][0]["exemption_text"],
        )
        for code, group in groups.items()
    ]


def _line_taxes(line: Row, currency: str) -> list[LineTax]:
    first = LineTax(
        code=line["tax_code"],
        name=line["tax_name"],
        percent=plain(line["tax_percent"]),
        category=line["tax_category"] or category_of(line["tax_percent"]),
        tax=Money(line["tax_amount"], currency),
    )
    if line["second_tax_code"] is None:
        return [first]
    second = LineTax(
        code=line["second_tax_code"],
        name=line["second_tax_name"],
        percent=plain(line["second_tax_percent"]),
        category=category_of(line["second_tax_percent"]),
        tax=Money(line["second_tax_amount"], currency),
    )
    return [first, second]


def _discount_of(row: Row, currency: str) -> DiscountOut:
    """The discount in the columns of an invoice or a line that has one."""
    return DiscountOut(
        amount=Money(row["discount_amount"], currency),
        percent=None if row["discount_percent"] is None else plain(row["discount_percent"]),
        reason=row["discount_reason"],
    )


def _line(line: Row, currency: str) -> LineOut:
    appointment = None
    if line["starts_at"] is not None:
        appointment = Appointment(starts_at=line["starts_at"], place=line["place"])
    taxes = _line_taxes(line, currency)
    tax = sum(each.tax.minor for each in taxes)
    full = full_amount(line["quantity"], line["unit_amount"])
    return LineOut(
        position=line["position"],
        service=line["service"],
        practitioner=line["practitioner"],
        appointment=appointment,
        quantity=plain(line["quantity"]),
        unit_price=Money(line["unit_amount"], currency),
        amount=Money(full - line["discount_amount"], currency),
        discount=_discount_of(line, currency) if line["discount_reason"] is not None else None,
        invoice_discount=Money(line["invoice_discount_amount"], currency)
        if line["invoice_discount_amount"]
        else None,
        net=Money(line["net_amount"], currency),
        tax_code=taxes[0].code,
        tax_percent=taxes[0].percent,
        taxes=taxes,
        tax=Money(tax, currency),
        gross=Money(line["net_amount"] + tax, currency),
    )


def movement(row: Row) -> MovementOut:
    return MovementOut(
        id=row["id"],
        kind=row["kind"],
        amount=Money(row["amount"], row["currency"]),
        method=_paid_with(row),
        booked_at=row["booked_at"],
        captured_at=row["captured_at"],
        payment_id=row["payment_id"],
    )
