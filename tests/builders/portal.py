"""Clinics, invoices and payments as the services answer them, for tests of pages."""

from datetime import UTC, date, datetime
from typing import Any

from contracts.http.clinics import ClinicContact, ClinicOut
from contracts.http.common import Money, PaidWith
from contracts.http.invoices import Appointment, InvoiceOut, InvoiceRow, InvoiceTax, LineOut
from contracts.http.payments import PaymentOut, PaymentShareOut
from services.chassis.ids import new_id

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def eur(minor: int) -> Money:
    return Money(minor, "EUR")


def a_clinic(**changes: Any) -> ClinicOut:
    facts: dict[str, Any] = {
        "id": new_id(),
        "slug": "harbour",
        "name": "Harbour Physiotherapy",
        "currency": "EUR",
        "time_zone": "Europe/Dublin",
        "locale": "en-IE",
        "billing_shown": True,
        "online_payment": True,
        "methods": ["card", "redirect"],
        "contact": ClinicContact(
            phone="+353 1 555 0123", email="billing@harbour.example", address="12 Quay Street", hours="9 to 5"
        ),
        "accent": "#0b6e6e",
        "tax_rates": (),
        "version": 1,
    }
    return ClinicOut(**facts | changes)


def row_facts(total: int = 12_500, settled: int = 0, **changes: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "id": new_id(),
        "client_id": new_id(),
        "number": "2026-0001",
        "status": "unpaid",
        "issued_on": date(2026, 11, 20),
        "due_on": date(2026, 12, 4),
        "currency": "EUR",
        "total": eur(total),
        "settled": eur(settled),
        "due": eur(total - settled),
        "overdue": False,
        "methods": ["card", "redirect"],
        "paid_with": None,
        "service_summary": "Physiotherapy",
        "version": 1,
    }
    return facts | changes


def a_row(**changes: Any) -> InvoiceRow:
    return InvoiceRow(**row_facts(**changes))


def an_invoice(**changes: Any) -> InvoiceOut:
    line = LineOut(
        position=1,
        service="Initial assessment",
        practitioner="Aoife Brennan",
        appointment=Appointment(starts_at=NOON, place="Room 2"),
        quantity="1",
        unit_price=eur(11_013),
        net=eur(11_013),
        tax_code="RED",
        tax_percent="13.5",
        tax=eur(1_487),
        gross=eur(12_500),
    )
    more: dict[str, Any] = {
        "subtotal": eur(11_013),
        "taxes": [InvoiceTax(code="RED", name="VAT", percent="13.5", base=eur(11_013), tax=eur(1_487))],
        "lines": [line],
        "movements": [],
        "processing": False,
        "note": "",
    }
    return InvoiceOut(**row_facts() | more | changes)


def a_payment(status: Any, **changes: Any) -> PaymentOut:
    facts: dict[str, Any] = {
        "id": new_id(),
        "status": status,
        "amount": eur(12_500),
        "invoices": [PaymentShareOut(invoice_id=new_id(), amount=eur(12_500))],
        "created_at": NOON,
        "succeeded_at": None,
        "method": PaidWith(kind="card", brand="visa", last4="4242"),
        "failure": None,
        "surplus": None,
        "version": 1,
        "asked": True,
    }
    return PaymentOut(**facts | changes)
