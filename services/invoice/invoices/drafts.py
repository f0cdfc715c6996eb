"""Invoice drafts: what was sent, and the rules for issuing it. Pure; every refusal has a name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.currencies import step_of
from contracts.money import LARGEST_MINOR
from contracts.vocabulary import PriceMode
from services.chassis import texts
from services.chassis.currencies import known_currency
from services.chassis.errors import DomainError
from services.chassis.refusals import Refusals
from services.invoice import checks
from services.invoice.checks import AmountOutOfRange, Price
from services.invoice.clinics.domain import Clinic, category_of
from services.invoice.clinics.domain import TaxRate as ClinicTaxRate
from services.invoice.invoices.totals import Discount, Item, LineTotals, TaxRate, Totals, add_up

MOST_LINES: Final = 500
MOST_TAXES: Final = 2
LONGEST_TERM: Final = timedelta(days=3653)
"""Ten years: how far a due date may be from its issue date, and an issue date from today."""


class InvalidLines(DomainError):
    code = "invalid_lines"
    status = 422


class UnknownTaxCode(DomainError):
    code = "unknown_tax_code"
    status = 422


class InvalidTaxes(DomainError):
    """A line bears one tax, or two that are both charged."""

    code = "invalid_taxes"
    status = 422


class TaxNumberMissing(DomainError):
    """A tax that the buyer owes (category AE) needs the tax numbers of both."""

    code = "tax_number_missing"
    status = 422


class InvalidDiscount(DomainError):
    """A discount is an amount or a percent, and takes off at most all."""

    code = "invalid_discount"
    status = 422


class InvalidQuantity(DomainError):
    code = "invalid_quantity"
    status = 422


class NothingToPay(DomainError):
    """An invoice's total is zero or above: what a clinic gives back is another document."""

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
class DiscountDraft:
    """A discount as it was sent: an amount or a percent."""

    amount: Price | None = None
    percent: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineDraft:
    """A line as it was sent. `quantity` is a decimal text, negative to take something off."""

    service: str
    practitioner: str = ""
    appointment: Appointment | None = None
    quantity: str = "1"
    unit_price: Price
    tax_code: str | None = None
    tax_codes: tuple[str, ...] | None = None
    discount: DiscountDraft | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceDraft:
    """An invoice as it was sent.

    Without `currency` or `prices` the clinic's, without `issued_on` today at the clinic.
    """

    client_id: UUID
    due_on: date
    lines: tuple[LineDraft, ...]
    currency: str | None = None
    issued_on: date | None = None
    note: str = ""
    prices: PriceMode | None = None
    discount: DiscountDraft | None = None
    insurer_reference: str = ""
    location: str = ""
    external_id: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """A line of an issued invoice, which never changes. Amounts are minor units of the invoice's currency."""

    service: str
    practitioner: str
    appointment: Appointment | None
    item: Item
    totals: LineTotals


@dataclass(frozen=True, slots=True)
class KeptApart:
    """The part that may name a person: it is erased with the client's name, and no hash depends on it."""

    insurer_reference: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PricedDraft:
    """A draft that has passed every check, with its totals. It lacks only its number."""

    client_id: UUID
    currency: str
    issued_on: date
    due_on: date
    note: str
    prices: PriceMode
    discount: Discount | None
    lines: tuple[InvoiceLine, ...]
    totals: Totals
    location: str
    external_id: str | None
    kept_apart: KeptApart

    @property
    def buyer_owes_tax(self) -> bool:
        return any(group.rate.category == "AE" for group in self.totals.groups)

    @property
    def summary(self) -> str:
        """The first service, and how many lines come after it."""
        more = len(self.lines) - 1
        return self.lines[0].service + (f" + {more}" if more else "")


def price_draft(given: InvoiceDraft, clinic: Clinic, now: datetime) -> PricedDraft:
    """Check a draft and compute its totals, as the clinic issues it now.

    Raises the errors of this module and of `checks`; the first names all.
    """
    refusals = Refusals()
    today = today_at(clinic, now)
    issued_on = given.issued_on or today
    issued_on = refusals.of(min(issued_on, today), _issue_date, issued_on, today)
    due_on = refusals.of(given.due_on, _due_date, given.due_on, issued_on)
    note = refusals.of(given.note, texts.text, given.note, "note", most=2000, multiline=True)
    currency = given.currency or clinic.currency
    refusals.of(currency, known_currency, currency)
    if not 1 <= len(given.lines) <= MOST_LINES:
        refusals.add(InvalidLines(f"an invoice has 1 to {MOST_LINES} lines", field="lines"))
    rates = {rate.code: _rate(rate) for rate in clinic.tax_rates}
    lines = [
        _line(line, currency, rates, issued_on, f"lines.{at}", refusals)
        for at, line in enumerate(given.lines)
    ]
    discount = refusals.of(None, _discount, given.discount, currency, "discount")
    location = refusals.of("", texts.text, given.location, "location", most=200)
    insurer = refusals.of("", texts.text, given.insurer_reference, "insurer_reference", most=100)
    external_id = refusals.of(None, checks.external_id, given.external_id)
    metadata = refusals.of({}, checks.metadata, given.metadata)
    refusals.check()
    prices = given.prices or clinic.prices
    items = [line.item for line in lines]
    totals = add_up(items, step_of(currency), prices=prices, discount=discount)
    _check_totals(items, totals)
    return PricedDraft(
        client_id=given.client_id,
        currency=currency,
        issued_on=issued_on,
        due_on=due_on,
        note=note,
        prices=prices,
        discount=discount,
        lines=tuple(
            [replace(line, totals=amounts) for line, amounts in zip(lines, totals.lines, strict=True)]
        ),
        totals=totals,
        location=location,
        external_id=external_id,
        kept_apart=KeptApart(insurer, metadata),
    )


def today_at(clinic: Clinic, now: datetime) -> date:
    """The date on the clinic's calendar."""
    return now.astimezone(ZoneInfo(clinic.time_zone)).date()


def _line(
    given: LineDraft,
    currency: str,
    rates: dict[str, TaxRate],
    issued_on: date,
    field: str,
    refusals: Refusals,
) -> InvoiceLine:
    """The line; nothing of it is meant once `refusals` has something."""
    of, service, practitioner = refusals.of, given.service, given.practitioner
    item = Item(
        quantity=of(Decimal(1), _quantity, given.quantity, f"{field}.quantity"),
        unit_amount=of(0, checks.price, given.unit_price, currency, f"{field}.unit_price"),
        rates=of((), _line_rates, given, rates, field),
        discount=of(None, _discount, given.discount, currency, f"{field}.discount"),
    )
    return InvoiceLine(
        service=of(service, texts.text, service, f"{field}.service", least=1, most=200),
        practitioner=of(practitioner, texts.text, practitioner, f"{field}.practitioner", most=200),
        appointment=_appointment(given.appointment, issued_on, f"{field}.appointment", refusals),
        item=item,
        totals=_NOT_ADDED_UP,
    )


_NOT_ADDED_UP = LineTotals(discount=0, amount=0, invoice_discount=0, net=0, taxes=())


def _rate(rate: ClinicTaxRate) -> TaxRate:
    percent = Decimal(rate.percent)
    category = rate.category or category_of(percent)
    return TaxRate(rate.code, rate.name, percent, category, rate.exemption_code, rate.exemption_text)


def _quantity(given: str, field: str) -> Decimal:
    quantity = checks.decimal(given, field, negative=True)
    if quantity == 0:
        raise InvalidQuantity("a quantity is not zero", field=field)
    return quantity


def _line_rates(given: LineDraft, rates: dict[str, TaxRate], field: str) -> tuple[TaxRate, ...]:
    if (given.tax_code is None) == (given.tax_codes is None):
        raise InvalidTaxes("a line has `tax_code` or `tax_codes`", field=f"{field}.tax_code")
    codes, name = (
        (given.tax_codes, "tax_codes") if given.tax_code is None else ((given.tax_code,), "tax_code")
    )
    assert codes is not None, "one of both"
    if not 1 <= len(codes) <= MOST_TAXES or len(set(codes)) < len(codes):
        raise InvalidTaxes("a line has one tax, or two different ones", field=f"{field}.{name}")
    if not all(code in rates for code in codes):
        raise UnknownTaxCode("the clinic has no tax rate with this code", field=f"{field}.{name}")
    found = tuple([rates[code] for code in codes])
    if len(found) > 1 and any(rate.category != "S" for rate in found):
        raise InvalidTaxes("two taxes on a line are both above zero", field=f"{field}.tax_codes")
    return found


def _discount(given: DiscountDraft | None, currency: str, field: str) -> Discount | None:
    if given is None:
        return None
    if (given.amount is None) == (given.percent is None):
        raise InvalidDiscount("a discount has `amount` or `percent`", field=field)
    reason = texts.text(given.reason, f"{field}.reason", most=200)
    if given.percent is None:
        assert given.amount is not None, "one of both"
        return Discount(amount=checks.price(given.amount, currency, f"{field}.amount"), reason=reason)
    percent = checks.decimal(given.percent, f"{field}.percent")
    if percent > 100:
        raise InvalidDiscount("a discount is at most 100 percent", field=f"{field}.percent")
    return Discount(percent=percent, reason=reason)


def _appointment(
    given: Appointment | None, issued_on: date, field: str, refusals: Refusals
) -> Appointment | None:
    if given is None:
        return None
    starts_at = refusals.of(given.starts_at, _start, given.starts_at, issued_on, f"{field}.starts_at")
    place = refusals.of(given.place, texts.text, given.place, f"{field}.place", most=200)
    return Appointment(starts_at=starts_at, place=place)


def _start(starts_at: datetime, issued_on: date, field: str) -> datetime:
    if starts_at.tzinfo is None:
        raise InvalidAppointment("the start needs an offset from UTC", field=field)
    if abs(starts_at.date() - issued_on) > LONGEST_TERM:
        raise InvalidAppointment("more than ten years from the issue date", field=field)
    return starts_at.astimezone(UTC)


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


def _check_totals(items: Sequence[Item], totals: Totals) -> None:
    for at, (item, line) in enumerate(zip(items, totals.lines, strict=True)):
        _check_size([item.full_amount, line.net, line.tax, line.net + line.tax], f"lines.{at}")
        if abs(line.discount) > abs(item.full_amount):
            raise InvalidDiscount("more than the line's amount", field=f"lines.{at}.discount")
    before = sum(line.amount for line in totals.lines)
    if abs(totals.discount) > abs(before):
        raise InvalidDiscount("more than the sum of the lines", field="discount")
    _check_size([before, totals.subtotal, totals.tax, totals.total], "lines")
    _check_size([amount for group in totals.groups for amount in (group.base, group.tax)], "lines")
    if totals.total < 0:
        raise NothingToPay("the total is below zero", field="lines")


def _check_size(amounts: Iterable[int], field: str) -> None:
    if any(abs(amount) > LARGEST_MINOR for amount in amounts):
        raise AmountOutOfRange("an amount is too large", field=field)
