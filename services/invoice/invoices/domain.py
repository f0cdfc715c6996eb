"""Issued invoices, and the effect of money on them. Pure; every refusal has a name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from contracts.events.envelope import event_id
from contracts.events.invoice import (
    InvoiceCreated,
    InvoiceOverdue,
    InvoicePaid,
    InvoiceState,
    InvoiceUpdated,
    Sums,
    TaxAmount,
)
from contracts.events.payment import PaymentSettled
from contracts.money import LARGEST_MINOR, Money
from contracts.vocabulary import COUNTED_MOVEMENTS, DocumentKind, InvoiceStatus, MovementKind, is_open
from services.chassis.errors import DomainError
from services.invoice import checks
from services.invoice.checks import AmountOutOfRange, WrongCurrency
from services.invoice.clinics.domain import Seller

E = TypeVar("E", bound=InvoiceState)


class ClientNeeded(DomainError):
    """A search is over the invoices of one client."""

    code = "client_needed"
    status = 422


class InvoiceNotFound(DomainError):
    """No such invoice at this clinic; or a client asks for somebody else's."""

    code = "invoice_not_found"
    status = 404


@dataclass(frozen=True, slots=True)
class Invoice:
    """An issued invoice without its lines: the part that movements of money change.

    `settled_amount` is the sum of the movements that count towards what is due, `refunded_amount` and
    `disputed_amount` are what refunds and disputes took. `credited_amount` and `written_off_amount` are the sums of its
    documents. All are sums, so the state does not depend on the order in which movements arrive. `being_checked`: a
    movement is parked. `paid_version`: the version that movements paid, while it is paid.
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
    disputed_amount: int = 0
    credited_amount: int = 0
    written_off_amount: int = 0
    paid_at: datetime | None = None
    paid_version: int | None = None
    version: int = 1
    being_checked: bool = False
    pay_link_generation: int = 0
    """Pay links of an earlier generation do not work any more."""

    @property
    def due_before_payments(self) -> int:
        """The total less credit notes and write-offs; 0 once void."""
        return (
            0 if self.status == "void" else self.total_amount - self.credited_amount - self.written_off_amount
        )


def invoice_number(prefix: str, year: int, sequence: int) -> str:
    """`2026-000001`: the clinic's prefix, the year of issue, and the count of the clinic's invoices in it.

    The count does not depend on the prefix: no number repeats when the prefix is changed and changed back.
    """
    return f"{prefix}{year:04}-{sequence:06}"


def first_status(total_amount: int) -> InvoiceStatus:
    """The status with which an invoice is issued: nobody is asked to pay nothing."""
    return "unpaid" if total_amount else "paid"


def book(invoice: Invoice, movements: Sequence[PaymentSettled], *, processing: bool, at: datetime) -> Invoice:
    """The invoice after these movements, one version later; itself when nothing changes.

    `processing`: a payment of it is on its way. Movements come in any order and are never dropped, so the
    sum may pass the total or fall below zero for a while. Raises `WrongCurrency`, `AmountOutOfRange`.
    """
    moved = _add(invoice, movements)
    status = status_of(moved, processing=processing)
    if not movements and status == invoice.status:
        return invoice
    paid_at = movements[-1].time if movements else at
    return _next(invoice, moved, status, paid_at, at)


def _add(invoice: Invoice, movements: Sequence[PaymentSettled]) -> Invoice:
    if any(movement.amount.currency != invoice.currency for movement in movements):
        raise WrongCurrency(f"the invoice is in {invoice.currency}", invoice_id=str(invoice.id))
    moved = invoice
    for movement in movements:
        moved = _moved(moved, movement.kind, movement.amount.minor)
    sums = moved.settled_amount, moved.refunded_amount, moved.disputed_amount
    if max(map(abs, sums)) > LARGEST_MINOR:
        raise AmountOutOfRange("the sum of movements is too large", invoice_id=str(invoice.id))
    return moved


def _moved(invoice: Invoice, kind: MovementKind, amount: int) -> Invoice:
    """The invoice with one movement more in its sums."""
    if kind in COUNTED_MOVEMENTS:
        return replace(invoice, settled_amount=invoice.settled_amount + amount)
    if kind == "refund":
        return replace(invoice, refunded_amount=invoice.refunded_amount - amount)
    return replace(invoice, disputed_amount=invoice.disputed_amount - amount)


def take_out(invoice: Invoice, amount: int, kind: MovementKind, *, processing: bool, at: datetime) -> Invoice:
    """The invoice without a movement that it has booked, one version later."""
    moved = _moved(invoice, kind, -amount)
    status = status_of(moved, processing=processing)
    return _next(invoice, moved, status, at, at)


def _next(before: Invoice, moved: Invoice, status: InvoiceStatus, paid_at: datetime, at: datetime) -> Invoice:
    """The next version with the moved sums; `paid_at` counts if this version pays it."""
    version = before.version + 1
    changed = replace(moved, status=status, version=version, changed_at=at)
    if status != "paid":
        return replace(changed, paid_at=None, paid_version=None)
    if before.status == "paid":
        return changed
    return replace(changed, paid_at=before.paid_at or paid_at, paid_version=version)


def mark_overdue(invoice: Invoice, at: datetime) -> Invoice:
    """The invoice one version later, whose event says that it is overdue."""
    return replace(invoice, version=invoice.version + 1, changed_at=at)


def mark_checked(invoice: Invoice, *, being_checked: bool, at: datetime) -> Invoice:
    """The invoice with `being_checked` changed, one version later; itself when nothing changes."""
    if invoice.being_checked == being_checked:
        return invoice
    return replace(invoice, being_checked=being_checked, version=invoice.version + 1, changed_at=at)


def revoke_links(invoice: Invoice, at: datetime) -> Invoice:
    """The invoice one version later, without the pay links that were made so far."""
    return replace(
        invoice,
        pay_link_generation=invoice.pay_link_generation + 1,
        version=invoice.version + 1,
        changed_at=at,
    )


def take_off(invoice: Invoice, kind: DocumentKind, amount: int, *, processing: bool, at: datetime) -> Invoice:
    """The invoice after one document more, which takes this amount off it, one version later."""
    if kind == "void":
        changed = replace(invoice, status="void")
    elif kind == "credit_note":
        changed = replace(invoice, credited_amount=invoice.credited_amount + amount)
    else:
        changed = replace(invoice, written_off_amount=invoice.written_off_amount + amount)
    status = status_of(changed, processing=processing)
    paid_at = (invoice.paid_at or at) if status == "paid" else None
    return replace(changed, status=status, paid_at=paid_at, version=invoice.version + 1, changed_at=at)


def status_of(invoice: Invoice, *, processing: bool) -> InvoiceStatus:
    """The status that amounts and payments on their way give. A refund does not ask for money again."""
    if invoice.status == "void":
        return "void"
    if invoice.settled_amount < invoice.due_before_payments:
        if processing:
            return "processing"
        return "part_paid" if invoice.settled_amount > 0 else "unpaid"
    if 0 < invoice.settled_amount <= invoice.refunded_amount:
        return "refunded"
    if invoice.settled_amount > 0 or invoice.total_amount == 0:
        return "paid"
    return "written_off" if invoice.written_off_amount else "credited"


def due_amount(status: str, due_before_payments: int, settled_amount: int) -> int:
    """The amount that is still due, in minor units."""
    return due_before_payments - settled_amount if is_open(status) else 0


def created_event(invoice: Invoice, sums: Sums | None = None) -> InvoiceCreated:
    """`invoice.created` for a new invoice."""
    return event_of(InvoiceCreated, invoice, sums=sums)


def sums_of(
    currency: str, net: int, tax: int, rounding: int, taxes: Iterable[tuple[str, Decimal, int, int]]
) -> Sums:
    """The sums of a document as events have them; the taxes are given as (code, percent, net, tax)."""

    def money(minor: int) -> Money:
        return Money(minor=minor, currency=currency)

    return Sums(
        net=money(net),
        tax=money(tax),
        rounding=money(rounding),
        total=money(net + tax + rounding),
        taxes=tuple(
            TaxAmount(code=code, percent=checks.plain(percent), net=money(base), tax=money(amount))
            for code, percent, base, amount in taxes
        ),
    )


def overdue_event(invoice: Invoice) -> InvoiceOverdue:
    """`invoice.overdue` for the version that says so."""
    return event_of(InvoiceOverdue, invoice)


def change_event(before: Invoice, after: Invoice) -> InvoiceState:
    """The one event of the step to the next version: `invoice.paid` when that step paid it."""
    paid = after.status == "paid" and before.status != "paid"
    return event_of(InvoicePaid if paid else InvoiceUpdated, after)


def event_of(kind: type[E], invoice: Invoice, **more: Any) -> E:
    """An event with the invoice's state, and more fields of its kind."""
    facts: dict[str, Any] = {
        "id": event_id(invoice.changed_at, kind.topic.name, invoice.id, invoice.version),
        "time": invoice.changed_at,
        "clinic_id": invoice.clinic_id,
        "version": invoice.version,
        "invoice_id": invoice.id,
        "client_id": invoice.client_id,
        "number": invoice.number,
        "status": invoice.status,
        "total": Money(minor=invoice.total_amount, currency=invoice.currency),
        "due_before_payments": Money(minor=invoice.due_before_payments, currency=invoice.currency),
        "settled": Money(minor=invoice.settled_amount, currency=invoice.currency),
        "issued_on": invoice.issued_on,
        "due_on": invoice.due_on,
        "being_checked": invoice.being_checked,
        "pay_link_generation": invoice.pay_link_generation,
        "seller_name": invoice.seller.name,
        "locale": invoice.locale,
        "time_zone": invoice.time_zone,
    }
    return kind(**facts, **more)
