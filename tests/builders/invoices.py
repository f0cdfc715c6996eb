"""Invoices: as events, and as bodies of requests."""

from datetime import date, timedelta
from typing import Any, TypeVar
from uuid import UUID

from contracts.events.invoice import (
    InvoiceCorrected,
    InvoiceCreated,
    InvoiceCredited,
    InvoiceState,
    InvoiceVoided,
)
from contracts.money import Money
from services.chassis.clock import now
from services.chassis.ids import new_id
from tests.builders.events import TRACEPARENT
from tests.builders.values import eur, money

E = TypeVar("E", bound=InvoiceState)


def an_invoice(
    clinic_id: UUID, client_id: UUID, total: Money | None = None, **changes: Any
) -> InvoiceCreated:
    """An unpaid invoice in its first version, over €125 unless told otherwise."""
    return invoice_state(InvoiceCreated, clinic_id, client_id, total, **changes)


def invoice_state(
    event: type[E], clinic_id: UUID, client_id: UUID, total: Money | None = None, **changes: Any
) -> E:
    """The same as another event about an invoice's state."""
    total = total or eur(125)
    facts = {
        "id": new_id(),
        "time": now(),
        "traceparent": TRACEPARENT,
        "clinic_id": clinic_id,
        "version": 1,
        "invoice_id": new_id(),
        "client_id": client_id,
        "number": "2026-000001",
        "status": "unpaid",
        "total": total,
        "due_before_payments": total,
        "settled": money(0, total.currency),
        "issued_on": date(2026, 11, 23),
        "due_on": date(2026, 12, 7),
    }
    return event.model_validate(facts | changes)


def a_correction(invoice: InvoiceState, minor: int, version: int = 2, **changes: Any) -> InvoiceCorrected:
    """A credit note over so much without tax of an unpaid invoice, by its event; `kind` and others as in `changes`."""
    off = money(minor, invoice.total.currency)
    document: dict[str, Any] = {
        "id": new_id(),
        "kind": "credit_note",
        "number": "CN-2026-000001",
        "reason": "goodwill",
        "issued_on": invoice.issued_on,
        "net": off,
        "tax": off - off,
        "rounding": off - off,
        "total": off,
        "taxes": ({"code": "NONE", "percent": "0", "net": off, "tax": off - off},),
    }
    document |= {name: changes.pop(name) for name in ("kind", "number", "reason") if name in changes}
    event: type[InvoiceCorrected] = InvoiceVoided if document["kind"] == "void" else InvoiceCredited
    left = invoice.due_before_payments - off
    facts = invoice.model_dump() | {
        "id": new_id(),
        "time": now(),
        "version": version,
        "due_before_payments": left,
        "status": "void" if event is InvoiceVoided else "unpaid" if left.minor else "credited",
        "document": document,
    }
    return event.model_validate(facts | changes)


def due_in(days: int = 14) -> str:
    """The date so many days from today, as bodies write it."""
    return (now() + timedelta(days=days)).date().isoformat()


def line_body(minor: int = 12_500, *, currency: str = "EUR", **changes: Any) -> dict[str, Any]:
    """A line that bears no tax."""
    body: dict[str, Any] = {
        "service": "Physiotherapy",
        "practitioner": "A. Byrne",
        "unit_price": {"minor": minor, "currency": currency},
        "tax_code": "NONE",
    }
    return body | changes


def invoice_body(
    client_id: UUID | str, minor: int = 12_500, *, currency: str = "EUR", **changes: Any
) -> dict[str, Any]:
    """The body of a request for an invoice with one line that bears no tax, due in two weeks."""
    lines = [line_body(minor, currency=currency)]
    body = {"client_id": str(client_id), "due_on": due_in(), "currency": currency, "lines": lines}
    return body | changes


def taxed_invoice_body(client: Any, **changes: Any) -> dict[str, Any]:
    """The body of a request for €100 and 13.5 % tax, to a client as the API shows it: €113.50."""
    line = line_body(
        10_000,
        service="Physiotherapy, 45 min",
        practitioner="Dr Niamh Kelly",
        appointment={"starts_at": "2026-11-02T10:00:00Z", "place": "Room 2"},
        tax_code="reduced",
    )
    return {"client_id": client["id"], "due_on": "2027-01-31", "lines": [line]} | changes
