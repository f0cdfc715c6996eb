"""Issued invoices, and the effect of money on them. Pure; every refusal has a name."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TypeVar
from uuid import UUID

from contracts.events.envelope import event_id
from contracts.events.invoice import InvoiceCreated, InvoicePaid, InvoiceState, InvoiceUpdated
from contracts.events.payment import PaymentSettled
from contracts.money import LARGEST_MINOR, Money
from contracts.vocabulary import InvoiceStatus, is_open
from services.chassis.errors import DomainError
from services.invoice.checks import AmountOutOfRange, WrongCurrency
from services.invoice.clinics.domain import Seller

E = TypeVar("E", bound=InvoiceState)


class InvoiceNotFound(DomainError):
    """No such invoice at this clinic; or a client asks for somebody else's."""

    code = "invoice_not_found"
    status = 404


@dataclass(frozen=True, slots=True)
class Invoice:
    """An issued invoice without its lines: the part that movements of money change.

    `settled_amount` is the sum of all movements, `refunded_amount` the sum of its refunds. Both are sums,
    so the state does not depend on the order in which movements arrive. `being_checked`: a movement is parked.
    `seller`, `locale` and `time_zone` are the clinic's when it was issued.
    """

    clinic_id: UUID
    id: UUID
    client_id: UUID
    number: str
    status: InvoiceStatus
    currency: str
    total_amount: int
    issued_on: date
    due_on: date
    seller: Seller
    locale: str
    time_zone: str
    changed_at: datetime
    settled_amount: int = 0
    refunded_amount: int = 0
    paid_at: datetime | None = None
    version: int = 1
    being_checked: bool = False


def invoice_number(year: int, sequence: int) -> str:
    """`2026-000001`: the year of issue, and the count of the clinic's invoices in it."""
    return f"{year:04}-{sequence:06}"


def book(invoice: Invoice, movements: Sequence[PaymentSettled], *, processing: bool, at: datetime) -> Invoice:
    """The invoice after these movements, one version later; itself when nothing changes.

    `processing`: a payment of it is on its way. Movements come in any order and are never dropped, so the
    sum may pass the total or fall below zero for a while. Raises `WrongCurrency`, `AmountOutOfRange`.
    """
    moved = _add(invoice, movements)
    status = status_of(moved, processing=processing)
    if not movements and status == invoice.status:
        return invoice
    paid_at = (invoice.paid_at or movements[-1].time) if status == "paid" else None
    return replace(moved, status=status, paid_at=paid_at, version=invoice.version + 1, changed_at=at)


def _add(invoice: Invoice, movements: Sequence[PaymentSettled]) -> Invoice:
    if any(movement.amount.currency != invoice.currency for movement in movements):
        raise WrongCurrency(f"the invoice is in {invoice.currency}", invoice_id=str(invoice.id))
    settled = invoice.settled_amount + sum(movement.amount.minor for movement in movements)
    refunded = invoice.refunded_amount - sum(m.amount.minor for m in movements if m.kind == "refund")
    if max(abs(settled), abs(refunded)) > LARGEST_MINOR:
        raise AmountOutOfRange("the sum of movements is too large", invoice_id=str(invoice.id))
    return replace(invoice, settled_amount=settled, refunded_amount=refunded)


def take_out(invoice: Invoice, amount: int, kind: str, *, processing: bool, at: datetime) -> Invoice:
    """The invoice without a movement that it has booked, one version later."""
    refunded = invoice.refunded_amount + (amount if kind == "refund" else 0)
    moved = replace(invoice, settled_amount=invoice.settled_amount - amount, refunded_amount=refunded)
    status = status_of(moved, processing=processing)
    paid_at = (invoice.paid_at or at) if status == "paid" else None
    return replace(moved, status=status, paid_at=paid_at, version=invoice.version + 1, changed_at=at)


def mark_checked(invoice: Invoice, *, being_checked: bool, at: datetime) -> Invoice:
    """The invoice with `being_checked` changed, one version later; itself when nothing changes."""
    if invoice.being_checked == being_checked:
        return invoice
    return replace(invoice, being_checked=being_checked, version=invoice.version + 1, changed_at=at)


def status_of(invoice: Invoice, *, processing: bool) -> InvoiceStatus:
    """The status that amounts and payments on their way give. A full refund does not ask for money again."""
    if invoice.status == "void":
        return "void"
    if invoice.settled_amount >= invoice.total_amount:
        return "paid"
    if invoice.refunded_amount > 0 and invoice.settled_amount <= 0:
        return "refunded"
    if processing:
        return "processing"
    return "part_paid" if invoice.settled_amount > 0 else "unpaid"


def due_amount(status: str, total_amount: int, settled_amount: int) -> int:
    """The amount that is still due, in minor units."""
    return total_amount - settled_amount if is_open(status) else 0


def created_event(invoice: Invoice) -> InvoiceCreated:
    """`invoice.created` for a new invoice."""
    return _event(InvoiceCreated, invoice)


def change_event(before: Invoice, after: Invoice) -> InvoiceState:
    """The one event of the step to the next version: `invoice.paid` when that step paid it."""
    paid = after.status == "paid" and before.status != "paid"
    return _event(InvoicePaid if paid else InvoiceUpdated, after)


def _event(kind: type[E], invoice: Invoice) -> E:
    return kind(
        id=event_id(invoice.changed_at, kind.topic.name, invoice.id, invoice.version),
        time=invoice.changed_at,
        clinic_id=invoice.clinic_id,
        version=invoice.version,
        invoice_id=invoice.id,
        client_id=invoice.client_id,
        number=invoice.number,
        status=invoice.status,
        total=Money(minor=invoice.total_amount, currency=invoice.currency),
        due_before_payments=Money(minor=invoice.total_amount, currency=invoice.currency),
        settled=Money(minor=invoice.settled_amount, currency=invoice.currency),
        issued_on=invoice.issued_on,
        due_on=invoice.due_on,
        being_checked=invoice.being_checked,
        seller_name=invoice.seller.name,
        locale=invoice.locale,
        time_zone=invoice.time_zone,
    )
