"""Invoice drafts: what was sent, and the rules for issuing it. Pure; every refusal has a name."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.currencies import step_of
from contracts.money import LARGEST_MINOR
from services.chassis import texts
from services.chassis.errors import DomainError
from services.invoice import checks
from services.invoice.checks import AmountOutOfRange, Price
from services.invoice.clinics.domain import Clinic
from services.invoice.invoices.totals import TaxRate, Totals, add_up

MOST_LINES: Final = 200
LONGEST_TERM: Final = timedelta(days=3653)
"""Ten years: how far a due date may be from its issue date, and an issue date from today."""


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
class Appointment:
    """When and where the service was given."""

    starts_at: datetime
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineDraft:
    """A line as it was sent. `unit_price` is without tax, `quantity` a decimal text."""

    service: str
    practitioner: str = ""
    appointment: Appointment | None = None
    quantity: str = "1"
    unit_price: Price
    tax_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceDraft:
    """An invoice as it was sent. Without `currency` the clinic's, without `issued_on` today at the clinic."""

    client_id: UUID
    due_on: date
    lines: tuple[LineDraft, ...]
    currency: str | None = None
    issued_on: date | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """A line of an issued invoice, which never changes. Amounts are minor units of the invoice's currency."""

    service: str
    practitioner: str
    appointment: Appointment | None
    quantity: Decimal
    unit_amount: int
    net_amount: int
    rate: TaxRate
    tax_amount: int


@dataclass(frozen=True, slots=True)
class PricedDraft:
    """A draft that has passed every check, with its totals. It lacks only its number."""

    client_id: UUID
    currency: str
    issued_on: date
    due_on: date
    note: str
    lines: tuple[InvoiceLine, ...]
    totals: Totals

    @property
    def summary(self) -> str:
        """The first service, and how many lines come after it."""
        more = len(self.lines) - 1
        return self.lines[0].service + (f" + {more}" if more else "")


def price_draft(given: InvoiceDraft, clinic: Clinic, now: datetime) -> PricedDraft:
    """Check a draft and compute its totals, as the clinic issues it now.

    Raises the errors of this module and of `checks`.
    """
    today = today_at(clinic, now)
    issued_on = _issue_date(given.issued_on or today, today)
    currency = checks.currency(given.currency or clinic.currency)
    if not 1 <= len(given.lines) <= MOST_LINES:
        raise InvalidLines(f"an invoice has 1 to {MOST_LINES} lines", field="lines")
    rates = {rate.code: TaxRate(rate.code, rate.name, Decimal(rate.percent)) for rate in clinic.tax_rates}
    lines = [_line(line, currency, rates, issued_on, f"lines.{at}") for at, line in enumerate(given.lines)]
    totals = add_up([(line.quantity, line.unit_amount, line.rate) for line in lines], step_of(currency))
    _check_total(totals)
    return PricedDraft(
        client_id=given.client_id,
        currency=currency,
        issued_on=issued_on,
        due_on=_due_date(given.due_on, issued_on),
        note=texts.text(given.note, "note", most=2000, multiline=True),
        lines=tuple(
            [
                replace(line, net_amount=net, tax_amount=tax)
                for line, net, tax in zip(lines, totals.line_nets, totals.line_taxes, strict=True)
            ]
        ),
        totals=totals,
    )


def today_at(clinic: Clinic, now: datetime) -> date:
    """The date on the clinic's calendar."""
    return now.astimezone(ZoneInfo(clinic.time_zone)).date()


def _line(
    given: LineDraft, currency: str, rates: dict[str, TaxRate], issued_on: date, field: str
) -> InvoiceLine:
    if given.tax_code not in rates:
        raise UnknownTaxCode("the clinic has no tax rate with this code", field=f"{field}.tax_code")
    quantity = checks.decimal(given.quantity, f"{field}.quantity")
    if quantity <= 0:
        raise InvalidQuantity("a quantity is above zero", field=f"{field}.quantity")
    return InvoiceLine(
        service=texts.text(given.service, f"{field}.service", least=1, most=200),
        practitioner=texts.text(given.practitioner, f"{field}.practitioner", most=200),
        appointment=_appointment(given.appointment, issued_on, field),
        quantity=quantity,
        unit_amount=checks.price(given.unit_price, currency, f"{field}.unit_price"),
        net_amount=0,
        rate=rates[given.tax_code],
        tax_amount=0,
    )


def _appointment(given: Appointment | None, issued_on: date, field: str) -> Appointment | None:
    if given is None:
        return None
    field = f"{field}.appointment"
    if given.starts_at.tzinfo is None:
        raise InvalidAppointment("the start needs an offset from UTC", field=f"{field}.starts_at")
    if abs(given.starts_at.date() - issued_on) > LONGEST_TERM:
        raise InvalidAppointment("more than ten years from the issue date", field=f"{field}.starts_at")
    place = texts.text(given.place, f"{field}.place", most=200)
    return Appointment(starts_at=given.starts_at.astimezone(UTC), place=place)


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
