"""Walk of invoices: every act on every small state of an invoice over 100."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import product
from uuid import UUID

from contracts.events.invoice import InvoiceCredited, InvoiceState, InvoiceVoided
from contracts.events.payment import PaymentSettled
from contracts.money import Money
from contracts.vocabulary import DocumentKind, MovementKind
from services.invoice.clinics.domain import Seller
from services.invoice.invoices import domain
from services.invoice.invoices.domain import Invoice
from tests.tools.money.step import AT, CLIENT, CLINIC, NEW

TOTAL = 100
PARTS = (40, 60, 100)


@dataclass(frozen=True, slots=True)
class Move:
    """A step of an invoice's status. `topic` is of the event which publishes it."""

    cause: str
    before: str
    after: str
    topic: str


def moves() -> Iterator[Move]:
    """All steps, also the ones that leave the status as it is."""
    for total in (0, TOTAL):
        issued = replace(_INVOICE, total_amount=total, status=domain.first_status(total))
        yield Move("issue", NEW, issued.status, domain.created_event(issued).topic.name)
    for invoice, processing in _states():
        yield from _moved(invoice, processing)
        yield from _on_its_way(invoice, processing)
        yield from _corrected(invoice, processing)
    overdue = domain.mark_overdue(_INVOICE, AT)
    yield Move("overdue", "unpaid", overdue.status, domain.overdue_event(overdue).topic.name)
    checked = domain.mark_checked(_INVOICE, being_checked=True, at=AT)
    topic = domain.change_event(_INVOICE, checked).topic.name
    yield Move("being_checked", "unpaid", checked.status, topic)


_INVOICE = Invoice(
    clinic_id=CLINIC,
    id=UUID(int=3),
    client_id=CLIENT,
    number="2026-000001",
    status="unpaid",
    currency="EUR",
    total_amount=TOTAL,
    issued_on=date(2026, 11, 23),
    due_on=date(2026, 12, 7),
    seller=Seller(name="Harbour Clinic"),
    locale="en-IE",
    time_zone="Europe/Dublin",
    changed_at=AT,
)


def _states() -> Iterator[tuple[Invoice, bool]]:
    """Invoices over 100 of which parts are settled, refunded, credited and written off; each, with a debit or not."""
    for settled, refunded, credited, written_off, processing in product(
        (0, 40, 100), (0, 40, 100), (0, 60, 100), (0, 60), (False, True)
    ):
        if refunded <= settled and credited + written_off <= TOTAL:
            sums = replace(
                _INVOICE,
                settled_amount=settled,
                refunded_amount=refunded,
                credited_amount=credited,
                written_off_amount=written_off,
            )
            yield replace(sums, status=domain.status_of(sums, processing=processing)), processing


def _moved(invoice: Invoice, processing: bool) -> Iterator[Move]:
    refunded = invoice.refunded_amount
    left = invoice.due_before_payments - invoice.settled_amount
    kept = invoice.settled_amount - refunded
    excess = max(0, kept - invoice.due_before_payments)
    kept = 0 if excess else kept  # the excess becomes credit first
    most: dict[tuple[MovementKind, int], int] = {
        ("payment", 1): left,
        ("credit", 1): left,
        ("credit", -1): excess,
        ("reversal", -1): kept,
        ("reversal", 1): left,
        ("refund", -1): kept,
        ("refund", 1): refunded,
        ("dispute", -1): kept,
        ("dispute", 1): kept,
    }
    for ((kind, sign), limit), part in product(most.items(), PARTS):
        if part <= limit:
            [after] = [
                domain.book(invoice, [_movement(kind, sign * part)], processing=processing, at=AT),
            ]
            topic = domain.change_event(invoice, after).topic.name
            yield Move(f"{kind} {'+' if sign > 0 else '−'}", invoice.status, after.status, topic)


def _on_its_way(invoice: Invoice, processing: bool) -> Iterator[Move]:
    after = domain.book(invoice, [], processing=not processing, at=AT)
    if after != invoice:
        cause = "debit ends" if processing else "debit begins"
        yield Move(cause, invoice.status, after.status, domain.change_event(invoice, after).topic.name)


def _corrected(invoice: Invoice, processing: bool) -> Iterator[Move]:
    """Documents as `documents.domain.plan` lets them be made."""
    left = TOTAL - invoice.credited_amount - invoice.written_off_amount
    due = invoice.due_before_payments - invoice.settled_amount
    most: dict[DocumentKind, int] = {
        "void": left if not invoice.settled_amount and not processing else 0,
        "credit_note": left,
        "write_off": 0 if processing else min(due, left),
    }
    for (kind, limit), part in product(most.items(), PARTS):
        if part <= limit:
            after = domain.take_off(invoice, kind, part, processing=processing, at=AT)
            event: type[InvoiceState] = InvoiceVoided if kind == "void" else InvoiceCredited
            yield Move(kind, invoice.status, after.status, event.topic.name)


def _movement(kind: MovementKind, amount: int) -> PaymentSettled:
    return PaymentSettled(
        id=UUID(int=8),
        time=AT,
        clinic_id=CLINIC,
        movement_id=UUID(int=8),
        invoice_id=_INVOICE.id,
        payment_id=UUID(int=7),
        kind=kind,
        amount=Money(minor=amount, currency="EUR"),
    )
