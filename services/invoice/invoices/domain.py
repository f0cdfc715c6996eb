"""What an invoice may be and become. Pure: no I/O, every refusal has a name."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.currencies import step_of
from contracts.events import event_id
from contracts.http.clinics import ClinicOut
from contracts.http.invoices import AppointmentIn, InvoiceIn, LineIn
from contracts.invoice import InvoiceCreated, InvoicePaid, InvoiceState, InvoiceUpdated
from contracts.money import LARGEST_MINOR, Money
from contracts.payment import PaymentSettled
from contracts.vocabulary import InvoiceStatus, is_open
from services.chassis import texts
from services.chassis.errors import DomainError
from services.invoice import checks
from services.invoice.checks import AmountOutOfRange, WrongCurrency
from services.invoice.invoices.totals import TaxRate, Totals, add_up

Fact = TypeVar("Fact", bound=InvoiceState)

MOST_LINES: Final = 200
LONGEST_TERM: Final = timedelta(days=3653)
"""Ten years: how far a due date may be from its issue date, and an issue date from today."""


class InvoiceNotFound(DomainError):
    """No such invoice at this clinic; or a client asks for somebody else's."""

    code = "invoice_not_found"
    status = 404


class InvalidLines(DomainError):
    code = "invalid_lines"
    status = 422


class UnknownTaxCode(DomainError):
    code = "unknown_tax_code"
    status = 422


class InvalidQuantity(DomainError):
    code = "invalid_quantity"
    status = 422


class NothingToPay(DomainError):
    """An invoice needs a total above zero."""

    code = "nothing_to_pay"
    status = 422


class InvalidIssueDate(DomainError):
    code = "invalid_issue_date"
    status = 422


class InvalidDueDate(DomainError):
    code = "invalid_due_date"
    status = 422


class InvalidAppointment(DomainError):
    code = "invalid_appointment"
    status = 422


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it stands on the invoice for good; amounts are minor units of the invoice's currency."""

    service: str
    practitioner: str
    appointment: AppointmentIn | None
    quantity: Decimal
    unit_amount: int
    net_amount: int
    rate: TaxRate
    tax_amount: int


@dataclass(frozen=True, slots=True)
class Bill:
    """What is to be issued: an invoice that has passed every check and only lacks its number."""

    client_id: UUID
    currency: str
    issued_on: date
    due_on: date
    note: str
    lines: tuple[Line, ...]
    totals: Totals

    @property
    def summary(self) -> str:
        """The first service, and how many lines come after it."""
        more = len(self.lines) - 1
        return self.lines[0].service + (f" + {more}" if more else "")


@dataclass(frozen=True, slots=True)
class Invoice:
    """An issued invoice without its lines: what money moving against it changes.

    `settled_amount` is the sum of all movements, `refunded_amount` of what refunds took of it. Both are sums,
    so the state does not depend on the order in which movements arrive. `being_checked`: a movement is parked.
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
    changed_at: datetime
    settled_amount: int = 0
    refunded_amount: int = 0
    paid_at: datetime | None = None
    version: int = 1
    being_checked: bool = False


def issue(given: InvoiceIn, clinic: ClinicOut, now: datetime) -> Bill:
    """The invoice that a clinic may issue at this moment. Raises the errors of this module and `checks`."""
    today = today_at(clinic, now)
    issued_on = _issue_date(given.issued_on or today, today)
    currency = checks.currency(given.currency or clinic.currency)
    if not 1 <= len(given.lines) <= MOST_LINES:
        raise InvalidLines(f"an invoice has 1 to {MOST_LINES} lines", field="lines")
    rates = {rate.code: TaxRate(rate.code, rate.name, Decimal(rate.percent)) for rate in clinic.tax_rates}
    lines = tuple(
        _line(line, currency, rates, issued_on, f"lines.{at}") for at, line in enumerate(given.lines)
    )
    totals = add_up([(line.quantity, line.unit_amount, line.rate) for line in lines], step_of(currency))
    _check_total(totals)
    return Bill(
        client_id=given.client_id,
        currency=currency,
        issued_on=issued_on,
        due_on=_due_date(given.due_on, issued_on),
        note=texts.text(given.note or "", "note", most=2000, multiline=True),
        lines=tuple(
            replace(line, net_amount=net, tax_amount=tax)
            for line, net, tax in zip(lines, totals.line_nets, totals.line_taxes, strict=True)
        ),
        totals=totals,
    )


def today_at(clinic: ClinicOut, now: datetime) -> date:
    """The date on the clinic's calendar."""
    return now.astimezone(ZoneInfo(clinic.time_zone)).date()


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


def check(invoice: Invoice, *, being_checked: bool, at: datetime) -> Invoice:
    """The invoice once it is, or is no longer, being checked; itself when that is no news."""
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
    """What the client still owes, in minor units."""
    return total_amount - settled_amount if is_open(status) else 0


def creation(invoice: Invoice) -> InvoiceCreated:
    """The event of a new invoice."""
    return _state(InvoiceCreated, invoice)


def fact_about(before: Invoice, after: Invoice) -> InvoiceState:
    """The one event of the step to the next version: `invoice.paid` when that step paid it."""
    paid = after.status == "paid" and before.status != "paid"
    return _state(InvoicePaid if paid else InvoiceUpdated, after)


def _state(kind: type[Fact], invoice: Invoice) -> Fact:
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
    )


def _line(given: LineIn, currency: str, rates: dict[str, TaxRate], issued_on: date, field: str) -> Line:
    if given.tax_code not in rates:
        raise UnknownTaxCode("the clinic has no tax rate with this code", field=f"{field}.tax_code")
    quantity = checks.decimal(given.quantity, f"{field}.quantity")
    if quantity <= 0:
        raise InvalidQuantity("a quantity is above zero", field=f"{field}.quantity")
    return Line(
        service=texts.text(given.service, f"{field}.service", least=1, most=200),
        practitioner=texts.text(given.practitioner, f"{field}.practitioner", most=200),
        appointment=_appointment(given.appointment, issued_on, field),
        quantity=quantity,
        unit_amount=checks.price(given.unit_price, currency, f"{field}.unit_price"),
        net_amount=0,
        rate=rates[given.tax_code],
        tax_amount=0,
    )


def _appointment(given: AppointmentIn | None, issued_on: date, field: str) -> AppointmentIn | None:
    if given is None:
        return None
    field = f"{field}.appointment"
    if given.starts_at.tzinfo is None:
        raise InvalidAppointment("the start needs an offset from UTC", field=f"{field}.starts_at")
    if abs(given.starts_at.date() - issued_on) > LONGEST_TERM:
        raise InvalidAppointment("more than ten years from the issue date", field=f"{field}.starts_at")
    place = texts.text(given.place, f"{field}.place", most=200)
    return AppointmentIn(starts_at=given.starts_at.astimezone(UTC), place=place)


def _issue_date(issued_on: date, today: date) -> date:
    if issued_on > today:
        raise InvalidIssueDate("the issue date is after today at the clinic", field="issued_on")
    if today - issued_on > LONGEST_TERM:
        raise InvalidIssueDate("the issue date is more than ten years ago", field="issued_on")
    return issued_on


def _due_date(due_on: date, issued_on: date) -> date:
    if not issued_on <= due_on <= issued_on + LONGEST_TERM:
        raise InvalidDueDate("due from the issue date to ten years after it", field="due_on")
    return due_on


def _check_total(totals: Totals) -> None:
    if totals.total > LARGEST_MINOR:
        raise AmountOutOfRange("the total is too large", field="lines")
    if totals.total == 0:
        raise NothingToPay("the total is zero", field="lines")
